"""CSI Identity: who the driver is, and that it is ready."""

from typing import Any

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc


class Identity(csi_pb2_grpc.IdentityServicer):
    """Who we are."""

    def __init__(self, name: str, version: str) -> None:
        """Answer to this name."""
        self._name = name
        self._version = version

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - CSI's name
        """Tell name and version."""
        del request, context
        return csi_pb2.GetPluginInfoResponse(name=self._name, vendor_version=self._version)

    async def GetPluginCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell which services there are beside this one."""
        del request, context
        service = csi_pb2.PluginCapability.Service
        types = (service.CONTROLLER_SERVICE, service.GROUP_CONTROLLER_SERVICE)
        return csi_pb2.GetPluginCapabilitiesResponse(
            capabilities=[csi_pb2.PluginCapability(service=service(type=each)) for each in types]
        )

    async def Probe(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell that we are ready, as we always are."""
        del request, context
        return csi_pb2.ProbeResponse()
