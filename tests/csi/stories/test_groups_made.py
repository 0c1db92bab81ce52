"""A group is cut, polled and published (reference: groupsnapshot_controller and helper tests)."""

import objects
import pytest
from beside_driver import GROUP, GroupStory, secret

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents
from snapshotd.model import groups, keys, names, snapshots

HANDLE = "groupsnapshot-uid-7#1"
UID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def naming_secret(name: str = "creds", namespace: str = "vault") -> dict[str, str]:
    """Return the annotations by which a group's content names its Secret."""
    return {
        names.GROUP_DELETION_SECRET_NAME: name,
        names.GROUP_DELETION_SECRET_NAMESPACE: namespace,
    }


def member(name: str, **fields: object) -> groups.MemberInfo:
    """Return what is told of a member that is ready."""
    info = groups.MemberInfo(
        f"vol-{name}", f"{HANDLE}/vol-{name}", 10**18, ready_to_use=True, restore_size=1 << 30
    )
    made: groups.MemberInfo = objects.changed(info, **fields)
    return made


def status(story: GroupStory) -> groups.GroupContentStatus:
    """Return the group's status, which is there."""
    found = story.content().status
    assert found is not None
    return found


async def test_a_group_is_made_ready_by_one_call_and_one_write(grouped: GroupStory) -> None:
    story = grouped
    await story.start()
    looks = await story.add(objects.group_content())
    assert story.content().status == groups.GroupContentStatus(
        volume_group_snapshot_handle=HANDLE,
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        volume_snapshot_info_list=(member("a"), member("b")),
    )
    assert story.driver.calls == ["CreateVolumeGroupSnapshot"]
    assert [type(each) for each in story.writer.done] == [intents.PublishStatus]
    assert {(each.failure, each.after) for each in looks} == {(None, None)}
    assert story.events() == []
    await story.look()
    assert len(story.driver.calls) == 1


async def test_all_volumes_are_asked_for_under_the_groups_own_name(grouped: GroupStory) -> None:
    await grouped.start()
    await grouped.add(objects.group_content())
    [sent] = grouped.driver.requests
    assert isinstance(sent, csi_pb2.CreateVolumeGroupSnapshotRequest)
    assert (sent.name, list(sent.source_volume_ids)) == ("groupsnapshot-uid-7", ["vol-a", "vol-b"])
    assert (dict(sent.parameters), dict(sent.secrets)) == ({}, {})


@pytest.mark.parametrize(
    ("length", "expected"),
    [(-1, f"cut-{UID}"), (32, f"cut-{UID.replace('-', '')}"), (10, "cut-1b4e28ba2f"), (0, "cut-")],
)
async def test_the_name_is_the_groups_prefix_and_as_much_of_the_uid_as_asked_for(
    grouped: GroupStory, length: int, expected: str
) -> None:
    await grouped.start(
        group_name_prefix="cut", group_name_uuid_length=length, name_prefix="x", name_uuid_length=3
    )
    await grouped.add(objects.group_content(spec__volume_group_snapshot_ref__uid=UID))
    [sent] = grouped.driver.requests
    assert sent.name == expected


async def test_the_driver_is_told_who_the_group_is_for_where_asked_to(grouped: GroupStory) -> None:
    ours = dict.fromkeys(sorted(names.KNOWN_PARAMETERS), "x")
    grouped.api.put(objects.group_class(parameters={**ours, "tier": "fast"}))
    await grouped.start(extra_create_metadata=True)
    await grouped.add(objects.group_content())
    [sent] = grouped.driver.requests
    assert dict(sent.parameters) == {
        "tier": "fast",
        "csi.storage.k8s.io/volumegroupsnapshot/name": "all",
        "csi.storage.k8s.io/volumegroupsnapshot/namespace": "ns",
        "csi.storage.k8s.io/volumegroupsnapshotcontent/name": "groupsnapcontent-uid-7",
    }


async def test_parameters_of_ours_are_not_the_drivers(grouped: GroupStory) -> None:
    ours = dict.fromkeys(sorted(names.KNOWN_PARAMETERS), "x")
    grouped.api.put(objects.group_class(parameters={**ours, "tier": "fast"}))
    await grouped.start()
    await grouped.add(objects.group_content())
    [sent] = grouped.driver.requests
    assert dict(sent.parameters) == {"tier": "fast"}


async def test_an_unknown_parameter_of_ours_is_told_until_the_class_is_mended(
    grouped: GroupStory,
) -> None:
    odd = "csi.storage.k8s.io/group-snapshoter-secret-name"
    grouped.api.put(objects.group_class(parameters={odd: "x"}))
    await grouped.start()
    await grouped.add(objects.group_content())
    assert f"unknown parameter key '{odd}'" in grouped.problem()
    assert grouped.driver.calls == []
    assert not grouped.marked()
    await grouped.add(objects.group_class())
    assert grouped.content().ready
    assert grouped.problem() == ""


async def test_the_secret_that_the_content_names_goes_along(grouped: GroupStory) -> None:
    grouped.api.put(secret(user="admin", password="open sesame"))
    await grouped.start()
    await grouped.add(objects.group_content(metadata__annotations=naming_secret()))
    [sent] = grouped.driver.requests
    assert dict(sent.secrets) == {"user": "admin", "password": "open sesame"}
    assert grouped.content().ready


async def test_a_secret_that_is_missing_is_told_and_looked_for_again(grouped: GroupStory) -> None:
    story = grouped
    await story.start()
    [look] = await story.add(objects.group_content(metadata__annotations=naming_secret()))
    told = "Failed to create group snapshot: secret vault/creds does not exist"
    assert isinstance(look.failure, errors.Unsuccessful)
    assert story.problem() == told
    assert story.events() == [("GroupSnapshotCreationFailed", told)]
    assert story.driver.calls == []
    assert not story.marked()
    story.api.put(secret(password="open sesame"))
    await story.look()
    assert story.content().ready
    assert story.problem() == ""


@pytest.mark.parametrize(("name", "namespace"), [("", "vault"), ("creds", "")])
async def test_an_empty_reference_to_a_secret_is_told(
    grouped: GroupStory, name: str, namespace: str
) -> None:
    await grouped.start()
    annotations = naming_secret(name, namespace)
    await grouped.add(objects.group_content(metadata__annotations=annotations))
    assert "must not be empty" in grouped.problem()
    assert grouped.driver.calls == []


@pytest.mark.parametrize("there", [True, False])
async def test_a_group_whose_class_is_missing_waits_for_it(
    *, grouped: GroupStory, there: bool
) -> None:
    await grouped.start()
    name = "silver" if there else None
    [look] = await grouped.add(objects.group_content(spec__volume_group_snapshot_class_name=name))
    assert (look.failure, look.after) == (None, None)  # no timer: the class that comes wakes it
    assert "without a group snapshot class" in grouped.problem()
    assert [reason for reason, _ in grouped.events()] == ["GroupSnapshotCreationFailed"]
    assert grouped.driver.calls == []
    await grouped.add(objects.group_class("silver"))
    assert grouped.content().ready is there


async def test_a_driver_without_groups_is_told_of_and_one_that_learns_them_cuts(
    grouped: GroupStory,
) -> None:
    story = grouped
    able, story.driver.group_able = story.driver.group_able, []
    await story.start()
    [look] = await story.add(objects.group_content())
    assert look.failure is None
    told = (
        f"Failed to create group snapshot: the driver {objects.DRIVER} cannot take snapshots of "
        "groups: it does not tell the capability CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"
    )
    assert story.problem() == told
    assert story.events() == [("GroupSnapshotCreationFailed", told)]
    assert story.driver.calls == []
    story.driver.group_able = able
    await story.come_back()
    await story.settle()
    assert story.content().ready
    assert story.problem() == ""


async def test_a_group_without_its_finalizer_is_not_cut_before_it_has_it(
    grouped: GroupStory,
) -> None:
    await grouped.start()
    await grouped.add(objects.group_content(metadata__finalizers=()))
    assert grouped.driver.calls == []
    await grouped.add(objects.group_content())
    assert grouped.content().ready


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("foreign", ["content", "class"])
async def test_a_group_of_another_driver_is_left_alone(
    *, grouped: GroupStory, foreign: str, deleting: bool
) -> None:
    other = "other.example.com"
    if foreign == "class":
        grouped.api.put(objects.group_class(driver=other))
    await grouped.start()
    fields = {"spec__driver": other} if foreign == "content" else {}
    await grouped.add(objects.group_content(**fields))
    if deleting:
        await grouped.delete()
    assert (grouped.driver.calls, grouped.writer.done, grouped.events()) == ([], [], [])
    assert not grouped.gone()


async def test_a_sidecar_without_a_queue_for_groups_leaves_them_alone(grouped: GroupStory) -> None:
    grouped.kinds = (keys.Kind.VOLUME_SNAPSHOT_CONTENT,)
    await grouped.start()
    await grouped.add(objects.group_content())
    assert (grouped.driver.calls, grouped.writer.done) == ([], [])


# Ready later


async def test_a_group_that_is_not_ready_is_asked_for_by_its_handles_at_growing_intervals(
    grouped: GroupStory,
) -> None:
    story = grouped
    story.driver.looks_until_ready = 6
    await story.start()
    [look] = await story.add(objects.group_content())
    assert (look.after, look.failure) == (2.0, None)
    assert status(story).ready_to_use is False
    assert (status(story).error, story.marked()) == (None, False)
    written = len(story.writer.done)
    delays = [(await story.look()).after for _ in range(5)]
    assert len(story.writer.done) == written  # a poll that learned nothing writes nothing
    assert [round(each or 0, 2) for each in delays[:3]] == [2.6, 3.38, 4.39]
    assert (await story.look()).after is None
    assert story.content().ready
    assert story.driver.calls == ["CreateVolumeGroupSnapshot", *6 * ["GetVolumeGroupSnapshot"]]
    sent = story.driver.requests[-1]
    assert sent.group_snapshot_id == HANDLE
    assert list(sent.snapshot_ids) == [f"{HANDLE}/vol-a", f"{HANDLE}/vol-b"]
    published = [each for each in story.writer.done if isinstance(each, intents.PublishStatus)]
    assert published[-1].status == intents.GroupContentStatusChange(ready_to_use=True)
    assert story.driver.made == ["groupsnapshot-uid-7"]


async def test_each_members_readiness_and_size_is_told_when_it_is_known(
    grouped: GroupStory,
) -> None:
    """The reference writes the list once, and never again."""
    story = grouped
    story.driver.looks_until_ready = 4
    story.driver.slow = {"vol-a": 1, "vol-b": 2}
    await story.start()
    await story.add(objects.group_content())
    waiting = {"ready_to_use": False, "restore_size": None}
    assert status(story).volume_snapshot_info_list == (
        member("a", **waiting),
        member("b", **waiting),
    )
    await story.look()
    assert status(story).volume_snapshot_info_list == (member("a"), member("b", **waiting))
    await story.look()
    assert status(story).volume_snapshot_info_list == (member("a"), member("b"))
    written = len(story.writer.done)
    story.driver.backwards = True
    await story.look()
    assert len(story.writer.done) == written
    assert not story.content().ready


async def test_members_of_a_ready_group_are_ready_whatever_is_said_of_each(
    grouped: GroupStory,
) -> None:
    grouped.driver.slow = {"vol-a": 9}
    await grouped.start()
    await grouped.add(objects.group_content())
    assert grouped.content().ready
    assert all(each.ready_to_use for each in grouped.content().members)


async def test_a_time_that_the_driver_does_not_tell_is_now_and_stays(grouped: GroupStory) -> None:
    """The reference writes 1970 here."""
    grouped.driver.tells_time = False
    grouped.driver.looks_until_ready = 1
    await grouped.start()
    await grouped.add(objects.group_content())
    assert status(grouped).creation_time == objects.NOW_TEXT
    grouped.clock.move(60)
    await grouped.look()
    assert status(grouped).creation_time == objects.NOW_TEXT
    assert {each.creation_time for each in grouped.content().members} == {int(objects.NOW * 1e9)}


async def test_a_new_process_polls_on_for_the_group_that_is_there(grouped: GroupStory) -> None:
    grouped.driver.looks_until_ready = 1
    await grouped.start()
    await grouped.add(objects.group_content())
    await grouped.start()
    await grouped.settle()
    assert grouped.content().ready
    assert grouped.driver.made == ["groupsnapshot-uid-7"]


async def test_a_group_that_is_lost_while_it_gets_ready_is_told_and_not_cut_again(
    grouped: GroupStory,
) -> None:
    grouped.driver.looks_until_ready = 9
    await grouped.start()
    await grouped.add(objects.group_content())
    grouped.driver.groups.clear()
    await grouped.look()
    told = (
        "Failed to check and update group snapshot content: can not find group snapshot for "
        f"groupSnapshotID {HANDLE}"
    )
    assert grouped.problem() == told
    assert grouped.events() == [("GroupSnapshotContentCheckandUpdateFailed", told)]
    assert grouped.driver.made == ["groupsnapshot-uid-7"]


async def test_polls_of_a_group_send_the_secret_it_was_cut_with(grouped: GroupStory) -> None:
    """A class that names no get-secret serves the reference: it polls by another call."""
    grouped.api.put(secret(password="open sesame"))
    grouped.driver.looks_until_ready = 1
    await grouped.start()
    await grouped.add(objects.group_content(metadata__annotations=naming_secret()))
    await grouped.look()
    assert [dict(each.secrets) for each in grouped.driver.requests] == (
        2 * [{"password": "open sesame"}]
    )
    assert grouped.content().ready


# Members


@pytest.mark.parametrize("able", [(), (5,)])
async def test_a_member_is_left_to_its_group(grouped: GroupStory, able: tuple[int, ...]) -> None:
    """With LIST_SNAPSHOTS and without: its group's content tells of it."""
    grouped.driver.able += able
    annotations = {names.GROUP_HANDLE_ANNOTATION: HANDLE}
    unready = objects.changed(objects.STATUS, ready_to_use=False)
    await grouped.start()
    for told in (None, unready):
        looks = await grouped.add(objects.content(metadata__annotations=annotations, status=told))
        assert {(each.failure, each.after) for each in looks} <= {(None, None)}
    assert grouped.driver.calls == []
    assert grouped.writer.done == []
    assert grouped.api.find(snapshots.VolumeSnapshotContent, objects.content().key) is not None


async def test_a_group_and_a_snapshot_of_one_volume_know_nothing_of_each_other(
    grouped: GroupStory,
) -> None:
    grouped.api.put(objects.class_())
    await grouped.start()
    alone = snapshots.VolumeSnapshotContentSource(volume_handle="vol-a")
    await grouped.add(objects.content(spec__source=alone))
    await grouped.add(objects.group_content())
    assert sorted(grouped.driver.made) == ["groupsnapshot-uid-7", "snapshot-uid-1"]
    await grouped.delete(GROUP)
    assert grouped.gone(GROUP)
    assert list(grouped.driver.kept) == ["snapshot-uid-1#1"]
