"""A VolumeSnapshot and its content: do they belong together, and what is still to do.

The invariant: one to one. A content is followed only if it points back at this very snapshot, or,
made by hand and free, names it; then it is tied by uid, and nobody else can have it.
"""

from snapshotd.decide import contents, intents, publishing, telling, validation, views
from snapshotd.model import names, snapshots


def decide(
    view: views.BindingView,
    content: snapshots.VolumeSnapshotContent,
    policy: views.ClusterPolicy,
    now: float,
) -> intents.Decision:
    """Complete the pair, one patch at a time, then publish the content's status."""
    snapshot = view.snapshot
    given = bool(snapshot.spec.source.volume_snapshot_content_name)
    if problem := _mismatch(content, given=given):
        return telling.snapshot_error(
            snapshot, reason="SnapshotContentMismatch", message=problem, now=now
        )
    ours = validation.may_point_back if given else validation.points_back
    if not ours(content, snapshot):
        return _misbound(snapshot, content, now)
    if content.metadata.deleting and not content.ready:
        return _going(snapshot, content, now)
    finalizers = guarded(snapshot, content.spec.deletion_policy)
    if finalizers != snapshot.metadata.finalizers:
        target = telling.target(snapshot, exact=True)
        return _first(intents.PrepareSnapshot(target, finalizers))
    if given and (bind := contents.bind(content, snapshot)):
        return _first(bind)
    return publishing.publish(view, content, policy, now)


def guarded(snapshot: snapshots.VolumeSnapshot, policy: str) -> tuple[str, ...]:
    """Return a snapshot's finalizers with ours behind, none twice; `policy` is its content's."""
    wanted = [names.SNAPSHOT_SOURCE_FINALIZER]
    if policy == names.DELETE:
        wanted.append(names.SNAPSHOT_BOUND_FINALIZER)
    present = snapshot.metadata.finalizers
    return present + tuple(each for each in wanted if each not in present)


def _first(intent: intents.Anything) -> intents.Decision:
    """Do this, then look again."""
    return intents.Decision(intents=(intent,), again=0.0)


def _mismatch(content: snapshots.VolumeSnapshotContent, *, given: bool) -> str:
    """Return what is wrong with a content of the other kind, or ''."""
    source = content.spec.source
    if given and source.snapshot_handle is None:
        return (
            "VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one"
        )
    if not given and source.volume_handle is None:
        return (
            f"VolumeSnapshotContent {content.metadata.name} is pre-provisioned while expecting a "
            "dynamically provisioned one"
        )
    return ""


def _going(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent, now: float
) -> intents.Decision:
    """Report a content that somebody deleted before the driver made it ready: it never will be."""
    return telling.snapshot_error(
        snapshot,
        reason="SnapshotContentMissing",
        message=f"VolumeSnapshotContent {content.metadata.name} is being deleted: delete this "
        "VolumeSnapshot to let it go, and take another",
        now=now,
    )


def _misbound(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent, now: float
) -> intents.Decision:
    ref = content.spec.volume_snapshot_ref
    whose = f"{ref.namespace}/{ref.name} {ref.uid}".rstrip()
    if snapshot.bound_content:
        reason = "SnapshotMisbound"
        message = (
            "VolumeSnapshotContent is not bound to the VolumeSnapshot correctly: "
            f"{content.metadata.name} refers to {whose}"
        )
    else:
        reason = "SnapshotContentMisbound"
        message = (
            f"VolumeSnapshotContent [{content.metadata.name}] is bound to a different snapshot: "
            f"{whose}"
        )
    return telling.snapshot_error(snapshot, reason=reason, message=message, now=now)
