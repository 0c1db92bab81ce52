"""The commands: each parses its flags and hands its settings to `app`."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata
from typing import Any

import anyio
import structlog

from snapshotd import errors, settings
from snapshotd.cli import explaining, flags, watching
from snapshotd.runtime import supervisor
from snapshotd.telemetry import logging, tracing

Run = Callable[[], Awaitable[supervisor.Ending]]

_OVERVIEW = """\
snapshotd: the volume-snapshot control plane of Kubernetes.

  snapshotd dev          everything on this machine: API server, CSI driver, both roles
  snapshotd dev --demo   the same, and plays the whole story of snapshots and groups
  snapshotd controller   cluster-wide: binds, protects, releases
  snapshotd sidecar      beside one CSI driver: cuts and deletes on storage
  snapshotd webhook      converts group objects between their versions, for the API server
  snapshotd explain NAME why is this snapshot not ready, or not gone, and who must act?
  snapshotd status       how all snapshots are: counts, slowest, stuck, queues; live
  snapshotd version      the version

'snapshotd COMMAND --help' tells the flags of a command."""

_CONTROLLER = """\
examples:
  snapshotd controller --kubeconfig ~/.kube/config
  snapshotd controller --leader-election --http-endpoint :8080 --logging-format json
"""
_SIDECAR = """\
examples:
  snapshotd sidecar --csi-address /csi/csi.sock --leader-election
  snapshotd sidecar --csi-address ./csi.sock --kubeconfig ./kubeconfig -v 4
"""
_WEBHOOK = """\
examples:
  snapshotd webhook --tls-cert-file tls.crt --tls-private-key-file tls.key
  snapshotd webhook --tls-cert-file tls.crt --tls-private-key-file tls.key --port 8443 -v 4
"""
_DEV = """\
examples:
  snapshotd dev                         start, print what to do next, stop with Ctrl-C
  snapshotd dev --demo                  the story: snapshot, change, restore, delete; then a group
  snapshotd dev --demo -o json          the same, as a report for a program
  snapshotd dev --parts apiserver       one part a process: name the kubeconfig to the others
"""


def version() -> str:
    """Return the version of the package."""
    return metadata.version("snapshotd")


def main(words: Sequence[str]) -> int:
    """Run a command line; return the exit code."""
    commands = {
        "controller": controller,
        "sidecar": sidecar,
        "webhook": webhook,
        "dev": dev,
        "explain": explaining.explain,
        "status": watching.status,
    }
    if not words or words[0] in {"help", "-h", "-help", "--help"}:
        print(_OVERVIEW)
        return 0
    if words[0] in {"version", "-version", "--version"}:
        print(f"snapshotd {version()}")
        return 0
    try:
        if words[0] not in commands:
            raise errors.Misconfigured(
                f"there is no command {words[0]!r}.\nSee 'snapshotd --help'."
            )
        return commands[words[0]](words[1:])
    except errors.SnapshotdError as error:
        print(f"snapshotd: {error}", file=sys.stderr)
        return 2 if isinstance(error, errors.Misconfigured) else 1
    except KeyboardInterrupt:
        return 130


def controller(words: Sequence[str]) -> int:
    """Run `snapshotd controller`."""
    from snapshotd.app import controller  # noqa: PLC0415 - `--help` need not wait for the imports of a role

    made = flags.parser(
        "controller",
        settings.Controller,
        description="Binds, protects and releases snapshots, cluster-wide.",
        epilog=_CONTROLLER,
    )
    values = _read(made, settings.Controller, words)
    if values is None:
        return 0
    return _run(values, lambda: controller.run(values))


def sidecar(words: Sequence[str]) -> int:
    """Run `snapshotd sidecar`."""
    from snapshotd.app import sidecar  # noqa: PLC0415 - as above

    made = flags.parser(
        "sidecar",
        settings.Sidecar,
        description="Cuts and deletes snapshots, beside one CSI driver.",
        epilog=_SIDECAR,
    )
    values = _read(made, settings.Sidecar, words)
    if values is None:
        return 0
    return _run(values, lambda: sidecar.run(values))


def webhook(words: Sequence[str]) -> int:
    """Run `snapshotd webhook`."""
    from snapshotd.app.webhook import command  # noqa: PLC0415 - as above

    made = flags.parser(
        "webhook",
        settings.Webhook,
        description="Converts group objects between their versions, for the API server.",
        epilog=_WEBHOOK,
    )
    values = _read(made, settings.Webhook, words)
    if values is None:
        return 0
    return _run(values, lambda: command.run(values))


def dev(words: Sequence[str]) -> int:
    """Run `snapshotd dev`."""
    try:
        from snapshotd.app import local  # noqa: PLC0415 - needs the extra `dev`
    except ModuleNotFoundError as error:
        raise errors.Misconfigured(
            f"snapshotd dev needs {error.name}: install it with  pip install 'snapshotd[dev]'"
        ) from None
    made = flags.parser(
        "dev",
        settings.Dev,
        description="Everything on this machine: no cluster, no Docker, no root.",
        epilog=_DEV,
    )
    values = _read(made, settings.Dev, words)
    if values is None:
        return 0
    if values.local.demo:
        # The display has the terminal to itself; what the parts log is kept beside the state.
        observing = values.observing
        logging.configure(
            observing.logging_format,
            observing.verbosity,
            level=observing.log_level,
            file=local.log_file(values),
        )
    return _run(values, lambda: local.dev(values))


def _read(made: flags.Parser, group: type[Any], words: Sequence[str]) -> Any:
    made.add_argument("--version", "-version", action="store_true", help="print the version, end")
    if group is not settings.Dev:
        flags.accept(made)
    given = flags.parse(made, words)
    if given.version:
        print(f"{made.prog} {version()}")
        return None
    values = flags.read(group, given)
    observing = values.observing
    if observing.logging_format not in {"text", "json"}:
        raise errors.Misconfigured(
            f"--logging-format {observing.logging_format!r} is neither text nor json"
        )
    if observing.log_level not in {"", *logging.LEVELS}:
        raise errors.Misconfigured(
            f"--log-level {observing.log_level!r} is none of {', '.join(logging.LEVELS)}"
        )
    logging.configure(observing.logging_format, observing.verbosity, level=observing.log_level)
    log = structlog.get_logger(__name__)
    for name, reason in flags.ignored(given).items():
        log.warning("flag_without_effect", flag=f"--{name}", reason=reason)
    return values


def _run(values: Any, run: Run) -> int:
    service = f"snapshotd-{type(values).__name__.lower()}"
    tracing.configure(service, version(), wanted=values.observing.tracing)
    try:
        ending = anyio.run(run, backend_options=_loop(values.process.event_loop))
    finally:
        tracing.close()
    if ending.message:
        print(f"snapshotd: {ending.message}", file=sys.stderr)
    return ending.code


def _loop(wanted: str) -> dict[str, Any]:
    if wanted not in {"auto", "asyncio", "uvloop"}:
        raise errors.Misconfigured(f"--event-loop {wanted!r} is none of auto, asyncio, uvloop")
    if wanted == "asyncio":
        return {}
    try:
        import uvloop  # noqa: F401, PLC0415 - is it there?
    except ModuleNotFoundError:
        if wanted == "uvloop":
            raise errors.Misconfigured(
                "--event-loop uvloop: it is not installed: pip install 'snapshotd[uvloop]'"
            ) from None
        return {}
    return {"use_uvloop": True}
