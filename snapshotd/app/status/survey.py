"""What a cache of snapshots comes to: counts, the slowest, the stuck. Pure; O(snapshots).

A snapshot is in one state: `deleting` once its deletion was asked for, else `ready`, else `failing`
while it has an error, else `pending`. It is stuck while it fails, or where it has not been settled
for longer than `stuck_after`.
"""

import dataclasses
import heapq
from typing import Final, Literal, get_args

import msgspec

from snapshotd.decide import publishing
from snapshotd.model import keys, snapshots, times, wire
from snapshotd.runtime import store
from snapshotd.telemetry import statusz

State = Literal["ready", "pending", "failing", "deleting"]
STATES: Final[tuple[State, ...]] = get_args(State)
NO_DRIVER: Final = "(not known yet)"


class Row(msgspec.Struct, frozen=True):
    """One snapshot that is not settled, since `seconds`, and what is told of it."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """When a snapshot is stuck, in seconds, and how many are listed."""

    stuck_after: float
    most: int = 20


def of(cache: store.Store[wire.Object], now: float, limits: Limits) -> Survey:
    """Return the survey of a cache; `now` is wall time."""
    states = dict.fromkeys(STATES, 0)
    drivers: dict[str, dict[str, int]] = {}
    open_: list[Row] = []
    minute = hour = 0
    for obj in cache.of_kind(keys.Kind.VOLUME_SNAPSHOT):
        if not isinstance(obj, snapshots.VolumeSnapshot):
            continue
        state, driver = _state(obj), _driver(obj, cache)
        states[state] += 1
        drivers.setdefault(driver, dict.fromkeys(STATES, 0))[state] += 1
        age = _cut_ago(obj, now)
        minute += age <= 60.0
        hour += age <= 3600.0
        if state != "ready":
            open_.append(_row(obj, state, driver, now=now, cache=cache))
    stuck = [row for row in open_ if row.state == "failing" or row.seconds > limits.stuck_after]
    return Survey(
        at=times.rfc3339(now),
        total=sum(states.values()),
        states={str(state): count for state, count in states.items()},
        drivers=dict(sorted(drivers.items())),
        slowest=_longest(open_, limits.most),
        stuck=_longest(stuck, limits.most),
        stuck_total=len(stuck),
        throughput=Throughput(minute, hour),
    )


def _longest(rows: list[Row], most: int) -> list[Row]:
    return heapq.nlargest(most, rows, key=lambda row: row.seconds)


def _state(snapshot: snapshots.VolumeSnapshot) -> State:
    if snapshot.metadata.deleting:
        return "deleting"
    if snapshot.ready:
        return "ready"
    return "failing" if snapshot.status is not None and snapshot.status.error else "pending"


def _content(
    snapshot: snapshots.VolumeSnapshot, cache: store.Store[wire.Object]
) -> snapshots.VolumeSnapshotContent | None:
    name = publishing.bound_name(snapshot)
    return cache.find(snapshots.VolumeSnapshotContent, snapshots.content_key(name))


def _driver(snapshot: snapshots.VolumeSnapshot, cache: store.Store[wire.Object]) -> str:
    content = _content(snapshot, cache)
    if content is not None:
        return content.spec.driver
    name = snapshot.spec.volume_snapshot_class_name or ""
    key = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name)
    snapshot_class = cache.find(snapshots.VolumeSnapshotClass, key)
    return NO_DRIVER if snapshot_class is None else snapshot_class.driver


def _row(
    snapshot: snapshots.VolumeSnapshot,
    state: State,
    driver: str,
    *,
    now: float,
    cache: store.Store[wire.Object],
) -> Row:
    metadata = snapshot.metadata
    since = metadata.deletion_timestamp or metadata.creation_timestamp
    return Row(
        namespace=metadata.namespace,
        name=metadata.name,
        state=state,
        driver=driver,
        seconds=max(0.0, now - _seconds(since, now)),
        message=_message(snapshot, _content(snapshot, cache)),
    )


def _message(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent | None
) -> str:
    """Return what is told of a snapshot that is not settled."""
    for each in (snapshot, content):
        if each is not None and each.status is not None and each.status.error is not None:
            return each.status.error.message or "an error without a message"
    if snapshot.metadata.deleting:
        held = ", ".join(snapshot.metadata.finalizers)
        return f"held by {held}" if held else ""
    return ""


def _cut_ago(snapshot: snapshots.VolumeSnapshot, now: float) -> float:
    status = snapshot.status
    cut = status.creation_time if status is not None else None
    return float("inf") if cut is None else now - _seconds(cut, float("-inf"))


def _seconds(text: str | None, otherwise: float) -> float:
    """Return a time that somebody else wrote, `otherwise` where it cannot be read."""
    try:
        return times.seconds(text) if text else otherwise
    except ValueError:
        return otherwise
