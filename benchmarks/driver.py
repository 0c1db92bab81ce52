"""A CSI driver that costs next to nothing: in memory, and every answer at once.

    python -m benchmarks.driver SOCKET

It holds what a snapshot control plane needs of a driver, and no volumes: any volume handle is one.
"""

import sys
import time
from typing import Any

import anyio
import grpc
from google.protobuf import timestamp_pb2

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc

NAME = "benchmark.csi.example.com"
_SIZE = 1 << 30


class Identity(csi_pb2_grpc.IdentityServicer):
    """Who we are."""

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - CSI's name
        """Tell the name."""
        del request, context
        return csi_pb2.GetPluginInfoResponse(name=NAME, vendor_version="1")

    async def GetPluginCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell that there is a controller service."""
        del request, context
        kind = csi_pb2.PluginCapability.Service.Type.Value("CONTROLLER_SERVICE")
        service = csi_pb2.PluginCapability.Service(type=kind)
        capability = csi_pb2.PluginCapability(service=service)
        return csi_pb2.GetPluginCapabilitiesResponse(capabilities=[capability])

    async def Probe(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Be ready."""
        del request, context
        answer = csi_pb2.ProbeResponse()
        answer.ready.value = True
        return answer


class Controller(csi_pb2_grpc.ControllerServicer):
    """Snapshots by name; their id is the name."""

    def __init__(self) -> None:
        """Start with none."""
        self._snapshots: dict[str, Any] = {}

    async def ControllerGetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell what a control plane asks for."""
        del request, context
        kind = csi_pb2.ControllerServiceCapability.RPC
        able = [kind.Type.Value(n) for n in ("CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS")]
        return csi_pb2.ControllerGetCapabilitiesResponse(
            capabilities=[csi_pb2.ControllerServiceCapability(rpc=kind(type=each)) for each in able]
        )

    async def CreateSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Say that it is there, and ready."""
        del context
        found = self._snapshots.get(request.name)
        if found is None:
            found = csi_pb2.Snapshot(
                snapshot_id=request.name,
                source_volume_id=request.source_volume_id,
                size_bytes=_SIZE,
                creation_time=timestamp_pb2.Timestamp(seconds=int(time.time())),
                ready_to_use=True,
            )
            self._snapshots[request.name] = found
        return csi_pb2.CreateSnapshotResponse(snapshot=found)

    async def DeleteSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Forget it, if it is known."""
        del context
        self._snapshots.pop(request.snapshot_id, None)
        return csi_pb2.DeleteSnapshotResponse()

    async def ListSnapshots(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Find one by its id, which alone is asked for; any that was made elsewhere is ready."""
        del context
        if not request.snapshot_id:
            return csi_pb2.ListSnapshotsResponse()
        found = self._snapshots.get(request.snapshot_id) or csi_pb2.Snapshot(
            snapshot_id=request.snapshot_id, size_bytes=_SIZE, ready_to_use=True
        )
        entry = csi_pb2.ListSnapshotsResponse.Entry(snapshot=found)
        return csi_pb2.ListSnapshotsResponse(entries=[entry])


async def serve(socket: str) -> None:
    """Serve on a unix socket until killed."""
    server = grpc.aio.server()
    csi_pb2_grpc.add_IdentityServicer_to_server(Identity(), server)
    csi_pb2_grpc.add_ControllerServicer_to_server(
        Controller(),  # type: ignore[abstract]  # the generated calls answer UNIMPLEMENTED
        server,
    )
    server.add_insecure_port(f"unix://{socket}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1])
