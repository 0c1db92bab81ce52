"""Letting a snapshot, or group, go: mark and delete its content, then drop the finalizers.

The invariant: the last finalizer goes only when the content is gone, or is to be kept, and a
content that is merely not in the cache is not gone: the API server itself is asked first, unless
this process has seen it go.
"""

from snapshotd.decide import intents, publishing, telling, validation, views
from snapshotd.model import groups, names, volumes

_OURS = frozenset(
    {
        names.SNAPSHOT_SOURCE_FINALIZER,
        names.SNAPSHOT_BOUND_FINALIZER,
        names.SNAPSHOT_GROUP_FINALIZER,
        names.GROUP_BOUND_FINALIZER,
    }
)


def decide(view: views.ReleaseView) -> intents.Decision:
    """Decide for one snapshot, or group, that is being deleted."""
    snapshot = view.snapshot
    if not _OURS.intersection(snapshot.metadata.finalizers):
        return intents.Decision(why="another controller's finalizer holds it")
    if view.group is not None:
        return _wait_for_group(snapshot, view.group)
    content = view.content
    if content is None:
        return _without_content(view)
    if not validation.points_back(content, snapshot):
        if validation.may_point_back(content, snapshot) and not view.asked:
            # It may have been tied to this snapshot by a write whose answer was lost.
            return intents.Decision(intents=(intents.Refresh(content.key),), again=0.0)
        return _take_along(view) or _let_go(snapshot)
    restores = tuple(each for each in view.restores if _may_be_filling(each, _source(each, view)))
    if restores:
        return _wait_for_restores(snapshot, restores)
    along = _take_along(view) if content.deletion_meant else None
    return along or give_up(content, snapshot)


def give_up(content: groups.AnyContent, snapshot: groups.AnySnapshot | None) -> intents.Decision:
    """Mark a content whose snapshot goes, and by its policy delete it; then the snapshot may go.

    The mark is a look of its own: the deletion rests on the version that carries it, so that a
    policy changed to Retain meanwhile keeps the object, and with it the handle.
    """
    if not content.deletion_meant:
        mark: dict[str, str | None] = {content.family.being_deleted: names.MARK}
        marked = intents.UpdateMetadata(telling.target(content), annotations=mark)
        return intents.Decision(intents=(marked,), again=0.0)
    if content.spec.deletion_policy != names.DELETE:
        return intents.SETTLED if snapshot is None else _let_go(snapshot)
    waits = "waits for the content to be deleted"
    if content.metadata.deleting:
        return intents.Decision(why=waits)
    delete = intents.DeleteContent(telling.target(content, exact=True))
    return intents.Decision(intents=(delete,), why=waits)


def _without_content(view: views.ReleaseView) -> intents.Decision:
    if view.content_absent:
        return _take_along(view) or _let_go(view.snapshot)
    key = view.snapshot.family.content_key(publishing.bound_name(view.snapshot))
    return intents.Decision(intents=(intents.Refresh(key),), again=0.0)


def _take_along(view: views.ReleaseView) -> intents.Decision | None:
    """Ask for the deletion of a group's members; None once that was asked for each of them.

    Every one waits for the group to be gone, and goes then.
    """
    staying = tuple(each for each in view.members if not each.metadata.deleting)
    if not staying:
        return None
    asked = tuple(intents.DeleteMember(telling.target(each)) for each in staying)
    return intents.Decision(intents=asked, again=0.0)


def _source(claim: volumes.PersistentVolumeClaim, view: views.ReleaseView) -> groups.AnySnapshot:
    """Return what a claim is to be filled from: the snapshot, or the member of the group."""
    named = {each.name for each in (claim.spec.data_source, claim.spec.data_source_ref) if each}
    found = (each for each in view.members if each.metadata.name in named)
    return next(found, view.snapshot)


def _may_be_filling(claim: volumes.PersistentVolumeClaim, source: groups.AnySnapshot) -> bool:
    """Say whether a pending claim may be in the middle of being filled from this snapshot.

    One that no provisioner was told of yet (it waits for its first consumer), or that came after
    the snapshot's deletion was asked for, never will be: provisioners refuse a snapshot that is
    being deleted, so the two would wait for each other for ever (reference issue 747). A member's
    deletion counts, not its group's: until that is asked for, provisioners go on.
    """
    told = not names.PROVISIONER_ANNOTATIONS.isdisjoint(claim.metadata.annotations)
    began = claim.metadata.creation_timestamp or ""
    ended = source.metadata.deletion_timestamp
    # Both are whole seconds in UTC, written by the API server: text compares as time.
    return told and (ended is None or began <= ended)


def _wait_for_restores(
    snapshot: groups.AnySnapshot, restores: tuple[volumes.PersistentVolumeClaim, ...]
) -> intents.Decision:
    waiting = ", ".join(claim.metadata.name for claim in restores)
    message = (
        f"Snapshot is being used to restore a PVC: {waiting}. It goes once these are bound, or "
        "deleted"
    )
    told = telling.warning(snapshot, reason="SnapshotDeletePending", message=message)
    return intents.Decision(intents=(told,), why=message)


def _wait_for_group(
    snapshot: groups.AnySnapshot, group: groups.VolumeGroupSnapshot
) -> intents.Decision:
    """Keep a member of a group snapshot as long as the group is there: it goes with it.

    Only who asks for it alone is told: a group that goes takes its members along by itself.
    """
    if group.metadata.deleting:
        return intents.Decision(why=f"goes when its group snapshot {group.metadata.name} is gone")
    namespace = snapshot.metadata.namespace
    message = (
        f"deletion of the individual volume snapshot {namespace}/{snapshot.metadata.name} is not "
        f"allowed as it belongs to group snapshot {namespace}/{group.metadata.name}: delete the "
        "group snapshot, and it goes with it"
    )
    told = telling.warning(snapshot, reason="SnapshotDeletePending", message=message)
    return intents.Decision(intents=(told,), why=message)


def _let_go(snapshot: groups.AnySnapshot) -> intents.Decision:
    kept = tuple(each for each in snapshot.metadata.finalizers if each not in _OURS)
    release = intents.UpdateMetadata(telling.target(snapshot, exact=True), kept)
    return intents.Decision(intents=(release,))
