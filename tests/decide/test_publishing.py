"""A VolumeSnapshot's status repeats its content's: what is missing or stale is corrected."""

import msgspec
import objects
import pytest

from snapshotd.decide import binding, intents, publishing
from snapshotd.model import snapshots


def change(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent
) -> intents.SnapshotStatusChange | None:
    return publishing.difference(snapshot, content, objects.NOW)


def test_everything_is_told_at_once() -> None:
    view = objects.binding_view(content=objects.ready_content())
    publish, created, ready = binding.decide(view, objects.POLICY, objects.NOW).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.SnapshotStatusChange(
        bound_volume_snapshot_content_name="snapcontent-uid-1",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        restore_size="1Gi",
    )
    assert isinstance(created, intents.Announce)
    assert isinstance(ready, intents.Announce)
    assert (created.reason, ready.reason) == ("SnapshotCreated", "SnapshotReady")


def test_a_status_is_written_as_it_was_seen_and_its_news_follow() -> None:
    view = objects.binding_view(content=objects.ready_content())
    decision = binding.decide(view, objects.POLICY, objects.NOW)
    publish, created, ready = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.target == intents.Target(objects.snapshot().key, "uid-1", "7")
    message = "Snapshot ns/snap was successfully created by the CSI driver."
    assert created == intents.Announce(objects.ABOUT, "Normal", "SnapshotCreated", message)
    message = "Snapshot ns/snap is ready to use."
    assert ready == intents.Announce(objects.ABOUT, "Normal", "SnapshotReady", message)
    assert (decision.why, decision.again) == ("", None)


def test_a_snapshot_that_is_not_ready_says_what_it_waits_for() -> None:
    why = "waits for the driver to make the snapshot ready"
    for age in (None, 0.1, 0.3):
        view = objects.binding_view(content=objects.content(), content_age=age)
        assert binding.decide(view, objects.POLICY, objects.NOW).why == why


def test_only_the_status_of_a_content_just_made_is_held_back() -> None:
    status = snapshots.VolumeSnapshotStatus(bound_volume_snapshot_content_name="other")
    bound = objects.snapshot(status=status)
    for fields in ({"content_age": None}, {"content_age": 0.0, "snapshot": bound}):
        view = objects.binding_view(content=objects.content(), **fields)
        (publish,) = binding.decide(view, objects.POLICY, objects.NOW).intents
        assert isinstance(publish, intents.PublishStatus)


def test_what_is_told_is_not_written_again() -> None:
    view = objects.binding_view(snapshot=objects.ready_snapshot(), content=objects.ready_content())
    assert binding.decide(view, objects.POLICY, objects.NOW) == intents.SETTLED


@pytest.mark.parametrize(
    ("stale", "expected"),
    [
        ({"restore_size": "2Gi"}, {"restore_size": "1Gi"}),
        ({"restore_size": "nonsense"}, {"restore_size": "1Gi"}),
        ({"restore_size": None}, {"restore_size": "1Gi"}),
        ({"ready_to_use": False}, {"ready_to_use": True}),
        ({"creation_time": None}, {"creation_time": "2001-09-09T01:46:40Z"}),
        ({"creation_time": "2020-01-01T00:00:00Z"}, {"creation_time": "2001-09-09T01:46:40Z"}),
        ({"error": objects.ERROR}, {"error": None}),
    ],
)
def test_a_stale_field_is_corrected(stale: dict[str, object], expected: dict[str, object]) -> None:
    status = objects.changed(objects.ready_snapshot().status, **stale)
    found = change(objects.snapshot(status=status), objects.ready_content())
    assert found == intents.SnapshotStatusChange(**expected)  # type: ignore[arg-type]


def test_a_size_in_another_unit_is_the_same_size() -> None:
    status = objects.changed(objects.ready_snapshot().status, restore_size=1 << 30)
    assert change(objects.snapshot(status=status), objects.ready_content()) is None


def test_an_error_of_the_content_is_passed_on_once() -> None:
    failed = objects.content(status=snapshots.VolumeSnapshotContentStatus(error=objects.ERROR))
    found = change(objects.snapshot(), failed)
    assert found is not None
    assert isinstance(found.error, snapshots.SnapshotError)
    assert found.error == snapshots.SnapshotError(objects.NOW_TEXT, "it went wrong")
    status = snapshots.VolumeSnapshotStatus(
        bound_volume_snapshot_content_name="snapcontent-uid-1",
        ready_to_use=False,
        error=objects.ERROR,
    )
    assert change(objects.snapshot(status=status), failed) is None


def test_an_error_of_a_content_that_is_ready_is_no_error() -> None:
    odd = objects.content(status=msgspec.structs.replace(objects.STATUS, error=objects.ERROR))
    assert change(objects.ready_snapshot(), odd) is None


def test_a_status_that_is_not_ready_is_held_back_for_a_moment() -> None:
    view = objects.binding_view(content=objects.content(), content_age=0.1)
    decision = binding.decide(view, objects.POLICY, objects.NOW)
    assert decision.intents == ()
    assert decision.again == pytest.approx(0.15)
    later = msgspec.structs.replace(view, content_age=0.3)
    (publish,) = binding.decide(later, objects.POLICY, objects.NOW).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.SnapshotStatusChange(
        bound_volume_snapshot_content_name="snapcontent-uid-1", ready_to_use=False
    )


def test_good_and_bad_news_are_not_held_back() -> None:
    failed = objects.content(status=snapshots.VolumeSnapshotContentStatus(error=objects.ERROR))
    for content in (objects.ready_content(), failed):
        view = objects.binding_view(content=content, content_age=0.0)
        decision = binding.decide(view, objects.POLICY, objects.NOW)
        assert isinstance(decision.intents[0], intents.PublishStatus)


def test_a_creation_time_is_announced_before_the_snapshot_is_ready() -> None:
    cut = objects.content(status=msgspec.structs.replace(objects.STATUS, ready_to_use=False))
    _, created = binding.decide(
        objects.binding_view(content=cut), objects.POLICY, objects.NOW
    ).intents
    assert isinstance(created, intents.Announce)
    assert created.reason == "SnapshotCreated"


def test_the_name_of_the_content_is_known_before_it_is_there() -> None:
    assert publishing.bound_name(objects.snapshot()) == "snapcontent-uid-1"
    assert publishing.bound_name(objects.given_snapshot()) == "content"
    status = snapshots.VolumeSnapshotStatus(bound_volume_snapshot_content_name="other")
    assert publishing.bound_name(objects.snapshot(status=status)) == "other"
