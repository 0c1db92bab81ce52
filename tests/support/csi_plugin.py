"""A CSI plugin as its caller knows it: a socket, and what the specification says of its calls."""

import dataclasses
from pathlib import Path
from typing import Any

import grpc
import pytest

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc

_SECONDS = 30.0


def mount(mode: int = csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_WRITER, **fields: Any) -> Any:
    """Return the capability of a volume that is used as a file system."""
    capability: Any = csi_pb2.VolumeCapability
    return capability(
        mount=capability.MountVolume(**fields), access_mode=capability.AccessMode(mode=mode)
    )


def block() -> Any:
    """Return the capability of a volume that is used as a block device."""
    capability: Any = csi_pb2.VolumeCapability
    return capability(block=capability.BlockVolume(), access_mode=mount().access_mode)


def content(*, snapshot: str = "", volume: str = "") -> Any:
    """Return what a new volume is to be filled from."""
    source = csi_pb2.VolumeContentSource()
    if snapshot:
        source.snapshot.snapshot_id = snapshot
    if volume:
        source.volume.volume_id = volume
    return source


@dataclasses.dataclass(frozen=True)
class Plugin:
    """A channel to a plugin, and the folder in which it keeps everything."""

    channel: Any
    folder: Path

    async def call(self, method: str, **fields: Any) -> Any:
        """Call a method of whichever service has it, with these fields."""
        request = getattr(csi_pb2, f"{method}Request")(**fields)
        services = (
            csi_pb2_grpc.IdentityStub,
            csi_pb2_grpc.ControllerStub,
            csi_pb2_grpc.GroupControllerStub,
        )
        stubs = [service(self.channel) for service in services]
        [stub] = [each for each in stubs if hasattr(each, method)]
        return await getattr(stub, method)(request, timeout=_SECONDS)

    async def refusal(self, method: str, **fields: Any) -> str:
        """Return the code by which a call is refused, once all else of its status was checked.

        There is a message, which a person can read, and no details (CSI 1.12, "Error Scheme").
        """
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, **fields)
        error = caught.value
        assert error.details()
        assert "Traceback" not in str(error.details())
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ())
        return str(error.code().name)

    async def raw(self, path: str) -> str:
        """Return the code that answers an empty request to `/service/method`, known or not."""
        call = self.channel.unary_unary(path)
        try:
            await call(b"", timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"

    async def volume(self, name: str = "vol", **fields: Any) -> Any:
        """Make a volume, and return it."""
        fields = {"volume_capabilities": [mount()]} | fields
        return (await self.call("CreateVolume", name=name, **fields)).volume

    async def cut(self, volume: str, name: str = "snap") -> Any:
        """Cut a snapshot of the volume of this id, and return it."""
        answer = await self.call("CreateSnapshot", name=name, source_volume_id=volume)
        return answer.snapshot

    async def listed(self, **fields: Any) -> list[Any]:
        """Return the snapshots of one page."""
        answer = await self.call("ListSnapshots", **fields)
        return [each.snapshot for each in answer.entries]

    async def paged(self, method: str, most: int, **fields: Any) -> list[Any]:
        """Return all entries of a list, page by page; each page is held to what is said of it."""
        found: list[Any] = []
        tokens = [""]
        while True:
            at = {"max_entries": most, "starting_token": tokens[-1]}
            page = await self.call(method, **at, **fields)
            assert len(page.entries) <= (most or len(page.entries))
            assert page.entries or not page.next_token
            assert len(page.next_token.encode()) <= 128  # Size Limits
            found += page.entries
            if not page.next_token:
                return found
            assert page.next_token not in tokens  # or this would go on for ever
            tokens.append(page.next_token)

    async def capabilities(self) -> list[str]:
        """Return the names of what the controller service says it can do."""
        answer = await self.call("ControllerGetCapabilities")
        name = csi_pb2.ControllerServiceCapability.RPC.Type.Name
        return [name(each.rpc.type) for each in answer.capabilities]

    async def services(self) -> list[str]:
        """Return the names of the services that the plugin says it has."""
        answer = await self.call("GetPluginCapabilities")
        name = csi_pb2.PluginCapability.Service.Type.Name
        return [name(each.service.type) for each in answer.capabilities]

    def trees(self, sort: str) -> set[str]:
        """Return the names of the folders that are `volumes`, or `snapshots`."""
        return {path.name for path in (self.folder / sort).iterdir()}
