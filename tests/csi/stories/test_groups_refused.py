"""CreateVolumeGroupSnapshot fails, or its answer is lost, or is one of a part of the group."""

import anyio
import anyio.lowlevel
import grpc
import objects
import pytest
import refused
from beside_driver import GroupStory
from scripted_driver import LISTS

from snapshotd import errors
from snapshotd.decide import intents

Status = grpc.StatusCode
WORDS = "in the driver's own words"
HANDLE = "groupsnapshot-uid-7#1"
CREATE, GET, DELETE = (f"{verb}VolumeGroupSnapshot" for verb in ("Create", "Get", "Delete"))


each_row = pytest.mark.parametrize("row", refused.TABLE, ids=lambda row: row.code.name)


@each_row
async def test_a_code_is_told_once_and_marked_and_the_next_answer_puts_it_right(
    grouped: GroupStory, row: refused.Row
) -> None:
    story = grouped
    await story.start()
    story.driver.fail(CREATE, row.code, row.code)
    [look] = await story.add(objects.group_content())
    assert isinstance(look.failure, errors.Unsuccessful)  # its backoff is next
    told = f"Failed to create group snapshot: {row.code.name}: {WORDS}"
    assert story.problem() == (told if row.told else "")
    assert story.events() == ([("GroupSnapshotCreationFailed", told)] if row.told else [])
    assert story.marked() is row.marked
    written = len(story.writer.done)
    await story.look()
    assert (len(story.writer.done), len(story.events())) == (written, int(row.told))
    await story.look()
    assert story.content().ready
    assert (story.problem(), story.marked()) == ("", False)


@each_row
async def test_deletion_asks_again_unless_nothing_can_have_been_made(
    grouped: GroupStory, row: refused.Row
) -> None:
    """What was made in spite of the failure is deleted with all its members."""
    story = grouped
    await story.start()
    story.driver.fail(CREATE, row.code, done=row.asked)
    await story.add(objects.group_content())
    await story.delete()
    assert story.driver.calls == [CREATE, *([CREATE, DELETE] if row.asked else [])]
    assert story.gone()
    assert (story.driver.groups, story.driver.kept) == ({}, {})
    assert len(story.driver.made) == int(row.asked)


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("class_there", [True, False])
async def test_a_group_whose_answer_was_lost_is_found_by_deletion_and_deleted_with_its_members(
    *, grouped: GroupStory, anew: bool, class_there: bool
) -> None:
    story = grouped
    await story.start()
    story.driver.fail(CREATE, Status.DEADLINE_EXCEEDED, done=True)
    await story.add(objects.group_content())
    assert story.marked()
    if not class_there:
        story.api.delete(objects.group_class().key)
    if anew:
        story.mark_for_deletion()
        story.api.delete(story.about)
        await story.start()
        await story.settle()
    else:
        await story.delete()
    assert story.driver.calls == [CREATE, CREATE, DELETE]
    sent = story.driver.requests[-1]
    assert list(sent.snapshot_ids) == [f"{HANDLE}/vol-a", f"{HANDLE}/vol-b"]
    assert story.gone()
    assert (story.driver.groups, story.driver.kept) == ({}, {})
    assert story.driver.made == ["groupsnapshot-uid-7"]


async def test_a_call_that_takes_longer_is_marked_while_it_goes_on(grouped: GroupStory) -> None:
    story = grouped
    gate = story.driver.gate = anyio.Event()
    await story.start()
    story.api.put(objects.group_content())
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(story.settle)
            await story.driver.asked.wait()
            assert not story.marked()
            story.clock.move(0.26)
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


def cut_now(story: GroupStory) -> None:
    """Have all snapshots be younger than the contents: they may be a lost call's."""
    for each in story.driver.kept.values():
        each.creation_time.seconds = int(objects.NOW) + 60


@pytest.mark.parametrize(("lost", "stray"), [("vol-a", "vol-b"), ("vol-b", "vol-a")])
async def test_a_refusal_after_a_lost_call_is_held_against_the_lists_of_all_volumes(
    grouped: GroupStory, lost: str, stray: str
) -> None:
    """One volume is gone by now, and the driver looks for volumes before it looks for names."""
    story = grouped
    story.driver.able.append(LISTS)
    await story.start()
    story.driver.fail(CREATE, Status.UNAVAILABLE, done=True)
    await story.add(objects.group_content())
    del story.driver.kept[f"{HANDLE}/{lost}"]
    cut_now(story)
    story.driver.fail(CREATE, Status.NOT_FOUND)
    await story.delete()
    assert not story.gone()
    assert story.driver.calls[2:] == ["ListSnapshots", "ListSnapshots"]
    [(reason, message)] = story.events()[1:]
    assert reason == "GroupSnapshotDeleteError"
    assert f"belong to no VolumeSnapshotContent: {HANDLE}/{stray}. " in message
    story.driver.kept.clear()
    story.driver.fail(CREATE, Status.NOT_FOUND)
    await story.look()
    assert story.gone()


@pytest.mark.parametrize("failing", [0, 1])
async def test_one_list_that_cannot_be_had_keeps_the_group(
    grouped: GroupStory, failing: int
) -> None:
    story = grouped
    story.driver.able.append(LISTS)
    await story.start()
    story.driver.fail(CREATE, Status.UNAVAILABLE)
    await story.add(objects.group_content())
    story.driver.fail(CREATE, Status.NOT_FOUND)
    if failing:
        story.points.meanwhile["after FindSnapshots"] = lambda: story.driver.fail(
            "ListSnapshots", Status.INTERNAL
        )
    else:
        story.driver.fail("ListSnapshots", Status.INTERNAL)
    await story.delete()
    assert not story.gone()
    told = f"Failed to find out whether a group snapshot was made: INTERNAL: {WORDS}"
    assert story.events()[1:] == [("GroupSnapshotDeleteError", told)]


async def test_snapshots_of_a_group_that_is_known_are_nobodys_strays(grouped: GroupStory) -> None:
    story = grouped
    story.driver.able.append(LISTS)
    await story.start()
    other = objects.group_content(
        metadata__name="groupsnapcontent-uid-9",
        metadata__uid="uid-9c",
        spec__volume_group_snapshot_ref__uid="uid-9",
    )
    await story.add(other)
    cut_now(story)
    story.driver.fail(CREATE, Status.UNAVAILABLE, Status.NOT_FOUND)
    await story.add(objects.group_content())
    await story.delete()
    assert story.driver.calls[-2:] == ["ListSnapshots", "ListSnapshots"]
    assert story.gone()
    assert len(story.driver.groups) == 1


# A part of the group

PART = (
    f"Failed to create group snapshot: the driver's group snapshot {HANDLE} is not whole: it has "
    "no snapshot of volume vol-b; delete the VolumeGroupSnapshot, and take another"
)


async def test_a_group_without_a_snapshot_of_each_volume_is_told_and_not_ready(
    grouped: GroupStory,
) -> None:
    story = grouped
    story.driver.untold = {"vol-b"}
    story.driver.checks = False
    await story.start()
    [look] = await story.add(objects.group_content())
    assert isinstance(look.failure, errors.Unsuccessful)
    assert story.problem() == PART
    assert story.events() == [("GroupSnapshotCreationFailed", PART)]
    assert not story.content().ready
    written = len(story.writer.done)
    await story.look()
    assert (len(story.writer.done), len(story.events())) == (written, 1)
    assert story.content().member_handles == (f"{HANDLE}/vol-a",)


@pytest.mark.parametrize("untold", [{"vol-b"}, {"vol-a", "vol-b"}])
async def test_a_group_that_is_told_of_in_full_later_is_ready(
    grouped: GroupStory, untold: set[str]
) -> None:
    """A driver that checks the list refuses what we know: we ask by the name, and cut no other."""
    grouped.driver.untold = untold
    await grouped.start()
    await grouped.add(objects.group_content())
    assert not grouped.content().ready
    grouped.driver.untold = set()
    await grouped.look()
    assert grouped.content().ready
    assert grouped.problem() == ""
    assert len(grouped.content().member_handles) == 2
    assert grouped.driver.made == ["groupsnapshot-uid-7"]


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("untold", [{"vol-b"}, {"vol-a", "vol-b"}])
async def test_a_group_that_was_told_of_in_part_is_deleted_whole(
    *, grouped: GroupStory, untold: set[str], checks: bool
) -> None:
    story = grouped
    story.driver.untold, story.driver.checks = untold, checks
    await story.start()
    await story.add(objects.group_content())
    story.driver.untold = set()
    await story.delete()
    assert story.gone()
    assert (story.driver.groups, story.driver.kept) == ({}, {})
    assert story.driver.made == ["groupsnapshot-uid-7"]


async def test_a_group_whose_members_the_driver_keeps_to_itself_is_kept_and_told(
    grouped: GroupStory,
) -> None:
    story = grouped
    story.driver.untold = {"vol-b"}
    await story.start()
    await story.add(objects.group_content())
    looks = await story.delete()
    assert isinstance(looks[-1].failure, errors.Unsuccessful)
    told = f"Failed to delete group snapshot: the driver does not tell which snapshots {HANDLE} has"
    assert story.events()[1:] == [("GroupSnapshotDeleteError", told)]
    assert story.content().member_handles == (f"{HANDLE}/vol-a",)
    story.driver.untold = set()
    await story.look()
    assert story.gone()
    assert story.driver.kept == {}


async def test_a_member_that_a_poll_leaves_out_is_still_deleted_with_the_others(
    grouped: GroupStory,
) -> None:
    story = grouped
    story.driver.looks_until_ready = 9
    await story.start()
    await story.add(objects.group_content())
    story.driver.untold = {"vol-b"}
    await story.look()
    assert story.problem() == PART
    assert len(story.content().member_handles) == 2
    await story.delete()
    assert story.gone()
    assert story.driver.calls[-1:] == [DELETE]
    assert story.driver.kept == {}
