"""CreateSnapshot: one snapshot a name, told in full, whatever the name and whoever asks at once."""

import re
import time
from pathlib import Path

import anyio
import grpc
import pytest
from csi_plugin import Plugin, content

NAMES = [
    "..",
    ".",
    "/",
    "../x",
    "../../outside",
    "a/b",
    "/etc/passwd",
    "a/../../../x",
    "..\\x",
    "~",
    "-rf",
    "%2e%2e%2f",
    "con",
    ".hidden",
    "snap.json",
    "Ångström",
    "A\u030angstro\u0308m",  # the same to the eye, and not the same string
    "スナップ",
    "📷",
    "a" * 128,
]
LETTERS = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*")


async def test_a_snapshot_is_told_in_full(plugin: Plugin) -> None:
    # Snapshot: snapshot_id, source_volume_id, creation_time and ready_to_use are required
    volume = (await plugin.volume()).volume_id
    before = time.time_ns()
    made = await plugin.cut(volume)
    after = time.time_ns()
    assert 1 <= len(made.snapshot_id.encode()) <= 128
    assert made.source_volume_id == volume
    assert before <= made.creation_time.ToNanoseconds() <= after
    assert made.ready_to_use
    assert made.size_bytes > 0
    assert not made.group_snapshot_id  # of none: it may be deleted by itself


async def test_the_size_of_a_snapshot_is_enough_for_a_volume_of_it(plugin: Plugin) -> None:
    # Snapshot: `size_bytes`
    snapshot = await plugin.cut((await plugin.volume()).volume_id)
    source = content(snapshot=snapshot.snapshot_id)
    wanted = {"required_bytes": snapshot.size_bytes, "limit_bytes": snapshot.size_bytes}
    made = await plugin.volume("new", volume_content_source=source, capacity_range=wanted)
    assert made.capacity_bytes == snapshot.size_bytes


@pytest.mark.parametrize("volume", ["no-such", "..", ".", "/", "../volumes", "é", "x" * 128])
async def test_a_snapshot_of_no_volume_is_not_found(plugin: Plugin, volume: str) -> None:
    # CreateSnapshot: `source_volume_id` is of an existing volume
    asked = {"name": "snap", "source_volume_id": volume}
    assert await plugin.refusal("CreateSnapshot", **asked) == "NOT_FOUND"
    assert await plugin.listed() == []


async def test_a_snapshot_of_a_snapshot_is_not_found(plugin: Plugin) -> None:
    # Snapshot: `source_volume_id`, the source has to be a volume
    snapshot = (await plugin.cut((await plugin.volume()).volume_id)).snapshot_id
    asked = {"name": "another", "source_volume_id": snapshot}
    assert await plugin.refusal("CreateSnapshot", **asked) == "NOT_FOUND"


async def test_a_refused_name_is_free(plugin: Plugin) -> None:
    # CreateSnapshot: an error before the cut leaves no snapshot
    asked = {"name": "snap", "source_volume_id": "no-such"}
    assert await plugin.refusal("CreateSnapshot", **asked) == "NOT_FOUND"
    await plugin.cut((await plugin.volume()).volume_id)


async def test_the_same_name_is_the_same_snapshot_of_the_same_moment(plugin: Plugin) -> None:
    # CreateSnapshot: MUST be idempotent
    volume = (await plugin.volume()).volume_id
    first = await plugin.cut(volume)
    (plugin.folder / "volumes" / volume / "later").write_text("x")
    again = await plugin.cut(volume)
    assert again.snapshot_id == first.snapshot_id
    assert again.creation_time == first.creation_time
    assert again == first
    assert await plugin.listed() == [first]


async def test_secrets_do_not_make_another_snapshot(plugin: Plugin) -> None:
    # Secrets Requirements; CreateSnapshot Errors: incompatible with the volume alone
    asked = {"name": "snap", "source_volume_id": (await plugin.volume()).volume_id}
    first = await plugin.call("CreateSnapshot", **asked, secrets={"password": "old"})
    assert await plugin.call("CreateSnapshot", **asked, secrets={"password": "new"}) == first


async def test_the_same_name_of_another_volume_already_exists(plugin: Plugin) -> None:
    # CreateSnapshot Errors: Snapshot already exists but is incompatible
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    kept = await plugin.cut(one)
    for other in (two, "no-such"):
        asked = {"name": "snap", "source_volume_id": other}
        assert await plugin.refusal("CreateSnapshot", **asked) == "ALREADY_EXISTS"
    assert await plugin.listed() == [kept]


async def test_a_volumes_name_may_be_a_snapshots_too(plugin: Plugin) -> None:
    # CreateSnapshot: `name` is one of snapshots
    volume = await plugin.volume("same")
    snapshot = await plugin.cut(volume.volume_id, "same")
    assert await plugin.volume("same") == volume
    assert await plugin.cut(volume.volume_id, "same") == snapshot


def files_outside(folder: Path) -> set[Path]:
    """Return all that there is beside the driver's folder, and its socket."""
    around = folder.parent
    return {path for path in around.rglob("*") if not path.is_relative_to(folder)}


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_only_a_name(plugin: Plugin, name: str) -> None:
    # CreateSnapshot: `name`, any Unicode string; Snapshot: `snapshot_id` is the plugin's
    volume = (await plugin.volume()).volume_id
    before = files_outside(plugin.folder)
    top = {path.name for path in plugin.folder.iterdir()}
    made = await plugin.cut(volume, name)
    assert LETTERS.fullmatch(made.snapshot_id)
    assert await plugin.cut(volume, name) == made
    assert plugin.trees("snapshots") == {made.snapshot_id}
    assert plugin.trees("volumes") == {volume}
    assert plugin.trees("state/snapshots") == {f"{made.snapshot_id}.json"}
    assert {path.name for path in plugin.folder.iterdir()} == top
    assert files_outside(plugin.folder) == before


async def test_every_name_is_another_snapshot(plugin: Plugin) -> None:
    # CreateSnapshot: `name`; nothing folds two names into one
    volume = (await plugin.volume()).volume_id
    made = {name: await plugin.cut(volume, name) for name in [*NAMES, "A" * 128, " .."]}
    assert len({each.snapshot_id for each in made.values()}) == len(made)
    assert len(await plugin.listed(source_volume_id=volume)) == len(made)


async def at_once(plugin: Plugin, volumes: list[str]) -> tuple[list[object], set[str]]:
    """Ask for one name of these volumes, all at once; return the snapshots told, and the codes."""
    made: list[object] = []
    codes: set[str] = set()

    async def cut(volume: str) -> None:
        try:
            made.append(await plugin.cut(volume))
        except grpc.aio.AioRpcError as error:
            codes.add(error.code().name)

    async with anyio.create_task_group() as group:
        for volume in volumes:
            group.start_soon(cut, volume)
    return made, codes


async def test_one_name_asked_for_many_times_at_once_is_one_snapshot(plugin: Plugin) -> None:
    # CreateSnapshot Errors: Operation pending for snapshot
    volume = (await plugin.volume()).volume_id
    made, codes = await at_once(plugin, [volume] * 10)
    assert codes <= {"ABORTED"}
    [only] = await plugin.listed()
    assert made == [only] * len(made)
    assert await plugin.cut(volume) == only
    assert plugin.trees("snapshots") == {only.snapshot_id}


async def test_one_name_asked_for_of_two_volumes_at_once_is_one_snapshot(plugin: Plugin) -> None:
    # CreateSnapshot Errors: Operation pending, or already exists but is incompatible
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    made, codes = await at_once(plugin, [one, two] * 5)
    assert codes <= {"ABORTED", "ALREADY_EXISTS"}
    [only] = await plugin.listed()
    assert made == [only] * len(made)
    assert codes


async def test_snapshots_that_are_not_ready_become_so(plugin: Plugin) -> None:
    # The ready_to_use Parameter: false while it is processed, asked again until it is true
    processing = plugin.folder / "faults.json"
    processing.write_text('{"ready_after": 3600}')
    volume = (await plugin.volume()).volume_id
    first = await plugin.cut(volume)
    assert not first.ready_to_use
    assert await plugin.cut(volume) == first
    assert await plugin.listed(snapshot_id=first.snapshot_id) == [first]
    got = await plugin.call("GetSnapshot", snapshot_id=first.snapshot_id)
    assert got.snapshot == first
    processing.unlink()
    ready = await plugin.cut(volume)
    assert ready.ready_to_use
    assert ready.creation_time == first.creation_time
    assert await plugin.listed() == [ready]
