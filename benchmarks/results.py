"""What was found: on disk as JSON and CSV, in the terminal as a table with ratios."""

import csv
import dataclasses
import datetime as dt
import json
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rich.console
import rich.table

from benchmarks import figures, processes

JsonObject = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """One subject in one round; `count` is its size, and round -1 is of all rounds together."""

    subject: str
    count: int
    round: int
    figures: dict[str, float]
    requests: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A run: its scenario, server, machine, command, and results."""

    scenario: str
    server: str
    command: str
    at: str
    machine: dict[str, str]
    results: tuple[Result, ...]

    def subjects(self) -> list[str]:
        """Return the names of the subjects, in the order of their first round."""
        return list(dict.fromkeys(each.subject for each in self.results))

    def counts(self) -> list[int]:
        """Return the sizes that were run."""
        return sorted({each.count for each in self.results})

    def rounds(self, subject: str, count: int) -> list[Result]:
        """Return a subject's rounds of one size, first round first."""
        found = [each for each in self.results if (each.subject, each.count) == (subject, count)]
        return sorted(found, key=lambda each: each.round)


def report(scenario: str, server: str, found: Iterable[Result]) -> Report:
    """Make a report of results that were found just now."""
    words = ["python", "-m", "benchmarks", *_repeatable(sys.argv[1:])]
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Report(scenario, server, shlex.join(words), at, processes.machine(), tuple(found))


def _repeatable(words: Sequence[str]) -> list[str]:
    """Leave out where the results went: it is nobody's business, and no matter."""
    kept = [each for each in words if not each.startswith("--out=")]
    if "--out" in kept:
        at = kept.index("--out")
        del kept[at : at + 2]
    return kept


def load(path: Path) -> Report:
    """Read a report from its JSON."""
    told = json.loads(path.read_text())
    told["results"] = tuple(Result(**each) for each in told["results"])
    return Report(**told)


def save(told: Report, folder: Path) -> Path:
    """Write `result.json` and `result.csv` into a folder; return the former's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    path.write_text(json.dumps(dataclasses.asdict(told), indent=1) + "\n")
    with (folder / "result.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["scenario", "subject", "count", "round", "figure", "value"])
        for each in told.results:
            head = [told.scenario, each.subject, each.count, each.round]
            rows.writerows([*head, name, round(value, 4)] for name, value in each.figures.items())
            for phase, kinds in each.requests.items():
                rows.writerows(
                    [*head, f"{phase}: {kind}", round(n, 4)] for kind, n in kinds.items()
                )
    return path


def brief(found: dict[str, float]) -> str:
    """Return what a round came to, in one line."""
    wanted = ("ready per s", "gone per s", "ready: both CPU ms", "gone: both CPU ms")
    told = [f"{name} {found[name]:.1f}" for name in wanted if name in found]
    return ", ".join(told) or ", ".join(f"{n} {v:.4g}" for n, v in list(found.items())[:6])


def show(told: Report, out: rich.console.Console | None = None) -> None:
    """Print a table for each size: medians, and ratios of the first subject to the last."""
    console = out or rich.console.Console()
    for count in told.counts():
        console.print(_table(told, count))
        for phase in ("ready", "gone"):
            kinds = _kinds(told, count, phase)
            if kinds:
                console.print(_requests(told, count, phase))


def _table(told: Report, count: int) -> rich.table.Table:
    names = told.subjects()
    rounds = {name: told.rounds(name, count) for name in names}
    played = sum(each.round >= 0 for each in rounds[names[0]])
    title = f"{told.scenario} on {told.server}: {count}, {played} rounds, medians"
    table = rich.table.Table(title=title, title_justify="left", min_width=78)
    table.add_column("figure")
    for name in names:
        table.add_column(name, justify="right")
    if len(names) > 1:
        table.add_column(f"{names[0]} / {names[-1]} (spread)", justify="right")
    wanted = dict.fromkeys(f for each in told.results if each.count == count for f in each.figures)
    for figure in wanted:
        values = {n: [r.figures.get(figure, math.nan) for r in rounds[n]] for n in names}
        row = [number(figures.spread(values[name]).median) for name in names]
        if len(names) > 1:
            row.append(ratio(rounds[names[0]], rounds[names[-1]], figure))
        table.add_row(figure, *row)
    return table


def ratio(ours: Sequence[Result], theirs: Sequence[Result], figure: str) -> str:
    """Write the ratio of one figure of ours to theirs, with its spread."""
    found = figures.ratios([r.figures for r in ours], [r.figures for r in theirs], figure)
    if math.isnan(found.median):
        return ""
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"


def _kinds(told: Report, count: int, phase: str) -> list[str]:
    found: dict[str, float] = {}
    for each in told.results:
        if each.count == count:
            for kind, n in each.requests.get(phase, {}).items():
                found[kind] = found.get(kind, 0.0) + n
    return [kind for kind, total in sorted(found.items(), key=lambda item: -item[1]) if total]


def _requests(told: Report, count: int, phase: str) -> rich.table.Table:
    table = rich.table.Table(title=f"requests a snapshot, to {phase}", title_justify="left")
    table.add_column("request")
    names = told.subjects()
    for name in names:
        table.add_column(name, justify="right")
    for kind in _kinds(told, count, phase):
        medians = [requests_median(told.rounds(name, count), phase, kind) for name in names]
        table.add_row(kind, *(number(each) for each in medians))
    return table


def requests_median(rounds: Sequence[Result], phase: str, kind: str) -> float:
    """Return how often a request was made for a snapshot."""
    return figures.spread([each.requests.get(phase, {}).get(kind, 0.0) for each in rounds]).median


def number(value: float) -> str:
    """Write a number as a person reads it."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
