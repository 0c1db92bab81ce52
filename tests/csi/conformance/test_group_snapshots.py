"""The GroupController service: volumes cut as one, told as one, deleted as one, or not at all."""

import time
from typing import Any

import anyio
import grpc
import pytest
from csi_plugin import Plugin, content

UNKNOWN = ["no-such", "..", ".", "/", "../volumes", "é", "a\nb", "x" * 128, "x" * 129]
CUT = "CreateVolumeGroupSnapshot"
GET = "GetVolumeGroupSnapshot"
DELETE = "DeleteVolumeGroupSnapshot"


async def volumes(plugin: Plugin, *names: str) -> list[str]:
    """Make volumes with a file each; return their ids."""
    made = [(await plugin.volume(name)).volume_id for name in names or ("one", "two", "three")]
    for each in made:
        (plugin.folder / "volumes" / each / "file").write_text(each)
    return made


async def cut(plugin: Plugin, of: list[str], name: str = "group", **fields: Any) -> Any:
    """Cut a group snapshot, and return it."""
    return (await plugin.call(CUT, name=name, source_volume_ids=of, **fields)).group_snapshot


def named(group: Any) -> dict[str, Any]:
    """Return the fields by which a group snapshot is asked for."""
    members = [each.snapshot_id for each in group.snapshots]
    return {"group_snapshot_id": group.group_snapshot_id, "snapshot_ids": members}


def left(plugin: Plugin) -> set[str]:
    """Return all that the driver keeps of snapshots and groups."""
    places = ("snapshots", "state/snapshots", "state/groups", "staging/snapshots")
    return {f"{place}/{name}" for place in places for name in plugin.trees(place)}


async def test_the_capability_of_groups_is_told_once(plugin: Plugin) -> None:
    # GetPluginCapabilities and GroupControllerGetCapabilities: what there is, once
    assert "GROUP_CONTROLLER_SERVICE" in await plugin.services()
    answer = await plugin.call("GroupControllerGetCapabilities")
    assert [each.rpc.type for each in answer.capabilities] == [1]


async def test_a_group_is_told_in_full(plugin: Plugin) -> None:
    # VolumeGroupSnapshot: every field is required; Snapshot: `group_snapshot_id` is the group's
    of = await volumes(plugin)
    before = time.time_ns()
    made = await cut(plugin, of)
    after = time.time_ns()
    assert 1 <= len(made.group_snapshot_id.encode()) <= 128
    assert before <= made.creation_time.ToNanoseconds() <= after
    assert made.ready_to_use
    assert [each.source_volume_id for each in made.snapshots] == of
    assert len({each.snapshot_id for each in made.snapshots}) == 3
    for each in made.snapshots:
        assert each.group_snapshot_id == made.group_snapshot_id
        assert each.creation_time == made.creation_time  # one point in time
        assert each.ready_to_use
        assert each.size_bytes > 0


async def test_a_volume_can_be_made_from_every_member(plugin: Plugin) -> None:
    # CreateVolume: `volume_content_source`; Snapshot: `ready_to_use`
    made = await cut(plugin, await volumes(plugin))
    for each in made.snapshots:
        source = content(snapshot=each.snapshot_id)
        new = await plugin.volume(f"of-{each.snapshot_id}", volume_content_source=source)
        copied = (plugin.folder / "volumes" / new.volume_id / "file").read_text()
        assert copied == each.source_volume_id


async def test_members_are_listed_and_got_as_snapshots_of_their_group(plugin: Plugin) -> None:
    # ListSnapshots, GetSnapshot: `group_snapshot_id`
    of = await volumes(plugin)
    alone = await plugin.cut(of[0], "alone")
    made = await cut(plugin, of)
    found = await plugin.listed()
    assert sorted(found, key=str) == sorted([alone, *made.snapshots], key=str)
    assert not alone.group_snapshot_id
    for each in made.snapshots:
        assert await plugin.listed(snapshot_id=each.snapshot_id) == [each]
        assert (await plugin.call("GetSnapshot", snapshot_id=each.snapshot_id)).snapshot == each
    assert await plugin.listed(source_volume_id=of[2]) == [made.snapshots[2]]
    paged = await plugin.paged("ListSnapshots", 1)
    assert len({each.snapshot.snapshot_id for each in paged}) == 4


async def test_the_same_name_is_the_same_group_of_the_same_moment(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot: MUST be idempotent
    of = await volumes(plugin)
    first = await cut(plugin, of)
    (plugin.folder / "volumes" / of[0] / "later").write_text("x")
    assert await cut(plugin, of) == first
    assert await cut(plugin, of[::-1]) == first  # the order of volumes says nothing
    assert await cut(plugin, of, secrets={"a": "b"}, parameters={"c": "d"}) == first
    assert len(await plugin.listed()) == 3


async def test_the_same_name_outlives_its_volumes(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot: MUST be idempotent
    of = await volumes(plugin)
    first = await cut(plugin, of)
    for each in of:
        await plugin.call("DeleteVolume", volume_id=each)
    assert await cut(plugin, of) == first


async def test_the_same_name_of_other_volumes_already_exists(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot Errors: Group snapshot already exists but is incompatible
    of = await volumes(plugin)
    made = await cut(plugin, of[:2])
    for other in (of[:1], of, of[1:], ["no-such"]):
        asked = {"name": "group", "source_volume_ids": other}
        assert await plugin.refusal(CUT, **asked) == "ALREADY_EXISTS"
    assert len(await plugin.listed()) == 2
    assert await cut(plugin, of[:2]) == made


async def test_a_groups_name_may_be_a_snapshots_too(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot: `name` is one of groups; CreateSnapshot: `name` one of snapshots
    of = await volumes(plugin)
    alone = await plugin.cut(of[0], "same")
    group = await cut(plugin, of, "same")
    assert await plugin.cut(of[0], "same") == alone
    assert await cut(plugin, of, "same") == group
    other = await cut(plugin, of, "other")
    assert other.group_snapshot_id != group.group_snapshot_id


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_group_with_a_volume_that_does_not_exist_is_not_found(
    plugin: Plugin, unknown: str, at: int
) -> None:
    # CreateVolumeGroupSnapshot: `source_volume_ids` are of existing volumes; all or nothing
    of = await volumes(plugin, "one", "two")
    of.insert(at, unknown)
    assert await plugin.refusal(CUT, name="group", source_volume_ids=of) == "NOT_FOUND"
    assert left(plugin) == set()
    of.remove(unknown)
    await cut(plugin, of)  # the name is free


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        (CUT, {"source_volume_ids": ["VOLUME"]}),
        (CUT, {"name": "group"}),
        (CUT, {"name": "group", "source_volume_ids": ["VOLUME", ""]}),
        (CUT, {"name": "group", "source_volume_ids": ["VOLUME", "VOLUME"]}),
        (CUT, {"name": "a\x00b", "source_volume_ids": ["VOLUME"]}),
        (CUT, {"name": "x" * 129, "source_volume_ids": ["VOLUME"]}),
        (GET, {"snapshot_ids": ["a"]}),
        (DELETE, {"snapshot_ids": ["a"]}),
    ],
)
async def test_a_request_without_what_it_must_have_is_invalid(
    plugin: Plugin, method: str, fields: dict[str, Any]
) -> None:
    # Error Scheme: Missing required field, Invalid or unsupported field
    [volume] = await volumes(plugin, "one")
    if "source_volume_ids" in fields:
        ids = [volume if each == "VOLUME" else each for each in fields["source_volume_ids"]]
        fields = fields | {"source_volume_ids": ids}
    assert await plugin.refusal(method, **fields) == "INVALID_ARGUMENT"
    assert left(plugin) == set()


async def test_a_group_is_as_large_as_it_is(plugin: Plugin) -> None:
    # Size Limits: of a string and of a map; a list of ids has none
    many = [f"{number:0128}" for number in range(500)]
    assert await plugin.refusal(CUT, name="group", source_volume_ids=many) == "NOT_FOUND"
    await plugin.call(DELETE, group_snapshot_id="no-such", snapshot_ids=many)


@pytest.mark.parametrize("method", [CUT, GET, DELETE])
async def test_secrets_of_4_kib_are_taken_and_larger_ones_are_not(
    plugin: Plugin, method: str
) -> None:
    # Size Limits: map<string, string>
    of = await volumes(plugin)
    made = await cut(plugin, of)
    asked = {"name": "group", "source_volume_ids": of} if method == CUT else named(made)
    largest = {"k" * 96: "v" * 4000}
    code = await plugin.refusal(method, **asked, secrets=largest | {"a": ""})
    assert code == "INVALID_ARGUMENT"
    await plugin.call(method, **asked, secrets=largest)


async def test_a_group_is_got_as_it_was_told(plugin: Plugin) -> None:
    # GetVolumeGroupSnapshot: current information; the order of ids says nothing
    of = await volumes(plugin)
    for name in ("a", "b"):
        made = await cut(plugin, of, name)
        asked = named(made)
        assert (await plugin.call(GET, **asked)).group_snapshot == made
        asked["snapshot_ids"] = asked["snapshot_ids"][::-1]
        assert (await plugin.call(GET, **asked, secrets={"a": "b"})).group_snapshot == made


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_group_that_does_not_exist_is_not_got(plugin: Plugin, unknown: str) -> None:
    # GetVolumeGroupSnapshot Errors: Volume group snapshot does not exist
    made = named(await cut(plugin, await volumes(plugin)))
    for each in (unknown, "group", made["snapshot_ids"][0]):
        asked = made | {"group_snapshot_id": each}
        assert await plugin.refusal(GET, **asked) == "NOT_FOUND"


async def wrong_lists(plugin: Plugin, of: list[str], members: list[str]) -> list[list[str]]:
    """Return lists of snapshots that are not these members."""
    alone = (await plugin.cut(of[0], "alone")).snapshot_id
    other = named(await cut(plugin, of, "other"))["snapshot_ids"]
    return [
        [],
        members[:2],
        [*members, alone],
        [*members[:2], alone],
        [*members[:2], "no-such"],
        [*members, members[0]],
        other,
    ]


@pytest.mark.parametrize("method", [GET, DELETE])
async def test_snapshots_that_are_not_the_groups_members_are_a_mismatch(
    plugin: Plugin, method: str
) -> None:
    # DeleteVolumeGroupSnapshot and GetVolumeGroupSnapshot Errors: Snapshot list mismatch
    of = await volumes(plugin)
    made = await cut(plugin, of)
    asked = named(made)
    lists = await wrong_lists(plugin, of, asked["snapshot_ids"])
    for wrong in lists:
        code = await plugin.refusal(method, **asked | {"snapshot_ids": wrong})
        assert code == "INVALID_ARGUMENT", wrong
    assert (await plugin.call(GET, **asked)).group_snapshot == made
    assert len(await plugin.listed()) == 7


async def test_a_member_is_not_deleted_by_itself(plugin: Plugin) -> None:
    # DeleteSnapshot Errors: a snapshot that is part of a group and goes with it alone
    made = await cut(plugin, await volumes(plugin))
    for each in made.snapshots:
        assert await plugin.refusal("DeleteSnapshot", snapshot_id=each.snapshot_id) == (
            "INVALID_ARGUMENT"
        )
    assert (await plugin.call(GET, **named(made))).group_snapshot == made
    await plugin.call(DELETE, **named(made))
    for each in made.snapshots:  # what does not exist is deleted
        await plugin.call("DeleteSnapshot", snapshot_id=each.snapshot_id)


async def test_a_deleted_group_is_gone_with_all_its_members(plugin: Plugin) -> None:
    # DeleteVolumeGroupSnapshot: MUST be idempotent; GetVolumeGroupSnapshot Errors
    of = await volumes(plugin)
    alone = await plugin.cut(of[0], "alone")
    kept = await cut(plugin, of, "kept")
    made = await cut(plugin, of)
    before = left(plugin)
    for _ in range(2):
        await plugin.call(DELETE, **named(made))
    assert len(before - left(plugin)) == 3 + 3 + 1
    assert await plugin.refusal(GET, **named(made)) == "NOT_FOUND"
    for each in made.snapshots:
        assert await plugin.listed(snapshot_id=each.snapshot_id) == []
        assert await plugin.refusal("GetSnapshot", snapshot_id=each.snapshot_id) == "NOT_FOUND"
    found = await plugin.listed()
    assert sorted(found, key=str) == sorted([alone, *kept.snapshots], key=str)
    assert (await plugin.call(GET, **named(kept))).group_snapshot == kept


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_group_that_does_not_exist_is_deleted(plugin: Plugin, unknown: str) -> None:
    # DeleteVolumeGroupSnapshot: MUST be idempotent
    made = named(await cut(plugin, await volumes(plugin)))
    before = left(plugin)
    for ids in ([], ["a"], made["snapshot_ids"]):
        await plugin.call(DELETE, group_snapshot_id=unknown, snapshot_ids=ids)
    assert left(plugin) == before


async def test_a_deleted_groups_name_is_free_for_another(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot: `name`; ids are never given twice
    of = await volumes(plugin)
    first = named(await cut(plugin, of))
    await plugin.call(DELETE, **first)
    second = named(await cut(plugin, of[:2]))
    assert second["group_snapshot_id"] != first["group_snapshot_id"]
    assert not set(second["snapshot_ids"]) & set(first["snapshot_ids"])
    await plugin.call(DELETE, **first)  # a late repetition
    assert len(await plugin.listed()) == 2


async def test_a_group_is_ready_once_its_members_are(plugin: Plugin) -> None:
    # VolumeGroupSnapshot: `ready_to_use` is false while one member's is
    processing = plugin.folder / "faults.json"
    processing.write_text('{"ready_after": 3600}')
    of = await volumes(plugin)
    first = await cut(plugin, of)
    assert not first.ready_to_use
    assert not any(each.ready_to_use for each in first.snapshots)
    assert await cut(plugin, of) == first
    assert (await plugin.call(GET, **named(first))).group_snapshot == first
    processing.unlink()
    ready = await cut(plugin, of)
    assert ready.ready_to_use
    assert all(each.ready_to_use for each in ready.snapshots)
    assert ready.creation_time == first.creation_time


async def at_once(plugin: Plugin, method: str, asked: list[dict[str, Any]]) -> list[str]:
    """Make these calls all at once; return their codes."""
    codes: list[str] = []

    async def call(fields: dict[str, Any]) -> None:
        try:
            await plugin.call(method, **fields)
            codes.append("OK")
        except grpc.aio.AioRpcError as error:
            codes.append(error.code().name)

    async with anyio.create_task_group() as group:
        for fields in asked:
            group.start_soon(call, fields)
    return codes


async def test_one_name_asked_for_many_times_at_once_is_one_group(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot Errors: Operation pending for group snapshot
    of = await volumes(plugin)
    codes = await at_once(plugin, CUT, [{"name": "group", "source_volume_ids": of}] * 8)
    assert "OK" in codes
    assert set(codes) <= {"OK", "ABORTED"}
    assert len(plugin.trees("snapshots")) == 3
    assert len(plugin.trees("state/groups")) == 1


async def test_one_name_asked_for_of_other_volumes_at_once_is_one_group(plugin: Plugin) -> None:
    # CreateVolumeGroupSnapshot Errors: Operation pending, or already exists but is incompatible
    of = await volumes(plugin)
    asked = [{"name": "group", "source_volume_ids": some} for some in (of[:2], of[1:])]
    codes = await at_once(plugin, CUT, asked * 4)
    assert "OK" in codes
    assert set(codes) <= {"OK", "ABORTED", "ALREADY_EXISTS"}
    assert len(await plugin.listed()) == 2


async def test_one_group_deleted_many_times_at_once_is_gone(plugin: Plugin) -> None:
    # DeleteVolumeGroupSnapshot Errors: Operation pending for volume group snapshot
    made = named(await cut(plugin, await volumes(plugin)))
    codes = await at_once(plugin, DELETE, [made] * 8)
    assert "OK" in codes
    assert set(codes) <= {"OK", "ABORTED"}
    assert left(plugin) == set()
