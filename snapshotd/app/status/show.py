"""A survey in a terminal. Alone here, rich is imported; what others wrote is shown as text."""

from collections.abc import Iterator

import rich.box
import rich.console
import rich.live
import rich.table
import rich.text

from snapshotd.app.status import survey

_STYLES = {"ready": "green", "pending": "yellow", "failing": "red", "deleting": "cyan"}
_TITLES = {
    "snapshot": ("Stuck", "Not settled yet, slowest first"),
    "group": ("Stuck groups", "Groups not settled yet, slowest first"),
}
_SHOWN = 8  # rows of a list: all of it fits on a screen


def console() -> rich.console.Console:
    """Return the terminal, or the pipe that stands for it."""
    return rich.console.Console(highlight=False)


def live(terminal: rich.console.Console) -> rich.live.Live:
    """Return a place that is drawn over again and again."""
    return rich.live.Live(console=terminal, auto_refresh=False)


def text(told: str, style: str = "") -> rich.text.Text:
    """Return somebody's words without what a terminal would obey."""
    return rich.text.Text("".join(c if c.isprintable() else " " for c in told), style=style)


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = int(seconds)
    for unit, size, below, rest in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // rest}{below}"
    return f"{whole}s"


def draw(told: survey.Survey) -> rich.console.Group:
    """Return the whole."""
    parts: list[rich.console.RenderableType] = [_head(told), _drivers(told)]
    parts += _open("snapshot", told.stuck_total, told.stuck, slowest=told.slowest)
    groups = told.groups
    parts += _open("group", groups.stuck_total, groups.stuck, slowest=groups.slowest)
    parts += [_endpoint(each) for each in told.endpoints]
    for kind, stuck in (("", told.stuck), ("group/", groups.stuck)):
        for first in stuck[:1]:
            why = f"Why?  snapshotd explain -n {first.namespace} {kind}{first.name}"
            parts.append(text(why, "dim"))
    return rich.console.Group(*parts)


def _open(
    kind: str, stuck_total: int, stuck: list[survey.Row], *, slowest: list[survey.Row]
) -> Iterator[rich.table.Table]:
    """Yield the tables of what is not settled: the stuck, and what is merely under way."""
    stuck_title, slow_title = _TITLES[kind]
    if stuck:
        yield _rows(f"{stuck_title}: {stuck_total}", stuck, "red", kind=kind)
    slow = [row for row in slowest if row not in stuck]
    if slow:
        yield _rows(slow_title, slow, "yellow", kind=kind)


def _counts(line: rich.text.Text, states: dict[str, int]) -> None:
    for state in survey.STATES:
        line.append(f"{states[state]} {state}  ", style=_STYLES[state])


def _head(told: survey.Survey) -> rich.text.Text:
    line = text(f"{told.at}  {told.total} snapshots: ")
    _counts(line, told.states)
    if told.groups.total:
        line.append(f"\n{told.groups.total} groups: ")
        _counts(line, told.groups.states)
    flow = told.throughput
    line.append(f"\ncut: {flow.cut_last_minute} in the last minute, {flow.cut_last_hour} in the ")
    line.append("last hour")
    if flow.became_ready_per_minute is not None:
        line.append(f"; seen: {flow.became_ready_per_minute:g} became ready a minute, ")
        line.append(f"{flow.gone_per_minute:g} went")
    return line


def _table(title: str, style: str = "bold") -> rich.table.Table:
    return rich.table.Table(
        title=text(title), title_justify="left", title_style=style, box=rich.box.SIMPLE_HEAD
    )


def _drivers(told: survey.Survey) -> rich.table.Table:
    table = _table("By driver")
    table.add_column("driver")
    for state in survey.STATES:
        table.add_column(state, justify="right", style=_STYLES[state])
    for driver, counts in told.drivers.items():
        table.add_row(text(driver), *(str(counts[state]) for state in survey.STATES))
    return table


def _rows(title: str, rows: list[survey.Row], style: str, *, kind: str) -> rich.table.Table:
    table = _table(title, f"bold {style}")
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column(kind, overflow="fold")
    table.add_column("told", overflow="ellipsis")
    for row in rows[:_SHOWN]:
        name = text(f"{row.namespace}/{row.name}")
        table.add_row(
            span(row.seconds), text(row.state, _STYLES[row.state]), name, text(row.message or "—")
        )
    return table


def _endpoint(told: survey.Endpoint) -> rich.table.Table:
    table = _table(told.url)
    if told.problem:
        table.add_column("problem", style="red")
        table.add_row(text(told.problem))
        return table
    for name in ("queue", "due", "delayed", "in hand"):
        table.add_column(name, justify="left" if name == "queue" else "right")
    for role in told.roles:
        table.add_row(text(_role(role.name, role.state, role.waits), "bold"))
        for queue in role.queues:
            counts = (queue.due, queue.delayed, queue.in_hand)
            table.add_row(text(f"  {queue.name}"), *(str(each) for each in counts))
    for depth in told.queues:
        table.add_row(text(depth.name), f"{depth.due:g}")
    return table


def _role(name: str, state: str, waits: int) -> str:
    return f"{name}: {state}, {waits} keys wait"
