"""Programs of public Go modules, each built once into a cache outside the tree.

A folder with a `go.mod` names the module and its exact version; nothing of its source enters ours.
Where a program cannot be had, `Unobtainable` says why in one sentence.
"""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

_BUILD_SECONDS = 1800


class Unobtainable(Exception):
    """A program cannot be had here; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Build:
    """One program: the folder of its `go.mod`, its package, and where it is to be."""

    module: Path
    package: str
    program: Path
    ldflags: str = "-s -w"


def built(build: Build) -> Path:
    """Return the program, built now if it was not before; raises `Unobtainable`."""
    name, program = build.program.name, build.program
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        raise Unobtainable(f"Go is not here to build {name} with")
    unfinished = program.with_name(f"{name}.{os.getpid()}")
    command = [go, "build", "-trimpath", "-ldflags", build.ldflags, "-o", str(unfinished)]
    print(f"building {name} once, from its Go module: some minutes", flush=True)  # noqa: T201
    done = subprocess.run(
        [*command, build.package],
        cwd=build.module,
        env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise Unobtainable(f"{name} cannot be built: {done.stderr.strip()[-600:]}")
    unfinished.rename(program)
    return program


def cache(*names: str) -> Path:
    """Return a folder of the cache, made if need be."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root.joinpath("snapshotd", *names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
