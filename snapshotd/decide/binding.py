"""VolumeSnapshot to VolumeSnapshotContent: class, source, protection, the content.

Both kinds of source end in the same place (`pairing`): a content that points back at the snapshot.
A snapshot is bound to one content for good: a content that vanished is reported, and never made
again under the old name, which would be another point in time.
"""

from snapshotd import errors
from snapshotd.decide import contents, intents, pairing, telling, validation, views
from snapshotd.model import names, snapshots, volumes


def decide(view: views.BindingView, policy: views.ClusterPolicy, now: float) -> intents.Decision:
    """Decide for one VolumeSnapshot that is not being deleted; `now` in seconds (epoch)."""
    snapshot = view.snapshot
    if problem := validation.snapshot_problem(snapshot):
        return telling.snapshot_error(
            snapshot, reason="SnapshotValidationError", message=problem, now=now
        )
    if view.content is not None:
        return pairing.decide(view, view.content, policy, now)
    if snapshot.bound_content:
        return _lost(view, now)
    if given := snapshot.spec.source.volume_snapshot_content_name:
        return telling.snapshot_error(
            snapshot,
            reason="SnapshotContentMissing",
            message=f"VolumeSnapshotContent is missing: nobody has made {given} yet",
            now=now,
        )
    if validation.is_member(snapshot):
        return intents.Decision(why="waits for its group snapshot to give it a content")
    return _cut(view, policy, now)


def _lost(view: views.BindingView, now: float) -> intents.Decision:
    """Report a bound snapshot without content, once the API server itself has none."""
    if not view.content_absent:
        key = snapshots.content_key(view.snapshot.bound_content)
        return intents.Decision(intents=(intents.Refresh(key),), again=0.0)
    snapshot = view.snapshot
    advice = (
        "make it again for the same snapshotHandle, or delete this VolumeSnapshot"
        if snapshot.spec.source.volume_snapshot_content_name
        else "it is not cut again, since that would be another point in time: delete this "
        "VolumeSnapshot, and take another"
    )
    return telling.snapshot_error(
        snapshot,
        reason="SnapshotContentMissing",
        message=f"VolumeSnapshotContent is missing: {snapshot.bound_content} is gone; {advice}",
        now=now,
    )


def _cut(view: views.BindingView, policy: views.ClusterPolicy, now: float) -> intents.Decision:
    """Bring a dynamic snapshot as far as its content: class, volume, protection, content."""
    snapshot = view.snapshot
    try:
        chosen = class_of(view)
    except errors.Invalid as error:
        explicit = snapshot.spec.volume_snapshot_class_name is not None
        reason = "GetSnapshotClassFailed" if explicit else "SetDefaultSnapshotClassFailed"
        return telling.snapshot_error(snapshot, reason=reason, message=str(error), now=now)
    try:
        claim, volume = source_of(view)
        draft = contents.draft(view, chosen, volume, policy)
        check_driver(chosen, draft.spec.driver, volume)
    except errors.Invalid as error:
        message = f"Failed to create snapshot content with error {error}"
        return telling.snapshot_error(
            snapshot, reason="SnapshotContentCreationFailed", message=message, now=now
        )
    if names.CLAIM_FINALIZER not in claim.metadata.finalizers:
        return intents.Decision(
            intents=(intents.Wake(claim.key),), why="waits for its claim to be protected"
        )
    prepared = _prepare(snapshot, chosen)
    if prepared is not None:
        return intents.Decision(intents=(prepared,), again=0.0)
    waiting = (
        f"Waiting for a snapshot {snapshot.metadata.namespace}/{snapshot.metadata.name} "
        "to be created by the CSI driver."
    )
    told = telling.news(snapshot, reason="CreatingSnapshot", message=waiting)
    return intents.Decision(
        intents=(intents.CreateContent(draft), told),
        again=policy.status_hold,
        why="waits for the driver to cut the snapshot",
    )


def class_of(view: views.BindingView) -> snapshots.VolumeSnapshotClass:
    """Return the class asked for, or the default one of the volume's driver."""
    wanted = view.snapshot.spec.volume_snapshot_class_name
    if wanted is not None:
        if view.snapshot_class is None:
            raise errors.Invalid(
                "Failed to get snapshot class with error "
                f'volumesnapshotclass.snapshot.storage.k8s.io "{wanted}" not found'
            )
        return view.snapshot_class
    failed = "Failed to set default snapshot class with error"
    try:
        _claim, volume = source_of(view)
    except errors.Invalid as error:
        raise errors.Invalid(f"{failed} {error}") from None
    driver = volume.spec.csi.driver if volume.spec.csi else ""
    candidates = [each for each in view.default_classes if each.driver == driver]
    if not candidates:
        raise errors.Invalid(
            f"{failed} cannot find default snapshot class: annotate one VolumeSnapshotClass of "
            f'driver {driver} with {names.DEFAULT_CLASS_ANNOTATION}: "true", or name a class'
        )
    if len(candidates) > 1:
        found = ", ".join(sorted(each.metadata.name for each in candidates))
        raise errors.Invalid(
            f"{failed} {len(candidates)} default snapshot classes were found: keep one of {found}"
        )
    return candidates[0]


def source_of(
    view: views.BindingView,
) -> tuple[volumes.PersistentVolumeClaim, volumes.PersistentVolume]:
    """Return the claim and its volume, each bound to the other; raises `Invalid` saying why not."""
    wanted = view.snapshot.spec.source.persistent_volume_claim_name
    claim, volume = view.claim, view.volume
    if claim is None:
        raise errors.Invalid(
            f'cannot get claim from snapshot: persistentvolumeclaim "{wanted}" not found'
        )
    if _comes_too_late(view.snapshot, claim):
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


def _comes_too_late(
    snapshot: snapshots.VolumeSnapshot, claim: volumes.PersistentVolumeClaim
) -> bool:
    """Say whether the claim's deletion was asked for first, or nothing holds it any more."""
    ending = claim.metadata.deletion_timestamp
    if ending is None:
        return False
    began = snapshot.metadata.creation_timestamp or ""
    # Both are whole seconds in UTC, written by the API server: text compares as time.
    return began > ending or names.CLAIM_FINALIZER not in claim.metadata.finalizers


def check_driver(
    chosen: snapshots.VolumeSnapshotClass, driver: str, volume: volumes.PersistentVolume
) -> None:
    """Raise `Invalid` if a class is not for the driver of the volume."""
    if chosen.driver != driver:
        raise errors.Invalid(
            f"the class {chosen.metadata.name} is for driver {chosen.driver}, but the volume "
            f"{volume.metadata.name} belongs to driver {driver}: name a class of {driver}"
        )


def _prepare(
    snapshot: snapshots.VolumeSnapshot, chosen: snapshots.VolumeSnapshotClass
) -> intents.PrepareSnapshot | None:
    """Return the one patch that must precede the content: finalizers, and the default class."""
    finalizers = pairing.guarded(snapshot, chosen.deletion_policy)
    unset = snapshot.spec.volume_snapshot_class_name is None
    if finalizers == snapshot.metadata.finalizers and not unset:
        return None
    return intents.PrepareSnapshot(
        telling.target(snapshot, exact=True),
        finalizers,
        class_name=chosen.metadata.name if unset else None,
    )
