"""DeleteSnapshot and GetSnapshot: of what does not exist, the one says OK and the other not."""

import anyio
import grpc
import pytest
from csi_plugin import Plugin, content

UNKNOWN = ["no-such", "..", ".", "/", "../volumes", "../../outside", "é", "a\nb", "x" * 128]


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_snapshot_that_does_not_exist_is_deleted(plugin: Plugin, unknown: str) -> None:
    # DeleteSnapshot: MUST be idempotent
    outside = plugin.folder.parent / "outside"
    outside.mkdir()
    kept = await plugin.cut((await plugin.volume()).volume_id)
    for _ in range(2):
        await plugin.call("DeleteSnapshot", snapshot_id=unknown)
    assert await plugin.listed() == [kept]
    assert len(plugin.trees("volumes")) == 1
    assert outside.is_dir()


async def test_a_volume_is_not_deleted_as_a_snapshot_nor_the_other_way(plugin: Plugin) -> None:
    # DeleteSnapshot: `snapshot_id` is of a snapshot; DeleteVolume: `volume_id` of a volume
    volume = (await plugin.volume()).volume_id
    snapshot = (await plugin.cut(volume)).snapshot_id
    for way in ("", "../volumes/", f"{plugin.folder}/volumes/"):
        await plugin.call("DeleteSnapshot", snapshot_id=way + volume)
    for way in ("", "../snapshots/", f"{plugin.folder}/snapshots/"):
        await plugin.call("DeleteVolume", volume_id=way + snapshot)
    assert plugin.trees("volumes") == {volume}
    assert plugin.trees("snapshots") == {snapshot}


async def test_a_snapshots_name_is_not_its_id(plugin: Plugin) -> None:
    # RPC Interactions: `snapshot_id` is the plugin's, `name` the caller's
    kept = await plugin.cut((await plugin.volume()).volume_id, "snap")
    await plugin.call("DeleteSnapshot", snapshot_id="snap")
    assert await plugin.listed() == [kept]


async def test_a_deleted_snapshot_is_gone_for_every_call(plugin: Plugin) -> None:
    # DeleteSnapshot; ListSnapshots; GetSnapshot Errors; CreateVolume Errors: Source does not exist
    volume = (await plugin.volume()).volume_id
    gone = (await plugin.cut(volume)).snapshot_id
    kept = await plugin.cut(volume, "kept")
    for _ in range(2):
        await plugin.call("DeleteSnapshot", snapshot_id=gone)
    assert await plugin.listed() == await plugin.listed(source_volume_id=volume) == [kept]
    assert await plugin.listed(snapshot_id=gone) == []
    assert await plugin.refusal("GetSnapshot", snapshot_id=gone) == "NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
        await plugin.volume("new", volume_content_source=content(snapshot=gone))


async def test_a_deleted_snapshots_name_is_free_for_another(plugin: Plugin) -> None:
    # CreateSnapshot: `name`; Snapshot: `snapshot_id` is never given twice
    one, two = [(await plugin.volume(name)).volume_id for name in ("one", "two")]
    first = await plugin.cut(one)
    await plugin.call("DeleteSnapshot", snapshot_id=first.snapshot_id)
    second = await plugin.cut(two)
    assert second.snapshot_id != first.snapshot_id
    assert second.source_volume_id == two
    await plugin.call("DeleteSnapshot", snapshot_id=first.snapshot_id)  # a late repetition
    assert await plugin.listed() == [second]


async def test_a_volume_that_was_restored_outlives_its_snapshot(plugin: Plugin) -> None:
    # DeleteSnapshot Errors: Snapshot in use - ours never is, since a restore is a copy
    volume = (await plugin.volume()).volume_id
    (plugin.folder / "volumes" / volume / "file").write_text("content")
    snapshot = (await plugin.cut(volume)).snapshot_id
    new = await plugin.volume("new", volume_content_source=content(snapshot=snapshot))
    await plugin.call("DeleteSnapshot", snapshot_id=snapshot)
    assert (plugin.folder / "volumes" / new.volume_id / "file").read_text() == "content"


async def test_one_snapshot_deleted_many_times_at_once_is_gone(plugin: Plugin) -> None:
    # DeleteSnapshot Errors: Operation pending for snapshot
    snapshot = (await plugin.cut((await plugin.volume()).volume_id)).snapshot_id
    codes: list[str] = []

    async def delete() -> None:
        try:
            await plugin.call("DeleteSnapshot", snapshot_id=snapshot)
            codes.append("OK")
        except grpc.aio.AioRpcError as error:
            codes.append(error.code().name)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(delete)
    assert "OK" in codes
    assert set(codes) <= {"OK", "ABORTED"}
    assert plugin.trees("snapshots") == plugin.trees("state/snapshots") == set()


async def test_a_snapshot_is_got_as_it_was_told(plugin: Plugin) -> None:
    # GetSnapshot: current information, all that is required of a Snapshot
    volume = (await plugin.volume()).volume_id
    made = [await plugin.cut(volume, name) for name in ("one", "two")]
    for each in made:
        got = await plugin.call("GetSnapshot", snapshot_id=each.snapshot_id, secrets={"a": "b"})
        assert got.snapshot == each


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_snapshot_that_does_not_exist_is_not_got(plugin: Plugin, unknown: str) -> None:
    # GetSnapshot Errors: Snapshot does not exist
    volume = (await plugin.volume()).volume_id
    await plugin.cut(volume)
    for each in (unknown, volume, "snap"):
        assert await plugin.refusal("GetSnapshot", snapshot_id=each) == "NOT_FOUND"
