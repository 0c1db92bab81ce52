"""The hostpath driver on its socket, spoken to by raw stubs."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import csi_plugin
import grpc
import pytest

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.devcluster.hostpath import server


class Client:
    """One running driver and a stub for it."""

    def __init__(self, driver: server.HostpathDriver, folder: Path, channel: Any) -> None:
        self.driver = driver
        self.folder = folder
        self.channel = channel
        self.stub: Any = csi_pb2_grpc.ControllerStub(channel)
        self.together: Any = csi_pb2_grpc.GroupControllerStub(channel)
        self.identity: Any = csi_pb2_grpc.IdentityStub(channel)

    async def volume(self, name: str = "vol", snapshot: str = "") -> str:
        request = csi_pb2.CreateVolumeRequest(name=name, volume_capabilities=[csi_plugin.mount()])
        if snapshot:
            request.volume_content_source.snapshot.snapshot_id = snapshot
        return str((await self.stub.CreateVolume(request)).volume.volume_id)

    async def cut(self, volume: str, name: str = "snap") -> Any:
        request = csi_pb2.CreateSnapshotRequest(source_volume_id=volume, name=name)
        return (await self.stub.CreateSnapshot(request)).snapshot

    async def list(self, **fields: Any) -> Any:
        return await self.stub.ListSnapshots(csi_pb2.ListSnapshotsRequest(**fields))

    async def delete(self, handle: str) -> None:
        await self.stub.DeleteSnapshot(csi_pb2.DeleteSnapshotRequest(snapshot_id=handle))

    def tree(self, sort: str, handle: str) -> Path:
        return self.folder / sort / handle

    def left(self) -> set[Path]:
        """Return all that is kept of snapshots and groups."""
        places = ("snapshots", "state/snapshots", "state/groups", "staging/snapshots")
        return {path for place in places for path in (self.folder / place).iterdir()}

    async def refused(self, call: Any, request: Any) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(request)
        code = error.value.code()
        assert isinstance(code, grpc.StatusCode)
        return code


def checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: object) -> AsyncIterator[None]:
    """Keep one event loop for all tests here: grpc's poller outlives a loop that is closed."""
    del anyio_backend  # named, so that anyio runs this for tests without a loop, too
    yield  # noqa: PT022 - only a generator keeps the loop


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Start a driver over one folder, as often as asked: the last one runs.

    `prepare` may change it before it serves.
    """
    async with anyio.create_task_group() as group:
        scopes: list[anyio.CancelScope] = []
        channels: list[Any] = []

        async def start(prepare: Callable[[server.HostpathDriver], None] | None = None) -> Client:
            for scope in scopes:
                scope.cancel()
            folder = tmp_path / "data"
            socket = tmp_path / f"{len(scopes)}.sock"
            driver = server.HostpathDriver(server.Settings(folder, socket))
            if prepare is not None:
                prepare(driver)
            scope = anyio.CancelScope()
            scopes.append(scope)

            async def run(*, task_status: Any) -> None:
                with scope:
                    await driver.run(task_status=task_status)

            await group.start(run)
            channel = grpc.aio.insecure_channel(f"unix://{socket}")
            channels.append(channel)
            return Client(driver, folder, channel)

        yield start
        for channel in channels:
            await channel.close()
        group.cancel_scope.cancel()


@pytest.fixture
async def client(running: Callable[[], Any]) -> Client:
    """One driver over an empty folder."""
    started: Client = await running()
    return started
