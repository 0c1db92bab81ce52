"""A real control plane for tests: etcd and kube-apiserver on loopback, with RBAC and an audit log.

The binaries come from `KUBEBUILDER_ASSETS` (the ecosystem's variable for them), or are built once
from their public Go modules (`tests/controlplane/*/go.mod`) into a cache outside the tree. Where
neither can be had, `Unobtainable` says why in one sentence, and the tests that need it are skipped
with that sentence.
"""

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gobuild

KUBERNETES = "1.36.3"
_MODULES = Path(__file__).parent.parent / "controlplane"
_VERSION = "k8s.io/component-base/version"
_BUILDS = {
    "etcd": ("go.etcd.io/etcd/server/v3", "-s -w"),
    "kube-apiserver": (
        "k8s.io/kubernetes/cmd/kube-apiserver",
        " ".join(
            (
                f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1",
                f"-X {_VERSION}.gitMinor={KUBERNETES.split('.')[1]}",
            )
        ),
    ),
}
_START_SECONDS = 120

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


Unobtainable = gobuild.Unobtainable


@dataclasses.dataclass(frozen=True, slots=True)
class Binaries:
    """Where the two programs are."""

    etcd: Path
    apiserver: Path


def binaries() -> Binaries:
    """Return the two programs: given, built before, or built now; raises `Unobtainable`."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        found = Binaries(Path(assets) / "etcd", Path(assets) / "kube-apiserver")
        for program in (found.etcd, found.apiserver):
            if not os.access(program, os.X_OK):
                raise Unobtainable(f"KUBEBUILDER_ASSETS names no executable {program}")
        return found
    return Binaries(_built("etcd"), _built("kube-apiserver"))


def _built(name: str) -> Path:
    package, flags = _BUILDS[name]
    program = gobuild.cache("controlplane", KUBERNETES) / name
    try:
        return gobuild.built(gobuild.Build(_MODULES / name, package, program, flags))
    except Unobtainable as error:
        raise Unobtainable(f"KUBEBUILDER_ASSETS is not set, and {error}") from error


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """Somebody the API server knows by a bearer token."""

    name: str
    token: str
    groups: tuple[str, ...] = ()


class ControlPlane:
    """A running control plane."""

    def __init__(self, folder: Path, port: int, admin: User) -> None:
        """Keep what a client needs; `running` starts the programs."""
        self.folder = folder
        self.url = f"https://127.0.0.1:{port}"
        self.admin = admin
        self.processes: dict[str, int] = {}  # their ids by name, while it runs

    @property
    def administrator(self) -> Path:
        """A kubeconfig of the administrator."""
        return self.kubeconfig(self.admin.token)

    def kubeconfig(self, token: str) -> Path:
        """Write a kubeconfig for the bearer of a token and return its path."""
        certificate = self.folder / "certs" / "apiserver.crt"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "real",
                    "cluster": {"server": self.url, "certificate-authority": str(certificate)},
                }
            ],
            "users": [{"name": "bearer", "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "bearer"}}],
            "current-context": "real",
        }
        path = self.folder / f"kubeconfig-{secrets.token_hex(4)}"
        path.write_text(json.dumps(config))
        return path

    def audit(self) -> Iterator[dict[str, object]]:
        """Yield the events of the audit log so far, oldest first."""
        with (self.folder / "audit.log").open() as lines:
            for line in lines:
                yield json.loads(line)


@contextlib.contextmanager
def running(folder: Path, *, audited: bool = True) -> Iterator[ControlPlane]:
    """Run a control plane with its state below `folder`; raises `Unobtainable`.

    Without `audited` it keeps no audit log, which costs it time at every request.
    """
    programs = binaries()
    admin = User("admin", secrets.token_hex(16), ("system:masters",))
    api_port, etcd_port, peer_port = _free_ports(3)
    _write_inputs(folder, admin)
    plane = ControlPlane(folder, api_port, admin)
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(_process(_etcd(programs, folder, etcd_port, peer_port), folder))
        command = _apiserver(programs, folder, api_port, etcd_port)
        server = stack.enter_context(
            _process(command + (_auditing(folder) if audited else []), folder)
        )
        plane.processes = {"etcd": state.pid, "apiserver": server.pid}
        _await_ready(plane, server)
        yield plane


def _write_inputs(folder: Path, admin: User) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
    groups = ",".join(admin.groups)
    (folder / "tokens.csv").write_text(f'{admin.token},{admin.name},{admin.name}-uid,"{groups}"\n')
    for command in (
        ["openssl", "genrsa", "-out", "sa.key", "2048"],
        ["openssl", "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _etcd(programs: Binaries, folder: Path, port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        str(programs.etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver(programs: Binaries, folder: Path, port: int, etcd_port: int) -> list[str]:
    return [
        str(programs.apiserver),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certs'}",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount,StorageObjectInUseProtection",
    ]


def _auditing(folder: Path) -> list[str]:
    return [
        f"--audit-log-path={folder / 'audit.log'}",
        f"--audit-policy-file={folder / 'audit-policy.json'}",
    ]


@contextlib.contextmanager
def _process(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(plane: ControlPlane, server: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its certificate is made while we wait
    request = urllib.request.Request(  # noqa: S310 - the scheme is ours: https
        f"{plane.url}/readyz", headers={"Authorization": f"Bearer {plane.admin.token}"}
    )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(request, timeout=5, context=context):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            # Nothing tells when it is ready but asking; `wait` also ends early if it dies.
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=0.2)
    tail = (plane.folder / "kube-apiserver.log").read_text()[-2000:]
    raise RuntimeError(f"the kube-apiserver did not become ready:\n{tail}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
