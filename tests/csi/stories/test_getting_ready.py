"""A snapshot that is not ready yet is polled (reference: TestSyncContent 1-7 to 1-9)."""

import grpc
import objects
import pytest
from beside_driver import Story, secret
from scripted_driver import GETS, LISTS

from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents
from snapshotd.model import names

WAYS = [
    ((), "CreateSnapshot"),
    ((LISTS,), "ListSnapshots"),
    ((GETS,), "GetSnapshot"),
    ((LISTS, GETS), "GetSnapshot"),
]
LIST_SECRET = {
    names.LIST_SECRET_NAME_PARAMETER: "s-${volumesnapshotcontent.name}",
    names.LIST_SECRET_NAMESPACE_PARAMETER: "vault",
}


async def test_a_snapshot_that_is_not_ready_is_told_and_looked_at_again(story: Story) -> None:
    """1-7."""
    story.driver.looks_until_ready = 1
    await story.start()
    [look] = await story.add(objects.content())
    assert look.after == 2.0
    assert look.failure is None
    status = story.content().status
    assert status is not None
    assert (status.snapshot_handle, status.ready_to_use) == ("snapshot-uid-1#1", False)
    assert status.error is None
    assert not story.marked()


@pytest.mark.parametrize(("able", "method"), WAYS)
async def test_polls_go_on_at_growing_intervals_and_write_nothing(
    story: Story, able: tuple[int, ...], method: str
) -> None:
    """1-8: by the cheapest call that the driver has."""
    story.driver.able += able
    story.driver.looks_until_ready = 100
    await story.start()
    await story.add(objects.content())
    written = len(story.writer.done)
    delays = [(await story.look()).after for _ in range(14)]
    assert len(story.writer.done) == written
    assert story.waiting.keys == {}  # nothing but the timer looks at it
    assert story.driver.calls == ["CreateSnapshot"] + 14 * [method]
    assert [round(each or 0, 2) for each in delays[:3]] == [2.6, 3.38, 4.39]
    assert delays == sorted(delays, key=lambda each: each or 0)
    assert delays[-1] == 30.0
    assert story.driver.made == ["snapshot-uid-1"]


@pytest.mark.parametrize(("able", "method"), WAYS)
async def test_a_snapshot_that_becomes_ready_is_told_and_left_alone(
    story: Story, able: tuple[int, ...], method: str
) -> None:
    """1-9."""
    story.driver.able += able
    story.driver.looks_until_ready = 2
    await story.start()
    await story.add(objects.content())
    await story.look()
    assert not story.content().ready
    look = await story.look()
    assert look.after is None
    assert story.content().ready
    assert story.driver.calls == ["CreateSnapshot", method, method]
    published = [each for each in story.writer.done if isinstance(each, intents.PublishStatus)]
    assert published[-1].status == intents.ContentStatusChange(ready_to_use=True)
    await story.settle()
    await story.look()
    assert len(story.driver.calls) == 3
    assert story.events() == []


async def test_the_interval_begins_anew_for_the_next_snapshot(story: Story) -> None:
    story.driver.looks_until_ready = 3
    await story.start()
    await story.add(objects.content())
    assert (await story.look()).after == 2.6
    fresh = objects.content(
        metadata__name="snapcontent-uid-9",
        metadata__uid="uid-9c",
        spec__volume_snapshot_ref__uid="uid-9",
    )
    [look] = await story.add(fresh)
    assert look.after == 2.0


async def test_a_poll_that_fails_is_told_and_the_next_one_that_does_not_clears_it(
    story: Story,
) -> None:
    story.driver.able.append(LISTS)
    story.driver.looks_until_ready = 2
    await story.start()
    await story.add(objects.content())
    story.driver.fail("ListSnapshots", grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL)
    look = await story.look()
    assert look.failure is not None
    told = "Failed to check and update snapshot content: INTERNAL: in the driver's own words"
    assert story.problem() == told
    assert story.events() == [("SnapshotContentCheckandUpdateFailed", told)]
    assert not story.marked()
    written = len(story.writer.done)
    await story.look()
    assert (len(story.writer.done), len(story.events())) == (written, 1)
    await story.look()
    assert story.problem() == ""
    await story.look()
    assert story.content().ready


async def test_a_snapshot_that_is_lost_while_it_gets_ready_is_told(story: Story) -> None:
    story.driver.able.append(LISTS)
    story.driver.looks_until_ready = 9
    await story.start()
    await story.add(objects.content())
    story.driver.kept.clear()
    await story.look()
    assert "can not find snapshot for snapshotID snapshot-uid-1#1" in story.problem()
    assert story.driver.made == ["snapshot-uid-1"]  # none is cut in its place


async def test_a_poll_by_list_sends_the_class_list_secret(story: Story) -> None:
    story.api.put(secret("s-snapcontent-uid-1", token="open sesame"))
    story.api.put(objects.class_(parameters=LIST_SECRET))
    story.driver.able.append(LISTS)
    story.driver.looks_until_ready = 1
    await story.start()
    await story.add(objects.content())
    await story.look()
    sent = story.driver.requests[-1]
    assert isinstance(sent, csi_pb2.ListSnapshotsRequest)
    assert dict(sent.secrets) == {"token": "open sesame"}
    assert sent.snapshot_id == "snapshot-uid-1#1"
    assert story.content().ready


async def test_a_new_process_polls_on_for_the_snapshot_that_is_there(story: Story) -> None:
    story.driver.looks_until_ready = 2
    await story.start()
    await story.add(objects.content())
    await story.start()
    [look] = await story.settle()
    assert look.after == 2.0
    await story.look()
    assert story.content().ready
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_driver_that_learned_to_list_is_polled_by_list(story: Story) -> None:
    story.driver.looks_until_ready = 9
    await story.start()
    await story.add(objects.content())
    story.driver.able.append(LISTS)
    await story.come_back()
    await story.settle()
    assert story.driver.calls == ["CreateSnapshot", "ListSnapshots"]
