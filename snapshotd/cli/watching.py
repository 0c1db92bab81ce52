"""`snapshotd status`: the command line of it."""

import os
import sys
from collections.abc import Sequence

import anyio

from snapshotd import errors, settings
from snapshotd.cli import flags
from snapshotd.telemetry import logging

_EPILOG = """\
what is shown:
  ready     may be restored from            pending   on its way, or waiting for something
  failing   has an error                    deleting  waits for its finalizers
  stuck     is failing, or has not been settled for longer than --stuck-after

examples:
  snapshotd status                                    live, until Ctrl-C; every namespace
  snapshotd status -n prod --once                     once, for a ticket
  snapshotd status -o json | jq '.stuck[].name'       once, for a program; groups: .groups.stuck[]
  snapshotd status --endpoint localhost:8080 --endpoint localhost:8081
                                                      with the queues of a controller and a sidecar
  kubectl port-forward deploy/snapshot-controller 8080   brings such an endpoint here

It reads with your kubeconfig (list and watch snapshots; contents, classes and groups where there
are any, and you may), writes nothing, and needs no controller to be running. One stuck snapshot is
explained by 'snapshotd explain NAME', one stuck group by 'snapshotd explain group/NAME'.
exit codes: 0 nothing is stuck, 4 something is, 1 it cannot be read, 2 a wrong command line
"""


def status(words: Sequence[str]) -> int:
    """Run `snapshotd status`."""
    from snapshotd.app.status import command  # noqa: PLC0415 - `--help` need not wait for it

    made = flags.parser(
        "status",
        settings.Status,
        description="Shows how all snapshots, and groups, are: counts, slowest, stuck, queues.",
        epilog=_EPILOG,
    )
    made.add_argument("-n", dest="namespace", metavar="NAMESPACE", help="as --namespace")
    made.add_argument(
        "--endpoint",
        "-endpoint",
        action="append",
        default=[],
        metavar="URL",
        help="the --http-endpoint of a role, to show its queues; may be given more than once",
    )
    given = flags.parse(made, words)
    values: settings.Watching = flags.read(settings.Status, given).watching
    if values.output not in {"text", "json"}:
        raise errors.Misconfigured(f"-o {values.output!r} is neither text nor json")
    if values.interval <= 0:
        raise errors.Misconfigured("--interval must be more than nothing, such as 2s")
    logging.configure("text", 0, level="error")
    try:
        return anyio.run(command.run, values, given.endpoint)
    except KeyboardInterrupt:
        return 0  # how one leaves the live view
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # whoever reads has seen enough, as `| head` does
