"""What a cache of snapshots and groups comes to: counts, the slowest, the stuck. Pure; O(objects).

A snapshot, or group, is in one state: `deleting` once its deletion was asked for, else `ready`,
else `failing` while it has an error, else `pending`. It is stuck while it fails, or where it has
not been settled for longer than `stuck_after`.
"""

import dataclasses
import heapq
from typing import Final, Literal, get_args

import msgspec

from snapshotd.decide import publishing
from snapshotd.model import families, groups, times, wire
from snapshotd.runtime import store
from snapshotd.telemetry import statusz

State = Literal["ready", "pending", "failing", "deleting"]
STATES: Final[tuple[State, ...]] = get_args(State)
NO_DRIVER: Final = "(not known yet)"


class Row(msgspec.Struct, frozen=True):
    """One snapshot, or group, that is not settled, since `seconds`, and what is told of it."""

    namespace: str
    name: str
    state: State
    driver: str
    seconds: float
    message: str


class Throughput(msgspec.Struct, frozen=True):
    """Snapshots by when they were cut; what was seen happening, a minute, while we watched."""

    cut_last_minute: int
    cut_last_hour: int
    became_ready_per_minute: float | None = None
    gone_per_minute: float | None = None


class Depth(msgspec.Struct, frozen=True):
    """One queue as its metrics tell it."""

    name: str
    due: float


class Endpoint(msgspec.Struct, frozen=True):
    """What one `--endpoint` answered: its /statusz.json, or of another program the queue depths."""

    url: str
    problem: str = ""
    roles: list[statusz.Role] = []
    queues: list[Depth] = []


class Groups(msgspec.Struct, frozen=True):
    """Of group snapshots what the survey tells of snapshots; their members are among those."""

    total: int
    states: dict[str, int]
    slowest: list[Row]
    stuck: list[Row]
    stuck_total: int


NO_GROUPS: Final = Groups(0, dict.fromkeys(STATES, 0), [], [], 0)


class Survey(msgspec.Struct, frozen=True):
    """The whole, as `-o json` prints it; `slowest` and `stuck` hold the longest, not all."""

    at: str
    total: int
    states: dict[str, int]
    drivers: dict[str, dict[str, int]]
    slowest: list[Row]
    stuck: list[Row]
    stuck_total: int
    throughput: Throughput
    endpoints: list[Endpoint] = []
    groups: Groups = NO_GROUPS


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """When a snapshot is stuck, in seconds, and how many are listed."""

    stuck_after: float
    most: int = 20


@dataclasses.dataclass(slots=True)
class _Tally:
    """What one kind comes to, object by object."""

    states: dict[State, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(STATES, 0))
    drivers: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    open: list[Row] = dataclasses.field(default_factory=list)
    minute: int = 0
    hour: int = 0

    def add(self, state: State, driver: str, *, cut_ago: float) -> None:
        """Count one."""
        self.states[state] += 1
        self.drivers.setdefault(driver, dict.fromkeys(STATES, 0))[state] += 1
        self.minute += cut_ago <= 60.0
        self.hour += cut_ago <= 3600.0

    def stuck(self, limits: Limits) -> list[Row]:
        """Return those that fail, and those that take too long."""
        after = limits.stuck_after
        return [row for row in self.open if row.state == "failing" or row.seconds > after]

    def counts(self) -> dict[str, int]:
        """Return how many there are in each state."""
        return {str(state): count for state, count in self.states.items()}


def of(cache: store.Store[wire.Object], now: float, limits: Limits) -> Survey:
    """Return the survey of a cache; `now` is wall time."""
    single = _tally(cache, families.SINGLE, now)
    stuck = single.stuck(limits)
    return Survey(
        at=times.rfc3339(now),
        total=sum(single.states.values()),
        states=single.counts(),
        drivers=dict(sorted(single.drivers.items())),
        slowest=_longest(single.open, limits.most),
        stuck=_longest(stuck, limits.most),
        stuck_total=len(stuck),
        throughput=Throughput(single.minute, single.hour),
        groups=_groups(_tally(cache, families.GROUP, now), limits),
    )


def _groups(tally: _Tally, limits: Limits) -> Groups:
    stuck = tally.stuck(limits)
    return Groups(
        total=sum(tally.states.values()),
        states=tally.counts(),
        slowest=_longest(tally.open, limits.most),
        stuck=_longest(stuck, limits.most),
        stuck_total=len(stuck),
    )


def _tally(cache: store.Store[wire.Object], family: families.Family, now: float) -> _Tally:
    tally = _Tally()
    for obj in cache.of_kind(family.snapshot_kind):
        if not isinstance(obj, groups.AnySnapshot):
            continue
        content = _content(obj, cache)
        state, driver = _state(obj), _driver(obj, content, cache)
        tally.add(state, driver, cut_ago=_cut_ago(obj, now))
        if state != "ready":
            tally.open.append(_row(obj, content, state=state, driver=driver, now=now))
    return tally


def _longest(rows: list[Row], most: int) -> list[Row]:
    return heapq.nlargest(most, rows, key=lambda row: row.seconds)


def _state(snapshot: groups.AnySnapshot) -> State:
    if snapshot.metadata.deleting:
        return "deleting"
    if snapshot.ready:
        return "ready"
    return "failing" if snapshot.error else "pending"


def _content(
    snapshot: groups.AnySnapshot, cache: store.Store[wire.Object]
) -> groups.AnyContent | None:
    found = cache.get(snapshot.family.content_key(publishing.bound_name(snapshot)))
    return found if isinstance(found, groups.AnyContent) else None


def _driver(
    snapshot: groups.AnySnapshot,
    content: groups.AnyContent | None,
    cache: store.Store[wire.Object],
) -> str:
    if content is not None:
        return content.spec.driver
    found = cache.get(snapshot.family.class_key(snapshot.class_name or ""))
    return found.driver if isinstance(found, groups.AnyClass) else NO_DRIVER


def _row(
    snapshot: groups.AnySnapshot,
    content: groups.AnyContent | None,
    *,
    state: State,
    driver: str,
    now: float,
) -> Row:
    metadata = snapshot.metadata
    since = metadata.deletion_timestamp or metadata.creation_timestamp
    return Row(
        namespace=metadata.namespace,
        name=metadata.name,
        state=state,
        driver=driver,
        seconds=max(0.0, now - _seconds(since, now)),
        message=_message(snapshot, content),
    )


def _message(snapshot: groups.AnySnapshot, content: groups.AnyContent | None) -> str:
    """Return what is told of a snapshot, or group, that is not settled."""
    for each in (snapshot, content):
        if each is not None and each.error is not None:
            return each.error.message or "an error without a message"
    if snapshot.metadata.deleting:
        held = ", ".join(snapshot.metadata.finalizers)
        return f"held by {held}" if held else ""
    return ""


def _cut_ago(snapshot: groups.AnySnapshot, now: float) -> float:
    status = snapshot.status
    cut = status.creation_time if status is not None else None
    return float("inf") if cut is None else now - _seconds(cut, float("-inf"))


def _seconds(text: str | None, otherwise: float) -> float:
    """Return a time that somebody else wrote, `otherwise` where it cannot be read."""
    try:
        return times.seconds(text) if text else otherwise
    except ValueError:
        return otherwise
