"""From a VolumeSnapshot, or a group, to its content: class, sources, protection, the content.

Both kinds of source end in the same place (`pairing`): a content that points back at the snapshot.
A snapshot is bound to one content for good: a content that vanished is reported, and never made
again under the old name, which would be another point in time.
"""

from snapshotd import errors
from snapshotd.decide import (
    drafts,
    intents,
    members,
    pairing,
    selection,
    telling,
    validation,
    views,
)
from snapshotd.model import groups, names, snapshots, volumes


def decide(view: views.BindingView, policy: views.ClusterPolicy, now: float) -> intents.Decision:
    """Decide for one snapshot, or group, that is not being deleted; `now` in seconds (epoch)."""
    snapshot = view.snapshot
    if problem := validation.snapshot_problem(snapshot):
        return telling.snapshot_error(
            snapshot, reason="SnapshotValidationError", message=problem, now=now
        )
    if view.content is not None:
        return pairing.decide(view, view.content, policy, now)
    if snapshot.bound_content:
        return _lost(view, now)
    if given := snapshot.given_content:
        return telling.snapshot_error(
            snapshot,
            reason="SnapshotContentMissing",
            message=f"{snapshot.family.content_kind} is missing: nobody has made {given} yet",
            now=now,
        )
    if isinstance(snapshot, snapshots.VolumeSnapshot) and validation.is_member(snapshot):
        return _follow(snapshot, view.home or views.Home(), policy)
    return _cut(view, policy, now)


def _lost(view: views.BindingView, now: float) -> intents.Decision:
    """Report a bound snapshot without content, once the API server itself has none."""
    snapshot = view.snapshot
    family = snapshot.family
    if not view.content_absent:
        key = family.content_key(snapshot.bound_content)
        return intents.Decision(intents=(intents.Refresh(key),), again=0.0)
    advice = (
        f"make it again for the same snapshotHandle, or delete this {family.snapshot_kind}"
        if snapshot.given_content
        else "it is not cut again, since that would be another point in time: delete this "
        f"{family.snapshot_kind}, and take another"
    )
    gone = f"{family.content_kind} is missing: {snapshot.bound_content} is gone"
    return telling.snapshot_error(
        snapshot, reason="SnapshotContentMissing", message=f"{gone}; {advice}", now=now
    )


def _follow(
    member: snapshots.VolumeSnapshot, home: views.Home, policy: views.ClusterPolicy
) -> intents.Decision:
    """Give a member of a group its content, which is made of what the group's content tells."""
    why = "waits for its group snapshot to give it a content"
    try:
        draft = members.draft_content(member, home)
    except errors.Invalid as error:
        return intents.Decision(why=f"{why}: {error}")
    finalizers = pairing.guarded(member, draft.spec.deletion_policy)
    if finalizers != member.metadata.finalizers:
        prepared = intents.PrepareSnapshot(telling.target(member, exact=True), finalizers)
        return intents.Decision(intents=(prepared,), again=0.0)
    made = intents.CreateContent(draft)
    return intents.Decision(intents=(made,), again=policy.status_hold, why=why)


def _cut(view: views.BindingView, policy: views.ClusterPolicy, now: float) -> intents.Decision:
    """Bring a dynamic snapshot as far as its content: class, volumes, protection, content."""
    snapshot = view.snapshot
    try:
        chosen = class_of(view)
    except errors.Invalid as error:
        explicit = snapshot.class_name is not None
        reason = "GetSnapshotClassFailed" if explicit else "SetDefaultSnapshotClassFailed"
        return telling.snapshot_error(snapshot, reason=reason, message=str(error), now=now)
    try:
        found = sources_of(view)
        cut_from = tuple(volume for _, volume in found)
        draft = drafts.draft(view, chosen, cut_from, policy)
        for volume in cut_from:
            check_driver(chosen, volume)
    except errors.Invalid as error:
        message = f"Failed to create {snapshot.family.noun} content with error {error}"
        return telling.snapshot_error(
            snapshot, reason="SnapshotContentCreationFailed", message=message, now=now
        )
    bare = [claim for claim, _ in found if names.CLAIM_FINALIZER not in claim.metadata.finalizers]
    if bare:
        waking = tuple(intents.Wake(claim.key) for claim in bare)
        whose = "its claim" if len(found) == 1 else f"{len(bare)} of its {len(found)} claims"
        return intents.Decision(intents=waking, why=f"waits for {whose} to be protected")
    prepared = _prepare(snapshot, chosen)
    if prepared is not None:
        return intents.Decision(intents=(prepared,), again=0.0)
    waiting = (
        f"Waiting for a {snapshot.family.noun} {snapshot.metadata.namespace}/"
        f"{snapshot.metadata.name} to be created by the CSI driver."
    )
    told = telling.news(snapshot, reason="CreatingSnapshot", message=waiting)
    return intents.Decision(
        intents=(intents.CreateContent(draft), told),
        again=policy.status_hold,
        why="waits for the driver to cut the snapshot",
    )


def class_of(view: views.BindingView) -> groups.AnyClass:
    """Return the class asked for, or the default one of the volumes' driver."""
    snapshot = view.snapshot
    family = snapshot.family
    kind = str(family.class_kind)
    wanted = snapshot.class_name
    if wanted is not None:
        if view.snapshot_class is None:
            raise errors.Invalid(
                f"Failed to get {family.noun} class with error "
                f'{kind.lower()}.{family.api_group} "{wanted}" not found'
            )
        return view.snapshot_class
    failed = f"Failed to set default {family.noun} class with error"
    try:
        _claim, volume = sources_of(view)[0]
    except errors.Invalid as error:
        raise errors.Invalid(f"{failed} {error}") from None
    driver = volume.spec.csi.driver if volume.spec.csi else ""
    candidates = [each for each in view.default_classes if each.driver == driver]
    if not candidates:
        raise errors.Invalid(
            f"{failed} cannot find default {family.noun} class: annotate one {kind} of "
            f'driver {driver} with {family.default_class}: "true", or name a class'
        )
    if len(candidates) > 1:
        found = ", ".join(sorted(each.metadata.name for each in candidates))
        raise errors.Invalid(
            f"{failed} {len(candidates)} default {family.noun} classes were found: keep one of "
            f"{found}"
        )
    return candidates[0]


_Found = tuple[volumes.PersistentVolumeClaim, volumes.PersistentVolume]


def sources_of(view: views.BindingView) -> tuple[_Found, ...]:
    """Return the claims to cut from, each with its volume; raises `Invalid` saying why not."""
    snapshot = view.snapshot
    if isinstance(snapshot, groups.VolumeGroupSnapshot):
        selector = snapshot.spec.source.selector or groups.LabelSelector()
        if problem := selection.problem(selector):
            raise errors.Invalid(f"the label selector cannot be read: {problem}")
        if not view.sources:
            raise errors.Invalid(
                "the label selector of the group snapshot selects no PersistentVolumeClaim in "
                f"namespace {snapshot.metadata.namespace}"
            )
    return tuple(_source_of(snapshot, each) for each in view.sources)


def _source_of(snapshot: groups.AnySnapshot, source: views.Source) -> _Found:
    """Return a claim and its volume, each bound to the other; raises `Invalid` saying why not."""
    wanted = source.name
    claim, volume = source.claim, source.volume
    if claim is None:
        raise errors.Invalid(
            f'cannot get claim from snapshot: persistentvolumeclaim "{wanted}" not found'
        )
    if _comes_too_late(snapshot, claim):
        raise errors.Invalid(f"cannot add finalizer on claim because it is being deleted: {wanted}")
    if claim.status.phase != names.BOUND or not claim.spec.volume_name:
        raise errors.Invalid(
            f"the PVC {wanted} is not yet bound to a PV, will not attempt to take a snapshot"
        )
    if volume is None:
        raise errors.Invalid(f'persistentvolume "{claim.spec.volume_name}" not found')
    ref = volume.spec.claim_ref
    bound_back = (
        ref is not None
        and (ref.namespace, ref.name) == (claim.metadata.namespace, claim.metadata.name)
        and ref.uid in {"", claim.metadata.uid}
    )
    if not bound_back:
        raise errors.Invalid(
            f"claim in dataSource not bound or invalid: the volume {volume.metadata.name} "
            f"is not bound to {wanted}"
        )
    return claim, volume


def _comes_too_late(snapshot: groups.AnySnapshot, claim: volumes.PersistentVolumeClaim) -> bool:
    """Say whether the claim's deletion was asked for first, or nothing holds it any more."""
    ending = claim.metadata.deletion_timestamp
    if ending is None:
        return False
    began = snapshot.metadata.creation_timestamp or ""
    # Both are whole seconds in UTC, written by the API server: text compares as time.
    return began > ending or names.CLAIM_FINALIZER not in claim.metadata.finalizers


def check_driver(chosen: groups.AnyClass, volume: volumes.PersistentVolume) -> None:
    """Raise `Invalid` if a class is not for the driver of the volume."""
    driver = volume.spec.csi.driver if volume.spec.csi else ""
    if chosen.driver != driver:
        raise errors.Invalid(
            f"the class {chosen.metadata.name} is for driver {chosen.driver}, but the volume "
            f"{volume.metadata.name} belongs to driver {driver}: name a class of {driver}"
        )


def _prepare(
    snapshot: groups.AnySnapshot, chosen: groups.AnyClass
) -> intents.PrepareSnapshot | None:
    """Return the one patch that must precede the content: finalizers, and the default class."""
    finalizers = pairing.guarded(snapshot, chosen.deletion_policy)
    unset = snapshot.class_name is None
    if finalizers == snapshot.metadata.finalizers and not unset:
        return None
    return intents.PrepareSnapshot(
        telling.target(snapshot, exact=True),
        finalizers,
        class_name=chosen.metadata.name if unset else None,
    )
