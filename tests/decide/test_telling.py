"""How a problem is told: on this very object, once, and the Event behind the write."""

import objects

from snapshotd.decide import intents, telling
from snapshotd.model import keys, snapshots


def test_a_write_is_for_one_incarnation_and_where_asked_for_one_version() -> None:
    key = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "snap")
    assert telling.target(objects.snapshot()) == intents.Target(key, "uid-1", "")
    assert telling.target(objects.snapshot(), exact=True) == intents.Target(key, "uid-1", "7")


def test_an_event_is_about_this_very_object() -> None:
    assert telling.reference(objects.snapshot()) == objects.ABOUT
    bad = telling.warning(objects.snapshot(), reason="R", message="m")
    assert bad == intents.Announce(objects.ABOUT, "Warning", "R", "m")
    good = telling.news(objects.snapshot(), reason="R", message="m")
    assert good == intents.Announce(objects.ABOUT, "Normal", "R", "m")


def told(status: snapshots.VolumeSnapshotStatus | None) -> int:
    """Return how much is said of the message `m` to a snapshot in this status."""
    found = telling.problem(
        objects.snapshot(status=status), reason="R", message="m", now=objects.NOW
    )
    return len(found)


def test_a_message_is_written_once_unless_the_snapshot_claims_to_be_ready() -> None:
    same = snapshots.SnapshotError(time="earlier", message="m")
    assert told(None) == 2
    assert told(snapshots.VolumeSnapshotStatus()) == 2
    assert told(snapshots.VolumeSnapshotStatus(error=objects.ERROR)) == 2
    assert told(snapshots.VolumeSnapshotStatus(error=same)) == 0
    assert told(snapshots.VolumeSnapshotStatus(error=same, ready_to_use=True)) == 2


def test_the_status_is_written_first_and_says_since_when() -> None:
    decision = telling.snapshot_error(objects.snapshot(), reason="R", message="m", now=objects.NOW)
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message="m")
    publish = intents.PublishStatus(
        telling.target(objects.snapshot(), exact=True),
        intents.SnapshotStatusChange(error=error, ready_to_use=False),
    )
    assert decision == intents.Decision(
        intents=(publish, intents.Announce(objects.ABOUT, "Warning", "R", "m")), why="m"
    )
