"""The report page: what real runs found, on which machine, and the commands that repeat them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import figures, plots, results

_INTRO = """\
# Benchmarks

Written by `python -m benchmarks page` from the results of real runs; the commands that repeat them
are beside the figures. `pip install -e '.[bench]'` brings what they need, Go builds the reference
and the real API server once.

How it is measured: subjects are two processes each, as in a cluster, and take turns on one API
server in one run, in the other order every second round. One client asks for snapshots and watches
them; CPU and memory are the kernel's figures for each process, requests are the API server's own
count without the client's. Claims and volumes are there and bound, and the driver answers at once
and costs under 1 ms a snapshot, so that what is left is the control plane and the API server. A
phase's CPU runs up to when the subjects are quiet. All is on one machine, so wall-clock figures
depend on how many cores everything shares; ratios, requests and CPU seconds tell more.

"""
_ABOUT = {
    "reconcile": "N snapshots are asked for at once; when all are ready, all are deleted.",
    "startup": "A cold start with N ready snapshots there, and 15 new ones asked for from the "
    "first second on, a second apart.",
    "latency": "One namespace asks for N at once; another asks for one now and then until those "
    "are done.",
    "failover": "Two replicas with leader election; the leader goes, and a snapshot is asked for "
    "at that moment.",
    "soak": "A steady rate, each snapshot deleted as soon as it is ready; `last to first` compares "
    "the last tenth of the time with the first.",
}


def write(reports: Sequence[results.Report], path: Path) -> list[Path]:
    """Write the page and its pictures, which go into a folder of the page's name beside it."""
    folder = path.with_suffix("")
    pictures: list[Path] = []
    parts = [_INTRO]
    for told in reports:
        drawn = plots.draw(told, folder)
        pictures += drawn
        parts += _section(told, [each.relative_to(path.parent) for each in drawn])
    path.write_text("\n".join("".join(parts).rstrip().splitlines()) + "\n")
    return [path, *pictures]


def _section(told: results.Report, pictures: Iterable[Path]) -> Iterator[str]:
    machine = told.machine
    yield f"## {told.scenario}\n\n{_ABOUT.get(told.scenario, '')}\n\n"
    yield f"```console\n$ {told.command}\n```\n\n"
    yield (
        f"{told.at}, API server: {told.server}; {machine['cores']} cores of {machine['processor']}"
        f", {machine['memory']}, {machine['system']}, load at the end {machine['load']}.\n\n"
    )
    for each in pictures:
        yield f"![{each.stem.replace('-', ': ')}]({each})\n\n"
    for count in told.counts():
        yield from _table(told, count)


def _table(told: results.Report, count: int) -> Iterator[str]:
    names = told.subjects()
    rounds = {name: told.rounds(name, count) for name in names}
    compared = len(names) > 1
    head = ["figure (median)", *names]
    head += [f"{names[0]} / {names[-1]} (spread)"] if compared else []
    yield f"N = {count:,}:\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for figure in dict.fromkeys(f for each in rounds.values() for r in each for f in r.figures):
        values = {n: [r.figures.get(figure, math.nan) for r in rounds[n]] for n in names}
        row = [figure, *(results.number(figures.spread(values[n]).median) for n in names)]
        row += [results.ratio(rounds[names[0]], rounds[names[-1]], figure)] if compared else []
        yield f"| {' | '.join(row)} |\n"
    yield "\n"
