"""A group goes (reference: shouldDelete, deleteCSIGroupSnapshotOperation, sync Retain)."""

import grpc
import objects
import pytest
from beside_driver import GROUP, GroupStory, secret

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents
from snapshotd.model import groups, names, snapshots

HANDLE = "groupsnapshot-uid-7#1"
WORDS = "in the driver's own words"
FAILURES = [each for each in grpc.StatusCode if each.name not in {"OK", "NOT_FOUND"}]
SECRET = {
    names.GROUP_DELETION_SECRET_NAME: "creds",
    names.GROUP_DELETION_SECRET_NAMESPACE: "vault",
}


async def made(story: GroupStory, **fields: object) -> None:
    """Have a group that is ready."""
    await story.start()
    await story.add(objects.group_content(**fields))
    assert story.content().ready
    story.driver.calls.clear()
    story.driver.requests.clear()
    story.writer.done.clear()


def left(story: GroupStory) -> tuple[list[str], int]:
    """Return the groups and the number of snapshots that are left on storage."""
    return list(story.driver.groups), len(story.driver.kept)


async def test_policy_delete_deletes_all_members_by_one_call_and_one_write(
    grouped: GroupStory,
) -> None:
    await made(grouped)
    await grouped.delete()
    [sent] = grouped.driver.requests
    assert isinstance(sent, csi_pb2.DeleteVolumeGroupSnapshotRequest)
    assert (sent.group_snapshot_id, dict(sent.secrets)) == (HANDLE, {})
    assert list(sent.snapshot_ids) == [f"{HANDLE}/vol-a", f"{HANDLE}/vol-b"]
    assert [type(each) for each in grouped.writer.done] == [intents.UpdateMetadata]
    assert grouped.gone()
    assert left(grouped) == ([], 0)
    assert grouped.events() == []


@pytest.mark.parametrize("lost", [False, True])
async def test_policy_retain_keeps_all_and_lets_the_content_go(
    *, grouped: GroupStory, lost: bool
) -> None:
    await grouped.start()
    if lost:
        grouped.driver.fail("CreateVolumeGroupSnapshot", grpc.StatusCode.UNAVAILABLE, done=True)
    await grouped.add(objects.group_content(spec__deletion_policy=names.RETAIN))
    await grouped.delete()
    assert grouped.gone()
    assert grouped.driver.calls == ["CreateVolumeGroupSnapshot"]
    assert left(grouped) == ([HANDLE], 2)


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
async def test_a_deletion_that_fails_keeps_the_content_and_is_told(
    grouped: GroupStory, code: grpc.StatusCode
) -> None:
    await made(grouped)
    grouped.driver.fail("DeleteVolumeGroupSnapshot", code)
    looks = await grouped.delete()
    assert isinstance(looks[-1].failure, errors.Unsuccessful)  # again after its backoff
    told = f"Failed to delete group snapshot: {code.name}: {WORDS}"
    assert grouped.events() == [("GroupSnapshotDeleteError", told)]
    assert grouped.content().metadata.finalizers == (names.GROUP_CONTENT_FINALIZER,)
    assert grouped.content().ready
    await grouped.look()
    assert grouped.gone()
    assert left(grouped) == ([], 0)


@pytest.mark.parametrize("told", [True, False])
async def test_a_group_that_is_gone_already_lets_its_content_go(
    *, grouped: GroupStory, told: bool
) -> None:
    await made(grouped)
    grouped.driver.groups.clear()
    if told:
        grouped.driver.fail("DeleteVolumeGroupSnapshot", grpc.StatusCode.NOT_FOUND)
    await grouped.delete()
    assert grouped.gone()
    assert grouped.events() == []


async def test_a_group_that_the_driver_does_not_find_and_tells_of_is_kept(
    grouped: GroupStory,
) -> None:
    """It missed one member, and left the others."""
    await made(grouped)
    grouped.driver.fail("DeleteVolumeGroupSnapshot", grpc.StatusCode.NOT_FOUND)
    await grouped.delete()
    told = "Failed to delete group snapshot: NOT_FOUND, and the driver tells of it"
    assert grouped.events() == [("GroupSnapshotDeleteError", told)]
    assert not grouped.gone()
    await grouped.look()
    assert grouped.gone()
    assert left(grouped) == ([], 0)


async def test_a_deletion_whose_answer_was_lost_is_asked_for_again(grouped: GroupStory) -> None:
    await made(grouped)
    grouped.driver.fail("DeleteVolumeGroupSnapshot", grpc.StatusCode.DEADLINE_EXCEEDED, done=True)
    await grouped.delete()
    assert not grouped.gone()
    await grouped.look()
    assert grouped.gone()
    assert grouped.driver.made == ["groupsnapshot-uid-7"]


async def test_a_deletion_waits_for_the_mark_and_no_longer(grouped: GroupStory) -> None:
    await made(grouped)
    await grouped.delete(marked=False)
    assert not grouped.gone()
    assert (grouped.driver.calls, grouped.writer.done) == ([], [])
    grouped.mark_for_deletion()
    await grouped.settle()
    assert grouped.gone()
    assert left(grouped) == ([], 0)


async def test_the_mark_without_a_deletion_deletes_nothing(grouped: GroupStory) -> None:
    await made(grouped)
    grouped.mark_for_deletion()
    await grouped.settle()
    assert not grouped.gone()
    assert (grouped.driver.calls, grouped.writer.done) == ([], [])


async def test_the_secret_that_the_content_names_goes_along_and_is_waited_for(
    grouped: GroupStory,
) -> None:
    grouped.api.put(secret(password="open sesame"))
    await made(grouped, metadata__annotations=SECRET)
    gone = grouped.api.objects.pop(secret().key)
    await grouped.delete()
    told = "Failed to get snapshot credentials: secret vault/creds does not exist"
    assert grouped.events() == [("GroupSnapshotDeleteError", told)]
    assert grouped.driver.calls == []
    assert not grouped.gone()
    grouped.api.put(gone)
    await grouped.look()
    assert [dict(each.secrets) for each in grouped.driver.requests] == [{"password": "open sesame"}]
    assert grouped.gone()
    assert left(grouped) == ([], 0)


async def test_a_deletion_needs_no_class_and_no_word_of_the_drivers_abilities(
    grouped: GroupStory,
) -> None:
    await made(grouped)
    grouped.api.delete(objects.group_class().key)
    grouped.driver.group_able = []
    await grouped.come_back()
    await grouped.settle()
    await grouped.delete()
    assert grouped.gone()
    assert left(grouped) == ([], 0)


async def test_what_others_hold_stays_and_is_not_deleted_twice(grouped: GroupStory) -> None:
    both = (names.GROUP_CONTENT_FINALIZER, "example.com/mine")
    await made(grouped, metadata__finalizers=both)
    await grouped.delete()
    assert grouped.content().metadata.finalizers == ("example.com/mine",)
    await grouped.look()
    await grouped.start()
    await grouped.settle()
    assert grouped.driver.calls == ["DeleteVolumeGroupSnapshot"]


async def test_a_group_that_the_reference_noted_without_members_is_deleted_whole(
    grouped: GroupStory,
) -> None:
    """It notes the handle whatever the list, and then never gets rid of it."""
    grouped.driver.cut_group("groupsnapshot-uid-7", "vol-a", "vol-b")
    status = groups.GroupContentStatus(HANDLE, ready_to_use=False)
    grouped.api.put(objects.group_content(status=status))
    await grouped.start()
    await grouped.delete()
    assert grouped.gone()
    assert left(grouped) == ([], 0)
    assert grouped.driver.made == ["groupsnapshot-uid-7"]


async def test_a_group_that_the_reference_deleted_and_did_not_let_go_is_let_go(
    grouped: GroupStory,
) -> None:
    """Its handle is cleared, its list is not: what a question by its name cuts goes again."""
    cleared = objects.changed(
        objects.GROUP_STATUS, volume_group_snapshot_handle=None, ready_to_use=None
    )
    grouped.api.put(objects.group_content(status=cleared))
    await grouped.start()
    grouped.driver.groups.clear()
    await grouped.delete()
    assert grouped.gone()
    assert left(grouped) == ([], 0)


# Members


@pytest.mark.parametrize("able", [(), (5,)])
@pytest.mark.parametrize(
    "source",
    [
        snapshots.VolumeSnapshotContentSource("vol-a"),
        snapshots.VolumeSnapshotContentSource(snapshot_handle=f"{HANDLE}/vol-a"),
    ],
    ids=["cut", "given"],
)
@pytest.mark.parametrize("status", [None, objects.STATUS], ids=["untold", "told"])
async def test_a_member_is_let_go_and_its_snapshot_stays_until_its_group_goes(
    grouped: GroupStory,
    source: snapshots.VolumeSnapshotContentSource,
    status: snapshots.VolumeSnapshotContentStatus | None,
    able: tuple[int, ...],
) -> None:
    grouped.driver.able += able
    await made(grouped)
    member = objects.content(
        spec__source=source,
        status=status,
        metadata__deletion_timestamp=objects.NOW_TEXT,
        metadata__annotations={
            names.GROUP_HANDLE_ANNOTATION: HANDLE,
            names.BEING_DELETED_ANNOTATION: names.MARK,
        },
    )
    await grouped.add(member)
    assert grouped.gone(member.key)
    assert "DeleteSnapshot" not in grouped.driver.calls
    assert left(grouped) == ([HANDLE], 2)
    await grouped.delete(GROUP)
    assert left(grouped) == ([], 0)
