"""The API server that subjects run on: embedded, a real one of our own, or any cluster.

On a server of our own the subjects are the bearer of a service account's token, as in a cluster; it
may do everything, so that no implementation's permissions have to be known. In a cluster that was
given they are whoever its kubeconfig names.
"""

import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import controlplane
import yaml

from benchmarks import client, counters, objects, processes, subjects, waiting

KINDS = ("embedded", "envtest", "kubeconfig")
CRDS = Path(__file__).parents[1] / "config" / "crd"
_SYSTEM = "kube-system"
_ACCOUNT = "benchmark-subject"


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A running API server with the snapshot API in it."""

    kind: str
    api: client.Client
    kubeconfig: Path  # the subjects'
    pids: dict[str, int]  # of its processes by name; none where they are elsewhere

    async def counts(self) -> "Counts":
        """Return what it counted so far; its CPU is read before it is asked, or told by itself."""
        used = processes.cpu_of(self.pids)
        told = await self.api.metrics()
        said = counters.cpu_seconds(told)
        if not self.pids and said is not None:
            used["apiserver"] = said
        return Counts(told, used, processes.cpu_of(self.pids) or used)


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Metrics, and the CPU seconds of the server's processes before and after they were read."""

    metrics: str
    before: dict[str, float]
    after: dict[str, float]


@contextlib.asynccontextmanager
async def running(kind: str, folder: Path, given: Path | None) -> AsyncIterator[Server]:
    """Run, or reach, a server; raises `Unobtainable` where it cannot be had."""
    if kind == "embedded":
        opened = _embedded(folder)
    elif kind == "envtest":
        opened = _real(folder)
    else:
        opened = _borrowed(given or Path.home() / ".kube" / "config")
    async with opened as server:
        await _install(server.api)
        yield server


@contextlib.asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Server]:
    program = str(Path(sys.executable).with_name("snapshotd"))
    command = [program, "dev", f"--data-dir={folder}", "--parts=apiserver"]
    server = subjects.Running("apiserver", command, folder.with_suffix(".log"))
    try:
        kubeconfig = folder / "kubeconfig"
        with anyio.fail_after(waiting.PATIENCE):
            await waiting.until(lambda: kubeconfig.exists() and server.says("apiserver_ready"))
        async with client.connected(kubeconfig) as api:
            yield Server("embedded", api, kubeconfig, {"apiserver": server.pid})
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def _real(folder: Path) -> AsyncIterator[Server]:
    with controlplane.running(folder, audited=False) as plane:
        async with client.connected(plane.administrator) as api:
            token = await _account(api)
            yield Server("envtest", api, plane.kubeconfig(token), plane.processes)


@contextlib.asynccontextmanager
async def _borrowed(kubeconfig: Path) -> AsyncIterator[Server]:
    async with client.connected(kubeconfig) as api:
        yield Server("kubeconfig", api, kubeconfig, {})


async def _account(api: client.Client) -> str:
    """Make the subjects' service account and return a token of it."""
    # A new control plane makes its own namespaces in its own time.
    await api.bring("namespaces", "", {"metadata": {"name": _SYSTEM}})
    await api.bring("serviceaccounts", _SYSTEM, {"metadata": {"name": _ACCOUNT}})
    group = "rbac.authorization.k8s.io"
    binding: dict[str, Any] = {
        "metadata": {"name": _ACCOUNT},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": _SYSTEM}],
    }
    await api.bring("clusterrolebindings", "", binding)
    where = client.path("serviceaccounts", _SYSTEM, _ACCOUNT, "token")
    wanted = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 86400},
    }
    made = await api.request("POST", where, wanted)
    return str(made["status"]["token"])


async def _install(api: client.Client) -> None:
    """Bring the snapshot API and the class."""
    wanted = [
        document
        for each in sorted(CRDS.glob("snapshot*.yaml"))
        for document in yaml.safe_load_all(each.read_text())
        if document
    ]
    for each in wanted:
        await api.bring("customresourcedefinitions", "", each)
    with anyio.fail_after(waiting.PATIENCE):
        await waiting.until(lambda: _served(api, len(wanted)))
    await api.bring("volumesnapshotclasses", "", objects.snapshot_class())


async def _served(api: client.Client, count: int) -> bool:
    served = 0
    found = await api.request("GET", client.path("customresourcedefinitions"))
    for each in found["items"]:
        told = {c["type"]: c["status"] for c in each["status"].get("conditions") or ()}
        ours = each["spec"]["group"] == "snapshot.storage.k8s.io"
        served += ours and told.get("Established") == "True"
    try:
        await api.request("GET", client.path("volumesnapshots"))
    except client.Failed:
        return False
    return served >= count
