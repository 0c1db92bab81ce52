"""`snapshotd explain`: the command line of it."""

from collections.abc import Sequence

import anyio

from snapshotd import errors, settings
from snapshotd.cli import flags
from snapshotd.telemetry import logging

_EPILOG = """\
what is asked about:
  NAME              a VolumeSnapshot            content/NAME    a VolumeSnapshotContent
  claim/NAME        a PersistentVolumeClaim
  group/NAME        a VolumeGroupSnapshot, and its members in short
  groupcontent/NAME a VolumeGroupSnapshotContent

examples:
  snapshotd explain my-snapshot                 why is it not ready? or not gone?
  snapshotd explain -n prod claim/data          who holds this claim?
  snapshotd explain -n prod group/nightly       why is the group not ready? which member is not?
  snapshotd explain --all                       everything that is not settled
  snapshotd explain --all -o json | jq '.[].verdict'

It reads with your kubeconfig, writes nothing, and needs no controller to be running.
exit codes: 0 settled, 3 it waits, 4 somebody must act, 2 no such object, 1 it cannot be read
"""


def explain(words: Sequence[str]) -> int:
    """Run `snapshotd explain`."""
    from snapshotd.app.explain import command  # noqa: PLC0415 - `--help` need not wait for it

    made = flags.parser(
        "explain",
        settings.Explain,
        description="Says why a snapshot is not ready, or not gone, and who must act.",
        epilog=_EPILOG,
    )
    made.add_argument("-n", dest="namespace", metavar="NAMESPACE", help="as --namespace")
    made.add_argument("-A", dest="all_", action="store_true", default=None, help="as --all")
    made.add_argument("subject", nargs="?", default="", metavar="[KIND/]NAME")
    given = flags.parse(made, words)
    values: settings.Explaining = flags.read(settings.Explain, given).explaining
    if bool(given.subject) == values.all_:
        raise errors.Misconfigured(
            "name one object, or give --all\nSee 'snapshotd explain --help'."
        )
    if values.output not in {"text", "json"}:
        raise errors.Misconfigured(f"-o {values.output!r} is neither text nor json")
    logging.configure("text", -1)
    ending = anyio.run(command.run, values, given.subject)
    if ending.message:
        raise errors.Refused(ending.message) if ending.code == 1 else _NotThere(ending.message)
    return ending.code


class _NotThere(errors.Misconfigured):
    """What was asked about does not exist: the exit code is that of a wrong command line."""
