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
        """Tell that there is a controller service."""
        del request, context
        type_ = csi_pb2.PluginCapability.Service.CONTROLLER_SERVICE
        service = csi_pb2.PluginCapability.Service(type=type_)
        capability = csi_pb2.PluginCapability(service=service)
        return csi_pb2.GetPluginCapabilitiesResponse(capabilities=[capability])

    async def Probe(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell that we are ready, as we always are."""
        del request, context
        return csi_pb2.ProbeResponse()
