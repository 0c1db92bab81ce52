"""What is measured: two commands, described in a small TOML file, and their processes.

    name = "mine"
    [controller]                                  # one table each for `controller` and `sidecar`
    command = ["{bin}/mine", "--kubeconfig={kubeconfig}", "--csi-address={socket}"]
    elect = ["--leader-election"]                 # more words, for the scenario failover
    synced = "caches are synced"                  # words of its log, if it tells; optional
    [build]                                       # optional: Go programs, built once into {cache}
    module = "../reference"                       # the folder of a go.mod, seen from the file
    packages = ["example.com/module/cmd/mine"]

Placeholders: {kubeconfig}, {socket}, {resync} (a duration), {bin} (the folder of this Python's
programs), {cache} (where `build` puts its programs).
"""

import contextlib
import dataclasses
import hashlib
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import gobuild

ROLES = ("controller", "sidecar")
_HERE = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Unusable(Exception):
    """A subject cannot be run; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """One command."""

    command: tuple[str, ...]
    elect: tuple[str, ...] = ()
    synced: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An implementation: its name and its two commands."""

    name: str
    controller: Role
    sidecar: Role
    module: Path | None = None
    packages: tuple[str, ...] = ()

    def role(self, name: str) -> Role:
        """Return a role by its name."""
        return self.controller if name == "controller" else self.sidecar


def load(given: str) -> Subject:
    """Read a subject: a name in `benchmarks/subjects`, or a path; raises `Unusable`."""
    path = Path(given)
    if path.suffix != ".toml":
        path = _HERE / "subjects" / f"{given}.toml"
    try:
        return parse(path.read_text(), path.parent)
    except OSError as error:
        known = ", ".join(sorted(each.stem for each in (_HERE / "subjects").glob("*.toml")))
        raise Unusable(
            f"there is no subject {given!r} ({error.strerror}): name a TOML file, or one of {known}"
        ) from error


def parse(text: str, folder: Path) -> Subject:
    """Read a subject's TOML; raises `Unusable`."""
    try:
        told = tomllib.loads(text)
        build = told.get("build", {})
        return Subject(
            name=str(told["name"]),
            controller=_role(told["controller"]),
            sidecar=_role(told["sidecar"]),
            module=folder / build["module"] if build else None,
            packages=tuple(build.get("packages", ())),
        )
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"this is no TOML: {error}") from error
    except (KeyError, TypeError) as error:
        raise Unusable(f"a subject needs name, controller.command, sidecar.command: {error}") from (
            error
        )


def _role(told: Mapping[str, Any]) -> Role:
    return Role(
        tuple(str(word) for word in told["command"]),
        tuple(str(word) for word in told.get("elect", ())),
        str(told.get("synced", "")),
    )


def filled(words: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    """Put values in the places of their names; raises `Unusable` for an unknown one."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise Unusable(f"{match[0]} is no placeholder: {', '.join(sorted(values))} are")
        return values[match[1]]

    return [_PLACEHOLDER.sub(value, word) for word in words]


def built(subject: Subject) -> Path:
    """Build a subject's programs if need be and return their folder; raises `Unobtainable`."""
    if subject.module is None:
        return Path(sys.executable).parent
    exact = hashlib.sha256((subject.module / "go.mod").read_bytes()).hexdigest()[:12]
    folder = gobuild.cache("benchmarks", f"{subject.module.name}-{exact}")
    for package in subject.packages:
        program = folder / package.rpartition("/")[2]
        gobuild.built(gobuild.Build(subject.module, package, program))
    return folder


class Running:
    """One process and its log."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        """Start it."""
        self.name = name
        self.log = log
        self.ended = False  # by us
        self._output: BinaryIO = log.open("ab")
        self.process = subprocess.Popen(
            command, stdout=self._output, stderr=self._output, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """Return its id."""
        return self.process.pid

    def says(self, words: str) -> bool:
        """Say whether these words are in its log."""
        return words in self.log.read_text(errors="replace")

    def tail(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def stop(self) -> None:
        """End it: gently, then not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """Where subjects run: what the placeholders stand for, and where logs go."""

    kubeconfig: Path
    socket: Path
    logs: Path
    resync: str = "15m"

    def values(self, programs: Path) -> dict[str, str]:
        """Return the placeholders' values."""
        return {
            "kubeconfig": str(self.kubeconfig),
            "socket": str(self.socket),
            "resync": self.resync,
            "bin": str(Path(sys.executable).parent),
            "cache": str(programs),
        }

    def start(self, subject: Subject, role: str, *, elect: bool = False) -> Running:
        """Start one role of a subject."""
        known = subject.role(role)
        words = known.command + (known.elect if elect else ())
        command = filled(words, self.values(built(subject)))
        log = self.logs / f"{subject.name}-{role}-{time.monotonic_ns()}.log"
        return Running(role, command, log)


@contextlib.contextmanager
def running(stage: Stage, subject: Subject, *, elect: bool = False) -> Iterator[dict[str, Running]]:
    """Run both roles; raises `Unusable`, with their last words, if one ended by itself."""
    started: dict[str, Running] = {}
    try:
        for role in ROLES:
            started[role] = stage.start(subject, role, elect=elect)
        yield started
        for each in started.values():
            if each.process.poll() is not None and not each.ended:
                raise Unusable(f"{subject.name} {each.name} ended: {each.tail()}")
    finally:
        for each in started.values():
            each.stop()
