"""What a VolumeSnapshot is told when the API server refuses a write that it waits for."""

import objects
import pytest

from snapshotd.decide import intents, refusals
from snapshotd.model import meta, names, snapshots

SNAPSHOT = objects.snapshot()
CONTENT = objects.content()
TARGET = intents.Target(CONTENT.key, "uid-2", "8")
OWN = intents.Target(SNAPSHOT.key, "uid-1", "7")
STATUS = intents.SnapshotStatusChange(ready_to_use=False)
ABOUT = meta.ObjectReference("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "ns", "snap", "uid-1")


def warning(reason: str, message: str) -> intents.Announce:
    about = objects.changed(ABOUT, resource_version="7")
    return intents.Announce(about, "Warning", reason, message)


@pytest.mark.parametrize(
    ("refused", "reason", "message"),
    [
        (
            intents.CreateContent(CONTENT),
            "SnapshotContentCreationFailed",
            "Failed to create snapshot content with error no",
        ),
        (
            intents.BindContent(TARGET, "uid-1", (names.CONTENT_FINALIZER,)),
            "SnapshotBindFailed",
            "Snapshot failed to bind VolumeSnapshotContent snapcontent-uid-1: no",
        ),
    ],
)
def test_what_keeps_a_snapshot_from_its_content_stands_in_its_status(
    refused: intents.Write, reason: str, message: str
) -> None:
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    assert refusals.tell(SNAPSHOT, refused, "no", objects.NOW) == (
        intents.PublishStatus(OWN, intents.SnapshotStatusChange(ready_to_use=False, error=error)),
        warning(reason, message),
    )


@pytest.mark.parametrize(
    ("refused", "reason", "message"),
    [
        (
            intents.DeleteContent(TARGET),
            "SnapshotContentObjectDeleteError",
            "Failed to delete snapshot content API object snapcontent-uid-1: no",
        ),
        (
            intents.PublishStatus(OWN, STATUS),
            "SnapshotStatusUpdateFailed",
            "Failed to update the status of the snapshot: no",
        ),
        (
            intents.PrepareSnapshot(OWN, objects.BOTH),
            "SnapshotFinalizerError",
            "Failed to update finalizers and annotations of VolumeSnapshot ns/snap: no",
        ),
        (
            intents.UpdateMetadata(TARGET, annotations={"a": "b"}),
            "SnapshotFinalizerError",
            (
                "Failed to update finalizers and annotations of "
                "VolumeSnapshotContent snapcontent-uid-1: no"
            ),
        ),
    ],
)
def test_what_is_refused_otherwise_is_announced_alone(
    refused: intents.Write, reason: str, message: str
) -> None:
    told = refusals.tell(SNAPSHOT, refused, "no", objects.NOW)
    assert told == (warning(reason, message),)


def test_a_refusal_that_stands_in_the_status_is_not_told_again() -> None:
    message = "Failed to create snapshot content with error no"
    error = snapshots.SnapshotError(time="earlier", message=message)
    status = snapshots.VolumeSnapshotStatus(ready_to_use=False, error=error)
    told = objects.snapshot(status=status)
    assert refusals.tell(told, intents.CreateContent(CONTENT), "no", objects.NOW) == ()
    assert len(refusals.tell(told, intents.CreateContent(CONTENT), "still no", objects.NOW)) == 2


def test_a_claim_that_cannot_be_protected_is_told_on_its_snapshot() -> None:
    assert refusals.tell_unprotected(SNAPSHOT, "claim", "no") == (
        warning(
            "ErrorPVCFinalizer",
            "Failed to update the protecting finalizer of claim claim: no",
        ),
    )
