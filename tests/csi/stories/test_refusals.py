"""Every code with which CreateSnapshot can fail: what is told, what is left, what deletion does.

The table is the reference's (4.4) where that is safe; where it may leak, deletion asks once more.
"""

import grpc
import objects
import pytest
import refused
from beside_driver import Story

from snapshotd import errors
from snapshotd.decide import outcomes

Status = grpc.StatusCode


each_row = pytest.mark.parametrize("row", refused.TABLE, ids=lambda row: row.code.name)


def test_the_table_has_every_code() -> None:
    assert {row.code.name for row in refused.TABLE} == {code.name for code in outcomes.Code}


@each_row
async def test_a_code_is_told_and_marked_by_what_it_means(story: Story, row: refused.Row) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", row.code)
    looks = await story.add(objects.content())
    assert [type(look.failure) for look in looks] == [errors.Unsuccessful]  # its backoff is next
    told = f"Failed to create snapshot: {row.code.name}: in the driver's own words"
    assert story.problem() == (told if row.told else "")
    assert story.events() == ([("SnapshotCreationFailed", told)] if row.told else [])
    assert story.marked() is row.marked
    assert not story.content().handle


@each_row
async def test_a_failure_that_goes_on_is_told_once(story: Story, row: refused.Row) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", row.code, row.code, row.code)
    await story.add(objects.content())
    written, told = len(story.writer.done), story.events()
    await story.look()
    await story.look()
    assert (len(story.writer.done), story.events()) == (written, told)
    assert story.driver.calls == 3 * ["CreateSnapshot"]


@each_row
async def test_whatever_went_wrong_the_next_answer_puts_it_right(
    story: Story, row: refused.Row
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", row.code)
    await story.add(objects.content())
    await story.look()
    assert story.content().ready
    assert story.problem() == ""
    assert not story.marked()


@each_row
async def test_deletion_asks_again_unless_nothing_can_have_been_made(
    story: Story, row: refused.Row
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", row.code)
    await story.add(objects.content())
    await story.delete()
    asked = ["CreateSnapshot", "DeleteSnapshot"] if row.asked else []
    assert story.driver.calls == ["CreateSnapshot", *asked]
    assert story.gone()
    assert story.driver.kept == {}


@pytest.mark.parametrize(
    "row", [row for row in refused.TABLE if row.asked], ids=lambda row: row.code.name
)
async def test_what_was_made_in_spite_of_a_failure_is_found_and_deleted(
    story: Story, row: refused.Row
) -> None:
    """The other codes are definite: a driver that made one would break the specification."""
    await story.start()
    story.driver.fail("CreateSnapshot", row.code, done=True)
    await story.add(objects.content())
    assert list(story.driver.kept) == ["snapshot-uid-1#1"]
    await story.delete()
    assert story.gone()
    assert story.driver.kept == {}
    assert story.driver.made == ["snapshot-uid-1"]  # found under its name: no second was cut


@each_row
async def test_a_new_process_asks_after_whatever_code_an_old_one_saw(
    story: Story, row: refused.Row
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", row.code, done=True)
    await story.add(objects.content())
    await story.start()
    story.driver.fail("CreateSnapshot", Status.UNAVAILABLE)  # its first look, before the deletion
    await story.settle()
    await story.delete()
    assert story.gone()
    assert story.driver.kept == {}


@pytest.mark.parametrize(
    ("before", "then", "kept"),
    [
        (Status.INTERNAL, Status.INTERNAL, False),  # it fails, and always answered
        (Status.INTERNAL, Status.INVALID_ARGUMENT, False),
        (Status.UNAVAILABLE, Status.INVALID_ARGUMENT, False),  # definite: nothing of this name
        (Status.UNAVAILABLE, Status.NOT_FOUND, False),
        (Status.UNAVAILABLE, Status.INTERNAL, True),
        (Status.UNAVAILABLE, Status.UNAUTHENTICATED, True),  # says nothing of what was made
        (Status.INTERNAL, Status.DEADLINE_EXCEEDED, True),
        (Status.INVALID_ARGUMENT, None, False),
        (Status.ABORTED, Status.ABORTED, True),
        (Status.ALREADY_EXISTS, Status.ALREADY_EXISTS, True),
    ],
)
async def test_a_content_is_let_go_when_nothing_can_be_left(
    *, story: Story, before: grpc.StatusCode, then: grpc.StatusCode | None, kept: bool
) -> None:
    await story.start()
    story.driver.fail("CreateSnapshot", before, *([then] if then else []))
    await story.add(objects.content())
    story.recorder.told.clear()
    await story.delete()
    assert story.gone() is not kept
    if kept:
        assert then is not None
        reason, message = story.events()[0]
        assert reason == "SnapshotDeleteError"
        assert message == (
            "Failed to find out whether a snapshot was made: "
            f"{then.name}: in the driver's own words"
        )
        await story.look()
        assert story.gone()
    assert story.driver.kept == {}
