"""A driver that lists has the last word by its list, not by a refusal (after a lost call)."""

import grpc
import objects
import pytest
from beside_driver import Story
from scripted_driver import LISTS

from snapshotd.csi._pb import csi_pb2
from snapshotd.model import names, snapshots

REFUSED = grpc.StatusCode.INVALID_ARGUMENT
ASKED = ["CreateSnapshot", "CreateSnapshot", "ListSnapshots"]


async def lose(story: Story, *, done: bool) -> None:
    """Have a call whose answer is lost; the next one is refused."""
    story.driver.able.append(LISTS)
    await story.start()
    story.driver.fail("CreateSnapshot", grpc.StatusCode.UNAVAILABLE, done=done)
    story.driver.fail("CreateSnapshot", REFUSED)
    await story.add(objects.content(metadata__creation_timestamp=objects.NOW_TEXT))
    for each in story.driver.kept.values():
        each.creation_time.seconds = int(objects.NOW) + 1


async def test_a_snapshot_that_a_refusal_hides_is_named_and_keeps_the_content(
    story: Story,
) -> None:
    await lose(story, done=True)
    story.recorder.told.clear()
    looks = await story.delete()
    assert story.driver.calls == ASKED
    sent = story.driver.requests[-1]
    assert (sent.source_volume_id, sent.snapshot_id) == ("vol", "")
    assert looks[-1].failure is not None
    [(reason, message)] = story.events()
    assert reason == "SnapshotDeleteError"
    assert "that belong to no VolumeSnapshotContent: snapshot-uid-1#1." in message
    assert names.CONTENT_FINALIZER in story.content().metadata.finalizers


async def test_once_it_is_deleted_by_hand_the_content_goes(story: Story) -> None:
    await lose(story, done=True)
    await story.delete()
    story.driver.kept.clear()
    story.driver.fail("CreateSnapshot", REFUSED)
    await story.look()
    assert story.gone()
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_driver_that_refuses_no_longer_finds_it_itself(story: Story) -> None:
    await lose(story, done=True)
    await story.delete()
    await story.look()
    assert story.gone()
    assert story.driver.kept == {}


async def test_a_list_that_knows_of_none_lets_the_content_go(story: Story) -> None:
    await lose(story, done=False)
    await story.delete()
    assert story.driver.calls == ASKED
    assert story.gone()


async def test_snapshots_that_have_contents_or_are_older_are_no_reason(story: Story) -> None:
    """All pages of the list are read: here one snapshot stands on each."""
    story.driver.page = 1
    await lose(story, done=False)
    for handle in ("handle", "given", "old"):
        story.driver.keep(handle)
        story.driver.kept[handle].creation_time.seconds = int(objects.NOW) + 1
    story.driver.kept["old"].creation_time.seconds = int(objects.NOW) - 3600
    other = objects.ready_content(metadata__name="snapcontent-uid-9", metadata__uid="uid-9c")
    given = objects.given_content(
        spec__source=snapshots.VolumeSnapshotContentSource(snapshot_handle="given"),
        status=objects.STATUS,
    )
    story.api.put(other)
    story.api.put(objects.changed(given, status__snapshot_handle=None))
    await story.delete()
    assert story.driver.calls == [*ASKED, "ListSnapshots", "ListSnapshots"]
    tokens = [each.starting_token for each in story.driver.requests[2:]]
    assert tokens == ["", "1", "2"]
    assert story.gone()


async def test_snapshots_of_other_volumes_are_no_reason(story: Story) -> None:
    """There are drivers that list everything, whatever volume they are asked for."""
    story.driver.filters = False
    await lose(story, done=False)
    story.driver.keep("theirs", "another volume")
    story.driver.kept["theirs"].creation_time.seconds = int(objects.NOW) + 1
    await story.delete()
    assert story.gone()
    assert list(story.driver.kept) == ["theirs"]


@pytest.mark.parametrize(
    "code",
    [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK],
    ids=lambda code: code.name,
)
async def test_a_list_that_fails_keeps_the_content(story: Story, code: grpc.StatusCode) -> None:
    await lose(story, done=True)
    story.driver.fail("ListSnapshots", code)
    await story.delete()
    assert not story.gone()
    assert story.events()[-1][0] == "SnapshotDeleteError"
    assert code.name in story.events()[-1][1]
    assert isinstance(story.driver.requests[-1], csi_pb2.ListSnapshotsRequest)
