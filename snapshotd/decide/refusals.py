"""What is told when the API server refuses a write: why, on the VolumeSnapshot that waits for it.

Only refusals that will not pass by themselves (an admission webhook, a quota, a missing
permission): what may succeed at the next try is retried without a word.
"""

from typing import assert_never

from snapshotd.decide import intents, telling
from snapshotd.model import groups


def tell(
    snapshot: groups.AnySnapshot, refused: intents.Write, why: str, now: float
) -> tuple[intents.Write | intents.Announce, ...]:
    """Return what to say about a write for this snapshot; reasons are the reference's."""
    match refused:
        case intents.CreateContent() | intents.CreateMember():
            reason, message = (
                "SnapshotContentCreationFailed",
                f"Failed to create snapshot content with error {why}",
            )
        case intents.BindContent():
            reason, message = (
                "SnapshotBindFailed",
                f"Snapshot failed to bind VolumeSnapshotContent {refused.target.key.name}: {why}",
            )
        case intents.DeleteMember():
            message = f"Failed to delete {refused.target.key}: {why}"
            return _only_event(snapshot, "SnapshotDeleteError", message)
        case intents.DeleteContent():
            return _only_event(
                snapshot,
                "SnapshotContentObjectDeleteError",
                f"Failed to delete snapshot content API object {refused.target.key.name}: {why}",
            )
        case intents.PublishStatus():
            message = f"Failed to update the status of the snapshot: {why}"
            return _only_event(snapshot, "SnapshotStatusUpdateFailed", message)
        case intents.PrepareSnapshot() | intents.UpdateMetadata():
            message = f"Failed to update finalizers and annotations of {refused.target.key}: {why}"
            return _only_event(snapshot, "SnapshotFinalizerError", message)
        case _:
            assert_never(refused)
    return telling.problem(snapshot, reason=reason, message=message, now=now)


def tell_unprotected(
    snapshot: groups.AnySnapshot, claim: str, why: str
) -> tuple[intents.Write | intents.Announce, ...]:
    """Return what to say to a snapshot whose claim could not be protected, or released."""
    message = f"Failed to update the protecting finalizer of claim {claim}: {why}"
    return _only_event(snapshot, "ErrorPVCFinalizer", message)


def _only_event(
    snapshot: groups.AnySnapshot, reason: str, message: str
) -> tuple[intents.Write | intents.Announce, ...]:
    return (telling.warning(snapshot, reason=reason, message=message),)
