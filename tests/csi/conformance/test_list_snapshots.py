"""ListSnapshots: by id, by volume, by both; page by page, each once, whoever made them."""

import functools
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from csi_plugin import Plugin

from snapshotd.devcluster.hostpath import copying


async def paged(plugin: Plugin, most: int, **fields: Any) -> list[Any]:
    return [each.snapshot for each in await plugin.paged("ListSnapshots", most, **fields)]


def by_id(snapshots: list[Any]) -> list[Any]:
    return sorted(snapshots, key=lambda each: str(each.snapshot_id))


async def test_without_snapshots_the_list_is_empty(plugin: Plugin) -> None:
    # ListSnapshots: `entries`, `next_token`
    answer = await plugin.call("ListSnapshots", max_entries=5)
    assert (list(answer.entries), answer.next_token) == ([], "")


async def test_snapshots_are_listed_as_they_were_told(plugin: Plugin) -> None:
    # ListSnapshots: all snapshots within the given parameters
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    made = [await plugin.cut(one, "a"), await plugin.cut(two, "b"), await plugin.cut(one, "c")]
    assert by_id(await plugin.listed()) == by_id(made)
    assert by_id(await plugin.listed(source_volume_id=one)) == by_id([made[0], made[2]])
    assert await plugin.listed(source_volume_id=two) == [made[1]]
    assert by_id(await plugin.listed(secrets={"user": "me"})) == by_id(made)
    for each in made:
        assert await plugin.listed(snapshot_id=each.snapshot_id) == [each]


async def test_an_id_and_a_volume_must_both_be_the_snapshots(plugin: Plugin) -> None:
    # ListSnapshots: `source_volume_id` and `snapshot_id`
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    made = await plugin.cut(one)
    handle = made.snapshot_id
    assert await plugin.listed(snapshot_id=handle, source_volume_id=one) == [made]
    assert await plugin.listed(snapshot_id=handle, source_volume_id=two) == []
    assert await plugin.listed(snapshot_id="no-such", source_volume_id=one) == []


@pytest.mark.parametrize("unknown", ["no-such", "..", ".", "/", "../volumes", "é", "x" * 128])
async def test_what_nobody_knows_is_an_empty_list_and_no_error(
    plugin: Plugin, unknown: str
) -> None:
    # ListSnapshots: `source_volume_id`, `snapshot_id`
    await plugin.cut((await plugin.volume()).volume_id)
    for field in ("snapshot_id", "source_volume_id"):
        answer = await plugin.call("ListSnapshots", **{field: unknown})
        assert (list(answer.entries), answer.next_token) == ([], "")


@pytest.mark.parametrize("most", [0, 1, 2, 3, 6, 7, 8, 2**31 - 1])
async def test_pages_hold_every_snapshot_once(plugin: Plugin, most: int) -> None:
    # ListSnapshots: `max_entries`, `starting_token`, `next_token`
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    made = [await plugin.cut(one, f"one-{number}") for number in range(4)]
    others = [await plugin.cut(two, f"two-{number}") for number in range(3)]
    assert by_id(await paged(plugin, most)) == by_id([*made, *others])
    assert by_id(await paged(plugin, most, source_volume_id=one)) == by_id(made)
    handle = made[0].snapshot_id
    assert await paged(plugin, most, snapshot_id=handle) == [made[0]]


async def test_a_page_that_has_room_for_all_is_the_last(plugin: Plugin) -> None:
    # ListSnapshots: `next_token` MUST be set only where more is left
    volume = (await plugin.volume()).volume_id
    for number in range(3):
        await plugin.cut(volume, f"s{number}")
    for most, more in ((2, True), (3, False), (4, False), (0, False)):
        answer = await plugin.call("ListSnapshots", max_entries=most)
        assert bool(answer.next_token) is more


async def test_a_token_outlives_the_snapshot_it_came_after(plugin: Plugin) -> None:
    # ListSnapshots: snapshots may come and go while it is paged through
    volume = (await plugin.volume()).volume_id
    made = [await plugin.cut(volume, f"s{number}") for number in range(4)]
    first = await plugin.call("ListSnapshots", max_entries=2)
    for each in first.entries:
        await plugin.call("DeleteSnapshot", snapshot_id=each.snapshot.snapshot_id)
    rest = await plugin.listed(starting_token=first.next_token)
    assert by_id(rest + [each.snapshot for each in first.entries]) == by_id(made)


@pytest.mark.parametrize("fields", [{}, {"snapshot_id": "no-such"}, {"source_volume_id": "no"}])
async def test_a_negative_number_of_entries_is_invalid(
    plugin: Plugin, fields: dict[str, str]
) -> None:
    # ListSnapshots: `max_entries` MUST NOT be negative
    for most in (-1, -(2**31)):
        code = await plugin.refusal("ListSnapshots", max_entries=most, **fields)
        assert code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "token",
    [
        "none of yours",
        "0",
        "-1",
        "/",
        "5/",
        "/x",
        "5/../x",
        "٣/" + "a" * 64,  # a digit, and not one of ours
        "9" * 5000 + "/" + "a" * 64,  # more digits than Python takes for a number
        "5/" + "a" * 63,
        "5/" + "a" * 64 + "\n",
        "é",
        "x" * 10_000,
    ],
    ids=lambda token: ascii(token)[:12],
)
async def test_a_token_that_is_not_valid_is_aborted(plugin: Plugin, token: str) -> None:
    # ListSnapshots Errors: Invalid `starting_token`
    await plugin.cut((await plugin.volume()).volume_id)
    assert await plugin.refusal("ListSnapshots", starting_token=token) == "ABORTED"


def put_there(plugin: Plugin, name: str, moment: int) -> str:
    """Make a snapshot by hand, of a moment in nanoseconds since 1970."""
    folder = plugin.folder / "snapshots" / name
    folder.mkdir()
    os.utime(folder, ns=(moment, moment))
    return name


async def test_snapshots_that_others_made_are_paged_through_too(plugin: Plugin) -> None:
    # ListSnapshots: regardless of how they were created; of one moment, or before 1970
    names = ["a", "b", "z" * 128, "Z" * 127 + "-"]
    moments = [-5_000_000_000, 0, 1_700_000_000_000_000_001, 10**10 * 10**9]
    made = [
        put_there(plugin, f"{number}{name}"[:128], moment)
        for number, moment in enumerate(moments)
        for name in names
    ]
    for most in (1, 3, 15, 16):
        found = [each.snapshot_id for each in await paged(plugin, most)]
        assert sorted(found) == sorted(made)
    for each in await plugin.listed():
        assert each.HasField("creation_time")
        assert 0 <= each.creation_time.nanos < 10**9


async def test_a_snapshot_that_is_being_cut_is_not_listed(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ListSnapshots: SHALL NOT list what is not cut yet; CreateSnapshot Errors: Operation pending
    begun, go = threading.Event(), threading.Event()
    copy_tree = copying.copy_tree

    def held(source: Path, target: Path) -> None:
        copy_tree(source, target)
        begun.set()
        assert go.wait(30)

    monkeypatch.setattr(copying, "copy_tree", held)
    volume = (await plugin.volume()).volume_id
    made: list[Any] = []

    async def cut() -> None:
        made.append(await plugin.cut(volume))

    async with anyio.create_task_group() as group:
        group.start_soon(cut)
        try:
            assert await anyio.to_thread.run_sync(functools.partial(begun.wait, 30))
            assert await plugin.listed() == []
            assert await plugin.listed(source_volume_id=volume) == []
            asked = {"name": "snap", "source_volume_id": volume}
            assert await plugin.refusal("CreateSnapshot", **asked) == "ABORTED"
        finally:
            go.set()
    assert await plugin.listed() == made
