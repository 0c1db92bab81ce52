"""Letting a VolumeSnapshot go: mark and delete its content, then drop the finalizers.

The invariant: the last finalizer goes only when the content is gone, or is to be kept, and a
content that is merely not in the cache is not gone: the API server itself is asked first, unless
this process has seen it go.
"""

from snapshotd.decide import intents, publishing, telling, validation, views
from snapshotd.model import names, snapshots

_OURS = frozenset(
    {
        names.SNAPSHOT_SOURCE_FINALIZER,
        names.SNAPSHOT_BOUND_FINALIZER,
        names.SNAPSHOT_GROUP_FINALIZER,
    }
)


def decide(view: views.ReleaseView) -> intents.Decision:
    """Decide for one VolumeSnapshot that is being deleted."""
    snapshot = view.snapshot
    if not _OURS.intersection(snapshot.metadata.finalizers):
        return intents.Decision(why="another controller's finalizer holds it")
    content = view.content
    if content is None:
        return _without_content(view)
    if not validation.points_back(content, snapshot):
        return _let_go(snapshot)
    if view.restores:
        return _wait_for_restores(view)
    mark = _mark(content)
    if content.spec.deletion_policy != names.DELETE:
        return _then(mark, _let_go(snapshot))
    if content.metadata.deleting:
        return _then(mark, intents.Decision(why="waits for the content to be deleted"))
    delete = intents.DeleteContent(telling.target(content))
    waits = intents.Decision(intents=(delete,), why="waits for the content to be deleted")
    return _then(mark, waits)


def _without_content(view: views.ReleaseView) -> intents.Decision:
    if view.content_absent:
        return _let_go(view.snapshot)
    key = snapshots.content_key(publishing.bound_name(view.snapshot))
    return intents.Decision(intents=(intents.Refresh(key),), again=0.0)


def _wait_for_restores(view: views.ReleaseView) -> intents.Decision:
    waiting = ", ".join(claim.metadata.name for claim in view.restores)
    message = f"Snapshot is being used to restore a PVC: {waiting}"
    told = telling.warning(view.snapshot, reason="SnapshotDeletePending", message=message)
    return intents.Decision(intents=(told,), why=message)


def _mark(content: snapshots.VolumeSnapshotContent) -> intents.UpdateMetadata | None:
    """Return the patch that tells the driver's side that this deletion is meant."""
    if content.metadata.annotations.get(names.BEING_DELETED_ANNOTATION) == names.MARK:
        return None
    mark: dict[str, str | None] = {names.BEING_DELETED_ANNOTATION: names.MARK}
    return intents.UpdateMetadata(telling.target(content), annotations=mark)


def _let_go(snapshot: snapshots.VolumeSnapshot) -> intents.Decision:
    kept = tuple(each for each in snapshot.metadata.finalizers if each not in _OURS)
    release = intents.UpdateMetadata(telling.target(snapshot, exact=True), kept)
    return intents.Decision(intents=(release,))


def _then(first: intents.UpdateMetadata | None, rest: intents.Decision) -> intents.Decision:
    if first is None:
        return rest
    return intents.Decision(intents=(first, *rest.intents), again=rest.again, why=rest.why)
