"""The roles beside an API server that is not ours, each with its own service account alone."""

import contextlib
import datetime as dt
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import e2e

CONFIG = Path(__file__).parents[2] / "config"
_SYSTEM = "kube-system"
_LOCK = "snapshot-controller-leader"
_DRIVER = "hostpath.csi.k8s.io"
_SEEDS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: csi-hostpath-sc
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: hostpath.csi.k8s.io
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata:
  name: csi-hostpath-snapclass
  annotations: {snapshot.storage.kubernetes.io/is-default-class: "true"}
driver: hostpath.csi.k8s.io
deletionPolicy: Delete
---
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotClass
metadata:
  name: csi-hostpath-groupsnapclass
  annotations: {groupsnapshot.storage.kubernetes.io/is-default-class: "true"}
driver: hostpath.csi.k8s.io
deletionPolicy: Delete
"""
_GROUP_CRDS = "groupsnapshot.storage.k8s.io_volumegroupsnapshot*.yaml"


class Unsuitable(Exception):
    """The tests must not run in this cluster; the message says why."""


class Access(Protocol):
    """A cluster that can be reached."""

    @property
    def administrator(self) -> Path:
        """A kubeconfig that may do everything."""

    def kubeconfig(self, token: str) -> Path:
        """Return a kubeconfig for the bearer of a token."""


class RealDev(e2e.Dev):
    """The roles in processes of their own, over somebody else's API server.

    The driver and the provisioner, which stand for parts of a cluster that are not ours, are an
    administrator's.
    """

    def __init__(self, folder: Path, access: Access, namespace: str = "default") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.access = access
        self.namespace = namespace
        self.kubeconfig = access.administrator
        self.made: list[str] = []
        self._parts: list[e2e.Part] = []

    @property
    def kubectl(self) -> e2e.Kubectl:
        return e2e.Kubectl(self.kubeconfig, self.namespace, self.made)

    def started(self) -> "RealDev":
        """Install what the roles need, where it is not there, and start them."""
        try:
            self.installed()
            for part in self.start_roles():
                self.until(part.synced, f"it does not start: {part.log.read_text()}")
        except BaseException:
            self.stop()
            raise
        return self

    def installed(self) -> "RealDev":
        """Install what the roles need, where it is not there, and start all but them."""
        kubectl = self.kubectl
        if kubectl.run("get", "crd", "volumesnapshots.snapshot.storage.k8s.io").returncode != 0:
            kubectl("apply", "-k", str(CONFIG / "crd"))
        for path in sorted((CONFIG / "crd").glob(_GROUP_CRDS)):
            definition = path.stem.rpartition("_")[2] + ".groupsnapshot.storage.k8s.io"
            if kubectl.run("get", "crd", definition).returncode != 0:
                kubectl("apply", "-f", str(path))
        patience = f"--timeout={e2e.PATIENCE:g}s"
        kubectl("wait", "crd", "--all", "--for=condition=Established", patience)
        kubectl("apply", "-f", str(CONFIG / "rbac"))
        kubectl.apply(_SEEDS)
        socket = self.folder / "csi.sock"
        backstage = [f"--data-dir={self.folder}", f"--kubeconfig={self.kubeconfig}"]
        self._start("dev", "--parts=driver,provisioner", *backstage)
        self.log, self.process = self._parts[0].log, self._parts[0].process
        self.until(socket.exists, "the driver does not start")
        return self

    def start_roles(self, *flags: str) -> list[e2e.Part]:
        """Start controller and sidecar with these flags."""
        common = ["--leader-election", f"--leader-election-namespace={_SYSTEM}", *flags]
        socket = f"--csi-address={self.folder / 'csi.sock'}"
        self._start("controller", self._account("snapshot-controller"), *common)
        self._start("sidecar", self._account("csi-snapshotter"), socket, *common)
        return self._parts[-2:]

    def _start(self, *words: str) -> None:
        log = self.folder.with_name(f"{words[0]}-{len(self._parts)}.log")
        self._parts.append(e2e.Part(log, *words))

    def _account(self, name: str) -> str:
        token = self.kubectl("create", "token", name, "-n", _SYSTEM).strip()
        return f"--kubeconfig={self.access.kubeconfig(token)}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop every part; return the first exit code that is not 0."""
        codes = [part.stop(number) for part in reversed(self._parts)]
        return next((code for code in codes if code), 0)


class Cluster:
    """Any cluster, by the kubeconfig of an administrator of it."""

    def __init__(self, kubeconfig: Path, folder: Path, namespace: str) -> None:
        """Write, in `folder`, a kubeconfig of our own that starts in the test's namespace."""
        folder.mkdir(parents=True)
        self._folder = folder
        self.administrator = folder / "administrator"
        merged = e2e.Kubectl(kubeconfig)("config", "view", "--raw", "--minify", "--flatten")
        self.administrator.write_text(merged)
        kubectl = e2e.Kubectl(self.administrator)
        kubectl("config", "set-context", "--current", f"--namespace={namespace}")

    def kubeconfig(self, token: str) -> Path:
        path = self._folder / f"bearer-{secrets.token_hex(4)}"
        path.write_text(self.administrator.read_text())
        kubectl = e2e.Kubectl(path)
        kubectl("config", "set-credentials", "bearer", f"--token={token}")
        kubectl("config", "set-context", "--current", "--user=bearer")
        return path


@contextlib.contextmanager
def borrowed(kubeconfig: Path, folder: Path) -> Iterator[RealDev]:
    """Run the roles in a cluster with a namespace for one test; leave it as it was found.

    Raises `Unsuitable` where another snapshot controller or a driver of the same name is at work.
    """
    namespace = f"snapshotd-{secrets.token_hex(4)}"
    dev = RealDev(folder / "d", Cluster(kubeconfig, folder / "access", namespace), namespace)
    _refuse_company(dev.kubectl)
    dev.kubectl("create", "namespace", namespace)
    try:
        yield dev.started()
    finally:
        _delete(dev.kubectl)
        code = dev.stop()
        _sweep(dev.kubectl)
    assert code == 0


def _refuse_company(kubectl: e2e.Kubectl) -> None:
    found = kubectl.run("get", "csidriver", _DRIVER)
    if found.returncode == 0:
        raise Unsuitable(f"the cluster has a CSI driver {_DRIVER}: the tests bring their own")
    for lease in kubectl.items("leases", "--all-namespaces"):
        if lease["metadata"]["name"] == _LOCK and _is_held(lease["spec"]):
            holder = lease["spec"]["holderIdentity"]
            raise Unsuitable(
                f"{holder} holds the lease {_LOCK}: stop that snapshot controller first"
            )


def _is_held(lease: e2e.JsonObject) -> bool:
    if not lease.get("holderIdentity"):
        return False
    renewed = dt.datetime.fromisoformat(lease["renewTime"])
    age = dt.datetime.now(dt.UTC) - renewed
    return age < dt.timedelta(seconds=lease["leaseDurationSeconds"])


def _ours(kubectl: e2e.Kubectl) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what the test left that may have finalizers."""
    for kind in ("volumegroupsnapshots", "volumesnapshots", "persistentvolumeclaims"):
        yield from ((kind, each["metadata"]["name"]) for each in kubectl.items(kind))
    for kind, field in _REFERENCES.items():
        for each in kubectl.items(kind):
            if (each["spec"].get(field) or {}).get("namespace") == kubectl.namespace:
                yield kind, each["metadata"]["name"]


def _delete(kubectl: e2e.Kubectl) -> None:
    """Delete the test's objects while the roles are there to end them properly."""
    ours = list(_ours(kubectl))
    for wait in ("--wait=false", "--timeout=20s"):
        for kind, name in ours:
            kubectl.run("delete", kind, name, "--ignore-not-found", wait)


def _sweep(kubectl: e2e.Kubectl) -> None:
    """Delete what is left when nobody is there to care for it, and all else that was made."""
    for kind, name in _ours(kubectl):
        kubectl.run("patch", kind, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kubectl.run("delete", kind, name, "--ignore-not-found")
    # A Role and a ServiceAccount are in kube-system; the rest is cluster-wide or the namespace's.
    for made in reversed(kubectl.made):
        kubectl.run("delete", made, "-n", _SYSTEM, "--ignore-not-found", "--wait=false")


_REFERENCES = {
    "volumegroupsnapshotcontents": "volumeGroupSnapshotRef",
    "volumesnapshotcontents": "volumeSnapshotRef",
    "persistentvolumes": "claimRef",
}
