"""What is not ours to touch: contents of other drivers, and whatever is malformed."""

import objects
import pytest
from beside_driver import CONTENT, Story
from scripted_driver import LISTS

from snapshotd.model import names, snapshots

GIVEN = snapshots.content_key("content")


@pytest.mark.parametrize("deleting", [False, True])
async def test_a_content_of_another_driver_is_left_alone(*, story: Story, deleting: bool) -> None:
    await story.start()
    await story.add(objects.content(spec__driver="other.example.com", status=None))
    if deleting:
        await story.delete()
    assert story.driver.calls == []
    assert story.writer.done == []
    assert story.events() == []
    assert not story.role.overlooked(CONTENT)


@pytest.mark.parametrize("deleting", [False, True])
async def test_a_content_whose_class_is_another_drivers_is_left_alone(
    *, story: Story, deleting: bool
) -> None:
    story.api.put(objects.class_(driver="other.example.com"))
    await story.start()
    await story.add(objects.content())
    if deleting:
        await story.delete()
    assert story.driver.calls == []
    assert story.writer.done == []


async def test_a_class_that_becomes_ours_wakes_its_contents(story: Story) -> None:
    story.api.put(objects.class_(driver="other.example.com"))
    await story.start()
    await story.add(objects.content())
    await story.add(objects.class_())
    assert story.content().ready


@pytest.mark.parametrize(
    "source",
    [
        snapshots.VolumeSnapshotContentSource(),
        snapshots.VolumeSnapshotContentSource(volume_handle="vol", snapshot_handle="handle"),
    ],
)
async def test_a_content_without_one_source_is_left_to_the_controller(
    story: Story, source: snapshots.VolumeSnapshotContentSource
) -> None:
    await story.start()
    await story.add(objects.content(spec__source=source))
    assert story.driver.calls == []
    assert story.writer.done == []


async def test_two_contents_know_nothing_of_each_other(story: Story) -> None:
    other = objects.content(
        metadata__name="snapcontent-uid-9",
        metadata__uid="uid-9c",
        spec__source=snapshots.VolumeSnapshotContentSource(volume_handle="vol-9"),
        spec__volume_snapshot_ref__uid="uid-9",
    )
    await story.start()
    story.api.put(other)
    await story.add(objects.content())
    assert sorted(story.driver.made) == ["snapshot-uid-1", "snapshot-uid-9"]
    await story.delete()
    assert story.gone()
    assert story.content(other.key).ready
    assert list(story.driver.kept) == [story.content(other.key).handle]


async def test_a_content_of_the_same_name_is_another_snapshot(story: Story) -> None:
    """What was known of the first, that nothing can have been made of it, is not known of it."""
    await story.start()
    await story.add(objects.content())
    await story.delete()
    await story.add(
        objects.content(metadata__uid="uid-2b", spec__volume_snapshot_ref__uid="uid-1b")
    )
    assert story.content().ready
    assert story.driver.made == ["snapshot-uid-1", "snapshot-uid-1b"]


async def test_an_answer_is_not_taken_for_one_about_another_content_of_the_name(
    story: Story,
) -> None:
    """The name was torn away and taken again while the driver was being asked."""
    story.driver.keep("first")
    story.driver.keep("second")
    story.driver.able.append(LISTS)
    await story.start()

    def replaced() -> None:
        story.api.put(objects.changed(story.content(GIVEN), metadata__finalizers=()))
        story.api.delete(GIVEN)
        story.api.put(given("second", uid="uid-2b"))
        story.deliver()

    story.points.meanwhile["after CheckSnapshot"] = replaced
    await story.add(given("first", uid="uid-2"))
    assert story.content(GIVEN).handle == "second"
    assert [request.snapshot_id for request in story.driver.requests] == ["first", "second"]


def given(handle: str, *, uid: str) -> snapshots.VolumeSnapshotContent:
    source = snapshots.VolumeSnapshotContentSource(snapshot_handle=handle)
    return objects.given_content(metadata__uid=uid, spec__source=source)


async def test_a_status_that_others_wrote_is_kept(story: Story) -> None:
    """Handle, time and size are facts of the cut: they are never written twice."""
    told = snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="snapshot-uid-1#1", creation_time=5, restore_size=6, ready_to_use=False
    )
    story.driver.cut("snapshot-uid-1")
    story.api.put(objects.content(status=told))
    await story.start()
    await story.settle()
    assert story.content().status == objects.changed(told, ready_to_use=True)
    assert names.CONTENT_FINALIZER in story.content().metadata.finalizers
