"""The driver on its unix socket."""

import dataclasses
import os
from pathlib import Path

import anyio
import anyio.abc

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # we never fork

import grpc

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2_grpc
from snapshotd.devcluster.hostpath import (
    faults,
    group_service,
    groups,
    identity,
    interceptor,
    service,
    shelf,
    workshop,
)

NAME = "hostpath.csi.k8s.io"
_LONGEST_PATH = 107  # bytes of a unix socket's path (unix(7))
_GRACE = 5.0  # seconds for calls in flight at the end


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Where the driver keeps its directories and listens; `version` is what it tells of itself."""

    folder: Path
    socket: Path
    name: str = NAME
    version: str = "dev"


class HostpathDriver:
    """One driver."""

    def __init__(self, settings: Settings) -> None:
        """Take up what the folder holds; raises `Misconfigured` where that cannot be."""
        self._settings = settings
        self.volumes = shelf.Shelf(settings.folder, "volumes")
        self.groups = groups.Ledger(settings.folder)
        self.snapshots = shelf.Shelf(
            settings.folder, "snapshots", read_only=True, groups=self.groups.handles
        )
        self.faults = faults.Faults(settings.folder / "faults.json")

    async def run(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; started once the socket is there."""
        socket = self._settings.socket.absolute()
        self._clear(socket)
        around = interceptor.Interceptor(self.faults)
        server = grpc.aio.server(interceptors=[around])
        try:
            server.add_insecure_port(f"unix://{socket}")
        except RuntimeError:
            raise errors.Misconfigured(
                f"cannot listen on {socket}: is the folder there, and may it be written to?"
            ) from None
        async with anyio.create_task_group() as group:
            self._register(server, workshop.Workshop(group))
            await server.start()
            try:
                task_status.started()
                await anyio.sleep_forever()
            finally:
                around.end()
                with anyio.CancelScope(shield=True), anyio.move_on_after(_GRACE + 1):
                    await server.stop(_GRACE)

    def _register(self, server: grpc.aio.Server, shop: workshop.Workshop) -> None:
        who = identity.Identity(self._settings.name, self._settings.version)
        controller = service.Controller(
            self.volumes, self.snapshots, trouble=self.faults, shop=shop
        )
        together = group_service.GroupController(
            group_service.Shelves(self.volumes, self.snapshots, self.groups),
            trouble=self.faults,
            shop=shop,
        )
        csi_pb2_grpc.add_IdentityServicer_to_server(who, server)
        csi_pb2_grpc.add_ControllerServicer_to_server(controller, server)
        csi_pb2_grpc.add_GroupControllerServicer_to_server(together, server)

    def _clear(self, socket: Path) -> None:
        if len(str(socket).encode()) > _LONGEST_PATH:
            raise errors.Misconfigured(
                f"the driver's socket {socket} has more than {_LONGEST_PATH} bytes, the most a "
                "socket's path may have: choose a --data-dir with a shorter path"
            )
        try:
            socket.parent.mkdir(parents=True, exist_ok=True)
            socket.unlink(missing_ok=True)  # of a process that was killed
        except OSError as error:
            raise errors.Misconfigured(
                f"cannot make the driver's socket {socket}: {error.strerror}"
            ) from error
