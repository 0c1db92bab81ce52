"""Pictures of results, as SVG: what a table of medians does not show."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import axes as plotting
from matplotlib import figure as drawing
from matplotlib import pyplot as plt

from benchmarks import figures, results

mpl.use("Agg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small files that can be read
        "svg.hashsalt": "snapshotd",  # the same picture is the same file
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
_Draw = Callable[[results.Report], drawing.Figure | None]


def draw(told: results.Report, folder: Path) -> list[Path]:
    """Draw what there is to be drawn of a report; return the pictures' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, picture in _PICTURES.get(told.scenario, {}).items():
        figure = picture(told)
        if figure is None:
            continue
        path = folder / f"{told.scenario}-{name}.svg"
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
        made.append(path)
    return made


def _panels(count: int) -> tuple[drawing.Figure, list[plotting.Axes]]:
    figure, panels = plt.subplots(1, count, figsize=(3.6 * count, 3.0), squeeze=False)
    return figure, list(panels[0])


def _spread(told: results.Report, subject: str, count: int, figure: str) -> figures.Spread:
    rounds = told.rounds(subject, count)
    return figures.spread([each.figures[figure] for each in rounds if figure in each.figures])


def _compare(panel: plotting.Axes, told: results.Report, figure: str, title: str) -> None:
    """Draw a figure of every subject: over the sizes, or as bars where there is but one."""
    counts, names = told.counts(), told.subjects()
    for number, name in enumerate(names):
        spreads = [_spread(told, name, count, figure) for count in counts]
        middle = [each.median for each in spreads]
        around = [
            [each.median - each.low for each in spreads],
            [each.high - each.median for each in spreads],
        ]
        if len(counts) == 1:
            panel.bar(name, middle[0], yerr=[[around[0][0]], [around[1][0]]], color=f"C{number}")
        else:
            panel.errorbar(counts, middle, yerr=around, marker="o", label=name, color=f"C{number}")
    if len(counts) > 1:
        panel.set_xlabel("snapshots")
        panel.legend(frameon=False)
    panel.set_ylim(bottom=0)
    panel.set_title(title)


def _of(wanted: Sequence[tuple[str, str]]) -> _Draw:
    def picture(told: results.Report) -> drawing.Figure | None:
        there = {name for each in told.results for name in each.figures}
        known = [(figure, title) for figure, title in wanted if figure in there]
        if not known:
            return None
        whole, panels = _panels(len(known))
        for panel, (figure, title) in zip(panels, known, strict=True):
            _compare(panel, told, figure, title)
        return whole

    return picture


def _requests(told: results.Report) -> drawing.Figure | None:
    """Draw the requests a snapshot costs, stacked by kind, at the greatest size."""
    count, names = told.counts()[-1], told.subjects()
    phases = [p for p in ("ready", "gone") if any(p in each.requests for each in told.results)]
    if not phases:
        return None
    whole, panels = _panels(len(phases))
    for panel, phase in zip(panels, phases, strict=True):
        base = [0.0] * len(names)
        kinds = sorted({kind for each in told.results for kind in each.requests.get(phase, {})})
        for number, kind in enumerate(kinds):
            heights = [
                results.requests_median(told.rounds(name, count), phase, kind) for name in names
            ]
            if max(heights) < 0.05:
                continue
            color = plt.get_cmap("tab20")(number % 20)
            panel.bar(names, heights, bottom=base, label=kind, width=0.6, color=color)
            base = [low + height for low, height in zip(base, heights, strict=True)]
        panel.set_title(f"requests a snapshot, to {phase}")
        panel.legend(frameon=False, fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    whole.subplots_adjust(wspace=1.5)
    return whole


def _over_time(told: results.Report) -> drawing.Figure | None:
    """Draw the slices of a soak one after the other."""
    wanted = ("to ready p50 ms", "to ready p99 ms", "resident controller MB", "resident sidecar MB")
    whole, panels = _panels(len(wanted))
    for panel, figure in zip(panels, wanted, strict=True):
        for name in told.subjects():
            values = [each.figures[figure] for each in told.rounds(name, 0)]
            panel.plot(range(1, len(values) + 1), values, marker="o", label=name)
        panel.set_ylim(bottom=0)
        panel.set_xlabel("slice of time")
        panel.set_title(figure)
    panels[0].legend(frameon=False)
    return whole


_PICTURES: dict[str, dict[str, _Draw]] = {
    "reconcile": {
        "throughput": _of(
            [("ready per s", "ready a second"), ("gone per s", "gone a second")],
        ),
        "latency": _of(
            [
                ("to bound p50 ms", "create to bound, median ms"),
                ("to ready p50 ms", "create to ready, median ms"),
                ("to ready p99 ms", "create to ready, p99 ms"),
                ("to gone p50 ms", "delete to gone, median ms"),
            ],
        ),
        "cpu": _of(
            [
                ("ready: both CPU ms", "controller + sidecar,\nCPU ms to ready"),
                ("gone: both CPU ms", "controller + sidecar,\nCPU ms to gone"),
                ("ready: apiserver CPU ms", "API server,\nCPU ms to ready"),
                ("gone: apiserver CPU ms", "API server,\nCPU ms to gone"),
            ],
        ),
        "memory": _of(
            [
                ("peak controller MB", "controller, peak MB"),
                ("peak sidecar MB", "sidecar, peak MB"),
                ("peak both MB", "both, peak MB"),
            ],
        ),
        "requests": _requests,
    },
    "startup": {
        "memory": _of(
            [("resident both MB", "both, resident MB"), ("peak both MB", "both, peak MB")]
        ),
        "times": _of(
            [
                ("first ready after s", "first snapshot ready, s"),
                ("asked to ready p50 ms", "new snapshots, median ms"),
                ("asked to ready max ms", "new snapshots, worst ms"),
            ]
        ),
    },
    "latency": {
        "probes": _of(
            [
                ("probe p50 ms", "median ms"),
                ("probe p99 ms", "p99 ms"),
                ("backlog done after s", "backlog done, s"),
            ]
        )
    },
    "failover": {
        "times": _of(
            [
                ("controller killed: ready after s", "controller killed, s"),
                ("controller stopped: ready after s", "controller stopped, s"),
                ("sidecar killed: ready after s", "sidecar killed, s"),
                ("sidecar stopped: ready after s", "sidecar stopped, s"),
            ]
        )
    },
    "soak": {"time": _over_time},
}
