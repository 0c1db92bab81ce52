"""A call whose end is not known: the mark it leaves, and how it is found out what it made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import grpc
import objects
import pytest
from beside_driver import CONTENT, Story

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names

MARKED = {names.BEING_CREATED_ANNOTATION: names.MARK}
LOST = grpc.StatusCode.DEADLINE_EXCEEDED


@asynccontextmanager
async def in_a_call(story: Story) -> AsyncIterator[tuple[anyio.abc.TaskGroup, anyio.Event]]:
    """A creation whose call the driver has begun, and ends when the event is set."""
    gate = story.driver.gate = anyio.Event()
    await story.start()
    story.api.put(objects.content())
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(story.settle)
            await story.driver.asked.wait()
            yield group, gate


async def test_a_snapshot_whose_answer_was_lost_is_taken_up_and_not_cut_twice(
    story: Story,
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", LOST, done=True)
    await story.add(objects.content())
    assert story.marked()
    await story.look()
    assert story.content().handle == "snapshot-uid-1#1"
    assert story.driver.made == ["snapshot-uid-1"]
    assert not story.marked()


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("class_there", [True, False])
async def test_a_snapshot_whose_answer_was_lost_is_found_by_deletion_and_deleted(
    *, story: Story, anew: bool, class_there: bool
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", LOST, done=True)
    await story.add(objects.content())
    if not class_there:
        story.api.delete(objects.class_().key)
    if anew:
        going = {**story.content().metadata.annotations, names.BEING_DELETED_ANNOTATION: names.MARK}
        story.api.put(objects.changed(story.content(), metadata__annotations=going))
        story.api.delete(CONTENT)
        await story.start()
        await story.settle()
    else:
        await story.delete()
    assert story.driver.calls == ["CreateSnapshot", "CreateSnapshot", "DeleteSnapshot"]
    assert story.gone()
    assert story.driver.kept == {}
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_deletion_whose_answer_was_lost_is_asked_for_again(story: Story) -> None:
    await story.start()
    await story.add(objects.content())
    story.driver.fail("DeleteSnapshot", LOST, done=True)
    await story.delete()
    assert not story.gone()
    await story.look()
    assert story.gone()
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_call_that_takes_longer_is_marked_while_it_goes_on(story: Story) -> None:
    """And not before: a fast driver costs no write for the mark."""
    async with in_a_call(story) as (_, gate):
        story.clock.move(0.24)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert not story.marked()
        story.clock.move(0.02)
        while not story.marked():
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert story.content().ready
    assert not story.marked()
    assert [type(each) for each in story.writer.done] == [
        intents.UpdateMetadata,
        intents.PublishStatus,
        intents.UpdateMetadata,
    ]


async def test_a_process_that_dies_in_a_call_has_left_a_mark_and_the_next_one_goes_on(
    story: Story,
) -> None:
    async with in_a_call(story) as (group, _):
        story.clock.move(1)
        while not story.marked():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()  # the process dies; what it asked for is done
    assert story.driver.made == ["snapshot-uid-1"]
    story.driver.gate = None
    await story.start()
    await story.settle()
    assert story.content().ready
    assert not story.marked()
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_call_that_its_reconcile_did_not_live_to_see_is_asked_after(story: Story) -> None:
    """The same process, no mark, and no answer: the deadline of the reconcile came first."""
    async with in_a_call(story) as (group, _):
        group.cancel_scope.cancel()
    assert not story.marked()
    story.driver.gate = None
    await story.delete()
    assert story.gone()
    assert story.driver.kept == {}
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_mark_that_cannot_be_written_does_not_end_the_call(story: Story) -> None:
    async with in_a_call(story) as (_, gate):
        story.writer.fails.append(errors.Unavailable("no answer"))
        story.clock.move(1)
        while story.writer.fails:
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert story.content().ready


# What the reference's sidecar left: its mark comes before its call, and its status after it.


async def test_a_snapshot_that_the_reference_began_is_finished(story: Story) -> None:
    handle = story.driver.cut("snapshot-uid-1")
    await story.start()
    await story.add(objects.content(metadata__annotations=MARKED))
    assert story.content().handle == handle
    assert story.content().ready
    assert not story.marked()
    assert story.driver.made == ["snapshot-uid-1"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_snapshot_that_the_reference_began_is_found_and_deleted(
    *, story: Story, before: bool
) -> None:
    story.driver.cut("snapshot-uid-1")
    going = objects.content(
        metadata__annotations={**MARKED, names.BEING_DELETED_ANNOTATION: names.MARK},
        metadata__deletion_timestamp=objects.NOW_TEXT,
    )
    if before:
        story.api.put(going)
    await story.start()
    if not before:
        story.api.put(going)
    await story.settle()
    assert story.gone()
    assert story.driver.kept == {}
    assert story.driver.made == ["snapshot-uid-1"]


async def test_a_snapshot_that_the_reference_began_is_not_given_up_for_a_failure(
    story: Story,
) -> None:
    """The content is new to this process, and yet its calls are not the first."""
    story.driver.cut("snapshot-uid-1")
    await story.start()
    story.driver.fail("CreateSnapshot", grpc.StatusCode.INTERNAL)
    going = objects.content(
        metadata__annotations={**MARKED, names.BEING_DELETED_ANNOTATION: names.MARK},
        metadata__deletion_timestamp=objects.NOW_TEXT,
    )
    await story.add(going)
    assert not story.gone()
    await story.look()
    assert story.gone()
    assert story.driver.kept == {}


async def test_a_snapshot_that_the_reference_began_in_vain_holds_nothing_up(story: Story) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", grpc.StatusCode.INVALID_ARGUMENT)
    await story.add(
        objects.content(
            metadata__annotations={**MARKED, names.BEING_DELETED_ANNOTATION: names.MARK},
            metadata__deletion_timestamp=objects.NOW_TEXT,
        )
    )
    assert story.gone()
    assert story.driver.calls == ["CreateSnapshot"]


async def test_a_mark_that_was_left_on_a_ready_content_goes_without_a_call(story: Story) -> None:
    story.api.put(objects.ready_content(metadata__annotations=MARKED))
    await story.start()
    await story.settle()
    assert not story.marked()
    assert story.driver.calls == []
    assert story.content().status == objects.STATUS
    assert len(story.writer.done) == 1


async def test_a_new_content_that_goes_before_anything_was_asked_for_needs_no_call(
    story: Story,
) -> None:
    """Deletion asks only where a call may have been made: here the class was missing."""
    await story.start()
    await story.add(objects.content(spec__volume_snapshot_class_name="silver"))
    await story.delete()
    assert story.gone()
    assert story.driver.calls == []
