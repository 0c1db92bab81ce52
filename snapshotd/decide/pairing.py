"""A snapshot, or group, and its content: do they belong together, and what is still to do.

The invariant: one to one. A content is followed only if it points back at this very snapshot, or,
made by hand and free, names it; then it is tied by uid, and nobody else can have it.
"""

from snapshotd.decide import contents, intents, members, publishing, telling, validation, views
from snapshotd.model import groups, meta, names


def decide(
    view: views.BindingView,
    content: groups.AnyContent,
    policy: views.ClusterPolicy,
    now: float,
) -> intents.Decision:
    """Complete the pair, one patch at a time, then its members, then publish the content's status.

    A member's content may still be free: the reference makes it so, and ties it later.
    """
    snapshot = view.snapshot
    given = bool(snapshot.given_content)
    if problem := _mismatch(content, given=given):
        return telling.snapshot_error(
            snapshot, reason="SnapshotContentMismatch", message=problem, now=now
        )
    may_be_free = given or validation.is_member(snapshot)
    ours = validation.may_point_back if may_be_free else validation.points_back
    if not ours(content, snapshot):
        return _misbound(snapshot, content, now)
    if content.metadata.deleting and not content.ready:
        return _going(snapshot, content, now)
    finalizers, owners = guarded(snapshot, content.spec.deletion_policy), _adopted(view)
    if finalizers != snapshot.metadata.finalizers or owners is not None:
        target = telling.target(snapshot, exact=True)
        return _first(intents.PrepareSnapshot(target, finalizers, owners=owners))
    if may_be_free and (bind := contents.bind(content, snapshot)):
        return _first(bind)
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        made = members.decide(view, content, now)
        if made is not None:
            return made
    return publishing.publish(view, content, policy, now)


def guarded(snapshot: groups.AnySnapshot, policy: str) -> tuple[str, ...]:
    """Return a snapshot's finalizers with ours behind, none twice; `policy` is its content's."""
    if isinstance(snapshot, groups.VolumeGroupSnapshot):
        wanted = [names.GROUP_BOUND_FINALIZER]
    else:
        wanted = [names.SNAPSHOT_SOURCE_FINALIZER]
        if policy == names.DELETE:
            wanted.append(names.SNAPSHOT_BOUND_FINALIZER)
    present = snapshot.metadata.finalizers
    return present + tuple(each for each in wanted if each not in present)


def _adopted(view: views.BindingView) -> tuple[meta.OwnerReference, ...] | None:
    """Return the owners of a member that its user made by hand, with its group; None if it has it.

    So it goes with its group, as one that we made does (reference, `syncReadySnapshot`).
    """
    group = view.home.group if view.home is not None else None
    if group is None or validation.owner_group(view.snapshot) is not None:
        return None
    return (*view.snapshot.metadata.owner_references, members.owner(group))


def _first(intent: intents.Anything) -> intents.Decision:
    """Do this, then look again."""
    return intents.Decision(intents=(intent,), again=0.0)


def _mismatch(content: groups.AnyContent, *, given: bool) -> str:
    """Return what is wrong with a content of the other kind, or ''."""
    kind = content.family.content_kind
    if given and not content.given_handle:
        return f"{kind} is dynamically provisioned while expecting a pre-provisioned one"
    if not given and not content.cut_from:
        return (
            f"{kind} {content.metadata.name} is pre-provisioned while expecting a "
            "dynamically provisioned one"
        )
    return ""


def _going(
    snapshot: groups.AnySnapshot, content: groups.AnyContent, now: float
) -> intents.Decision:
    """Report a content that somebody deleted before the driver made it ready: it never will be."""
    kind, name = content.family.content_kind, content.metadata.name
    return telling.snapshot_error(
        snapshot,
        reason="SnapshotContentMissing",
        message=f"{kind} {name} is being deleted: delete this {content.family.snapshot_kind} to "
        "let it go, and take another",
        now=now,
    )


def _misbound(
    snapshot: groups.AnySnapshot, content: groups.AnyContent, now: float
) -> intents.Decision:
    ref, family = content.ref, content.family
    whose = f"{ref.namespace}/{ref.name} {ref.uid}".rstrip()
    if snapshot.bound_content:
        reason = "SnapshotMisbound"
        message = (
            f"{family.content_kind} is not bound to the {family.snapshot_kind} correctly: "
            f"{content.metadata.name} refers to {whose}"
        )
    else:
        reason = "SnapshotContentMisbound"
        message = (
            f"{family.content_kind} [{content.metadata.name}] is bound to a different snapshot: "
            f"{whose}"
        )
    return telling.snapshot_error(snapshot, reason=reason, message=message, now=now)
