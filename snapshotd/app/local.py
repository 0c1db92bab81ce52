"""`snapshotd dev`: the roles of a cluster, and the cluster, on this machine.

The API server and the driver keep their state below one folder, so that a killed process goes on
where it was. Every part is a `supervisor.Part`; with `--parts` each can be a process of its own.
"""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.abc
import structlog

from snapshotd import errors, settings
from snapshotd.actors import ports
from snapshotd.app import controller, process, seeds, sidecar
from snapshotd.csi import connection as channels
from snapshotd.csi import driver as drivers
from snapshotd.devcluster import provisioner
from snapshotd.devcluster.apiserver import server as apiserver
from snapshotd.devcluster.hostpath import server as hostpath
from snapshotd.kube import reflector, writer
from snapshotd.runtime import supervisor

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

PARTS = ("apiserver", "driver", "provisioner", "controller", "sidecar")


async def dev(values: settings.Dev) -> supervisor.Ending:
    """Run `snapshotd dev` to its end."""
    local = Local(values)
    with local.locked():
        return await supervisor.Supervisor(local.supervised(), grace=10.0).run()


def log_file(values: settings.Dev) -> BinaryIO:
    """Return the file that a demo's parts log to; raises `Misconfigured`."""
    path = Path(values.local.data_dir).absolute() / "demo.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise _unusable(path.parent, error) from error


def _unusable(folder: Path, error: OSError) -> errors.Misconfigured:
    return errors.Misconfigured(
        f"cannot use --data-dir {folder}: {error.strerror}; choose a folder that can be written to"
    )


class Local:
    """The parts of one `snapshotd dev`."""

    def __init__(self, values: settings.Dev) -> None:
        """Check what was asked for; raises `Misconfigured`."""
        self._values = values.local
        self._observing = values.observing
        self.parts = _parts(values.local.parts)
        self.folder = Path(values.local.data_dir).absolute()
        self.kubeconfig = Path(values.local.dev_kubeconfig or self.folder / "kubeconfig").absolute()
        self.socket = self.folder / "csi.sock"
        if "apiserver" not in self.parts and not self.kubeconfig.exists():
            raise errors.Misconfigured(
                f"there is no kubeconfig {self.kubeconfig}: start the part apiserver first, or "
                "name another server's with --kubeconfig"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        self.shared = process.Shared()

    def locked(self) -> "_Lock":
        """Hold the folder for the parts that run here; raises `Misconfigured` if it is held."""
        return _Lock(self.folder, self.parts)

    def supervised(self) -> list[supervisor.Part]:
        """Return the parts in the order in which they start."""
        builders = {
            "apiserver": self._apiserver,
            "driver": self._driver,
            "provisioner": self._provisioner,
            "controller": self._controller,
            "sidecar": self._sidecar,
        }
        parts = process.serving(self._observing, self.shared)
        parts += [builders[name]() for name in PARTS if name in self.parts]
        if self._values.demo:
            from snapshotd.app import story  # noqa: PLC0415 - rich is for people, and is here alone

            play = story.Story(self.folder, self.kubeconfig, output=self._values.output)
            return [*parts, supervisor.Part("demo", play.run, may_end=True)]
        return [*parts, supervisor.Part("welcome", self._welcome)]

    def _apiserver(self) -> supervisor.Part:
        folder = self.folder / "apiserver"
        port = self._values.port or _last_port(folder)

        async def run(task_status: anyio.abc.TaskStatus[None]) -> None:
            chosen = apiserver.Settings(port=port, folder=folder, converters=seeds.CONVERTERS)
            serving = apiserver.ApiServer(chosen)
            async with anyio.create_task_group() as group:
                try:
                    await group.start(serving.run)
                except errors.Misconfigured:
                    if self._values.port or not port:
                        raise
                    # The last port is taken by now, and nobody asked for it: any will do.
                    serving = apiserver.ApiServer(dataclasses.replace(chosen, port=0))
                    await group.start(serving.run)
                (folder / "port").write_text(str(serving.port))
                _write_kubeconfig(self.kubeconfig, serving.kubeconfig())
                await seeds.plant(serving)
                log.info("apiserver_ready", url=serving.url, kubeconfig=str(self.kubeconfig))
                task_status.started()

        return supervisor.Part("apiserver", run)

    def _driver(self) -> supervisor.Part:
        async def run(task_status: anyio.abc.TaskStatus[None]) -> None:
            chosen = hostpath.Settings(self.folder, self.socket)
            await hostpath.HostpathDriver(chosen).run(task_status=task_status)

        return supervisor.Part("driver", run)

    def _provisioner(self) -> supervisor.Part:
        return ProvisionerProcess(self._api(), self.socket, self.shared).part()

    def _controller(self) -> supervisor.Part:
        values = settings.Controller(api=self._api(), queues=_QUEUES)
        return controller.Controller(values, self.shared).part()

    def _sidecar(self) -> supervisor.Part:
        csi = settings.Csi(csi_address=str(self.socket))
        values = settings.Sidecar(api=self._api(), queues=_QUEUES, csi=csi)
        return sidecar.Sidecar(values, self.shared).part()

    def _api(self) -> settings.Api:
        return settings.Api(kubeconfig=str(self.kubeconfig))

    async def _welcome(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        told = _WELCOME if len(self.parts) == len(PARTS) else _RUNNING
        names = ", ".join(name for name in PARTS if name in self.parts)
        print(  # noqa: T201 - what a person who started this by hand wants to know
            told.format(kubeconfig=self.kubeconfig, folder=self.folder, names=names), flush=True
        )
        task_status.started()
        await anyio.sleep_forever()


_QUEUES = settings.Queues(
    retry_interval_max=settings.Seconds(30.0), resync_period=settings.Seconds(60.0)
)

_RUNNING = "snapshotd dev runs: {names}\n  kubeconfig  {kubeconfig}\nStop with Ctrl-C."
_WELCOME = """\
snapshotd dev is ready.

  export KUBECONFIG={kubeconfig}
  kubectl get storageclass,volumesnapshotclass      what is there to begin with
  kubectl apply -f config/samples/pvc.yaml          a volume
  kubectl apply -f config/samples/snapshot.yaml     a snapshot of it
  kubectl get volumesnapshots -w                    watch it become ready

  volumes are folders below    {folder}/volumes
  snapshots are folders below  {folder}/snapshots

Stop with Ctrl-C; the next start finds everything as it was."""


class ProvisionerProcess(process.RoleProcess):
    """The provisioner, run as a role."""

    name = "provisioner"
    component = provisioner.COMPONENT
    indexes = provisioner.INDEXES
    kinds = provisioner.KINDS

    def __init__(self, api: settings.Api, socket: Path, shared: process.Shared) -> None:
        """Take the settings."""
        queues = dataclasses.replace(_QUEUES, resync_period=settings.Seconds(0.0))
        super().__init__(api=api, queues=queues, leadership=settings.Leadership(), shared=shared)
        self._channel = None
        self._socket = socket

    async def run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Reach the driver first, then run as any role."""
        channel = channels.Connection(str(self._socket))
        try:
            await channel.ready(30.0)
            self._maker = drivers.Driver(channel)
            self._driver = await self._maker.identify()
            await super().run(task_status)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await channel.close()

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Watch claims, volumes, classes and snapshots."""
        return [reflector.Scope(kind) for kind in provisioner.WATCHED]

    def build(self, cache: process.Cache, queues: Any, world: ports.World) -> Any:
        """Return the provisioner."""
        cluster = world.writer
        if not isinstance(cluster, writer.Writer):
            raise TypeError("the provisioner writes volumes and claims")
        return provisioner.Provisioner(
            cache,
            queues,
            driver=self._driver,
            maker=self._maker,
            cluster=cluster,
            recorder=world.recorder,
        )


class _Lock:
    """One process at a time for each part that keeps state in a folder."""

    def __init__(self, folder: Path, parts: tuple[str, ...]) -> None:
        self._paths = [
            folder / f".{each}.lock" for each in ("apiserver", "driver") if each in parts
        ]
        self._held: list[int] = []

    def __enter__(self) -> None:
        for path in self._paths:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise errors.Misconfigured(
                    f"another snapshotd dev uses {path.parent}: stop it, or choose another "
                    "--data-dir"
                ) from None
            self._held.append(handle)

    def __exit__(self, *_: object) -> None:
        for handle in self._held:
            os.close(handle)


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in chosen if part not in PARTS]
    if unknown or not chosen:
        raise errors.Misconfigured(
            f"--parts {text!r}: the parts are {', '.join(PARTS)}, joined by commas"
        )
    return chosen


def _last_port(folder: Path) -> int:
    """Return the port of the last start, so that kubeconfigs stay good; 0 for the first."""
    try:
        return int((folder / "port").read_text())
    except (OSError, ValueError):
        return 0


def _write_kubeconfig(path: Path, config: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.new")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump(config, out, indent=2)
        unfinished.rename(path)
    except OSError as error:
        raise errors.Misconfigured(
            f"cannot write the kubeconfig {path}: {error.strerror}; name another with --kubeconfig"
        ) from error
