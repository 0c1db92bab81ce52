"""What the parts hold of the metrics: a handle each, whose methods say what happened.

A handle's children exist, at zero, from the moment it is made; callers never spell a label.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

    from snapshotd.telemetry.metrics import Metrics

Result: TypeAlias = Literal[
    "done",  # nothing left to do until something changes
    "again",  # done for now; asked to look again later
    "conflict",
    "throttled",
    "unavailable",  # no definite answer, or no end within the deadline
    "unsuccessful",  # a definite failure that is written on the object
    "retryable",
    "terminal",
    "gone",
    "crashed",  # a defect of ours
]
WatchEvent: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
EventResult: TypeAlias = Literal["written", "dropped", "failed"]
OperationName: TypeAlias = Literal[
    "CreateSnapshot",
    "CreateSnapshotAndReady",
    "DeleteSnapshot",
    "CreateGroupSnapshot",
    "CreateGroupSnapshotAndReady",
    "DeleteGroupSnapshot",
]
SnapshotType: TypeAlias = Literal["dynamic", "pre-provisioned"]
OperationStatus: TypeAlias = Literal["success", "cancel"]

# Shown at zero, so that the first of its kind is an increase already; any other comes when it does
_USUAL: Final = ("<error>", "403", "404", "409", "422", "429", "500", "503", "504")
_SUCCESS: Final = {"GET": "200", "POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "200"}
_METHODS: Final = ("/csi.v1.Controller/CreateSnapshot", "/csi.v1.Controller/DeleteSnapshot")
_NEVER_CANCELLED: Final = {"DeleteSnapshot", "DeleteGroupSnapshot"}
_MOST_DRIVERS: Final = 100
OTHER_DRIVERS: Final = "other"


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """What the reference times: an operation on one snapshot or group, from wish to end."""

    driver: str
    name: OperationName
    snapshot_type: SnapshotType
    status: OperationStatus


class OperationMetrics:
    """The reference's `snapshot_controller_operation*`, and how old the oldest one is.

    There are as many drivers as administrators made classes and contents for; beyond a hundred they
    are `other`.
    """

    def __init__(self, parent: "Metrics") -> None:
        """Show no driver before one is known."""
        self._parent = parent
        self._drivers: dict[str, dict[Operation, Histogram]] = {}

    def known(self, driver: str) -> None:
        """Show a driver's operations, at zero until the first of each ends."""
        self._of(driver)

    def ended(self, operation: Operation, seconds: float) -> None:
        """Record the end of an operation on a snapshot."""
        driver, children = self._of(operation.driver)
        children[dataclasses.replace(operation, driver=driver)].observe(seconds)

    def watch(
        self, in_flight: Callable[[], float], oldest: Callable[[OperationName], float]
    ) -> None:
        """Have the gauges read at each scrape: operations under way, and the oldest's seconds."""
        self._parent.operations_in_flight.set_function(in_flight)
        for name in get_args(OperationName):
            gauge = self._parent.operations_oldest.labels(name)
            gauge.set_function(functools.partial(oldest, name))

    def _of(self, driver: str) -> tuple[str, dict[Operation, "Histogram"]]:
        if driver not in self._drivers:
            if len(self._drivers) >= _MOST_DRIVERS:
                driver = OTHER_DRIVERS
            self._drivers.setdefault(driver, self._made(driver))
        return driver, self._drivers[driver]

    def _made(self, driver: str) -> dict[Operation, "Histogram"]:
        return {
            Operation(driver, name, type_, status): self._parent.operations.labels(
                driver, name, type_, status
            )
            for name in get_args(OperationName)
            for type_ in get_args(SnapshotType)
            for status in get_args(OperationStatus)
            if status == "success" or name not in _NEVER_CANCELLED
        }


class QueueMetrics:
    """client-go's `workqueue_*` of one queue."""

    def __init__(self, parent: "Metrics", name: str) -> None:
        """Create the children of the queue called `name`."""
        self._parent = parent
        self._name = name
        self._adds = parent.queue_adds.labels(name)
        self._retries = parent.queue_retries.labels(name)
        self._waited = parent.queue_duration.labels(name)
        self._worked = parent.work_duration.labels(name)

    def added(self) -> None:
        """Count a key that was not queued already."""
        self._adds.inc()

    def retried(self) -> None:
        """Count a key sent back after a failure."""
        self._retries.inc()

    def taken(self, waited: float) -> None:
        """Record how many seconds a key was due before a worker took it."""
        self._waited.observe(waited)

    def done(self, worked: float) -> None:
        """Record how many seconds a key was in a hand."""
        self._worked.observe(worked)

    def watch(
        self,
        depth: Callable[[], float],
        unfinished: Callable[[], float],
        *,
        longest: Callable[[], float],
    ) -> None:
        """Have the gauges read at each scrape: keys due, and seconds in hand (sum, longest)."""
        self._parent.queue_depth.labels(self._name).set_function(depth)
        self._parent.unfinished_work.labels(self._name).set_function(unfinished)
        self._parent.longest_running.labels(self._name).set_function(longest)

    def watch_priorities(self, waiting: Mapping[str, Callable[[], float]]) -> None:
        """Have the keys due of each priority read at each scrape."""
        for priority, read in waiting.items():
            self._parent.queue_waiting.labels(self._name, priority).set_function(read)


class ActorMetrics:
    """What became of one actor's reconciles."""

    def __init__(self, parent: "Metrics", name: str) -> None:
        """Create the children of the actor called `name`, one for each result."""
        self._results = {
            result: parent.reconciles.labels(name, result) for result in get_args(Result)
        }
        self._seconds = parent.reconcile_seconds.labels(name)

    def settled(self, result: Result, seconds: float, *, reconcile_id: str = "") -> None:
        """Record the end of one reconcile; by its id the logs of a slow one are found."""
        self._results[result].inc()
        exemplar = {"reconcile_id": reconcile_id} if reconcile_id else None
        self._seconds.observe(seconds, exemplar)


class SweepMetrics:
    """What the slow sweep over all keys looked at, and what it should not have found."""

    def __init__(self, parent: "Metrics") -> None:
        """Take the counters."""
        self._parent = parent

    def looked(self) -> None:
        """Count a key that was looked at."""
        self._parent.sweep_looks.inc()

    def found(self) -> None:
        """Count a key for which there was something to do that nothing had woken."""
        self._parent.sweep_finds.inc()


class RequestMetrics:
    """client-go's `rest_client_*` for one API server; codes are HTTP's, or `<error>`."""

    def __init__(self, parent: "Metrics", host: str) -> None:
        """Create the children of the usual answers; others come with the first of their kind."""
        self._parent = parent
        self._host = host
        self._totals: dict[tuple[str, str], Counter] = {
            (method, code): parent.requests.labels(code, method, host)
            for method, success in _SUCCESS.items()
            for code in (success, *_USUAL)
        }
        self._seconds: dict[str, Histogram] = {
            method: parent.request_seconds.labels(method, host) for method in _SUCCESS
        }

    def answered(self, method: str, code: int | None, seconds: float) -> None:
        """Record one request; no code means that no answer came."""
        text = "<error>" if code is None else str(code)
        total = self._totals.get((method, text))
        if total is None:
            total = self._parent.requests.labels(text, method, self._host)
            self._totals[method, text] = total
        total.inc()
        timer = self._seconds.get(method)
        if timer is None:
            timer = self._parent.request_seconds.labels(method, self._host)
            self._seconds[method] = timer
        timer.observe(seconds)


class ThrottleMetrics:
    """The throttles of all connections of the process, added up at each scrape."""

    def __init__(self, *, places: "Gauge", in_use: "Gauge", waiting: "Gauge") -> None:
        """Read nothing yet: the gauges stand at zero."""
        self._reads: tuple[list[Callable[[], float]], ...] = ([], [], [])
        for gauge, reads in zip((places, in_use, waiting), self._reads, strict=True):
            gauge.set_function(functools.partial(_sum, reads))

    def watch(
        self,
        places: Callable[[], float],
        in_use: Callable[[], float],
        *,
        waiting: Callable[[], float],
    ) -> None:
        """Add one throttle."""
        for reads, read in zip(self._reads, (places, in_use, waiting), strict=True):
            reads.append(read)


def _sum(reads: Iterable[Callable[[], float]]) -> float:
    return sum(read() for read in reads)


class EventMetrics:
    """What became of one component's Kubernetes Events."""

    def __init__(self, parent: "Metrics", component: str) -> None:
        """Create the children of the component, one for each result."""
        self._results = {
            result: parent.event_results.labels(component, result)
            for result in get_args(EventResult)
        }

    def count(self, result: EventResult, events: int = 1) -> None:
        """Count events by what became of them."""
        self._results[result].inc(events)


class ReflectorMetrics:
    """client-go's `reflector_*` of one kind, and the events it delivered by type."""

    def __init__(self, parent: "Metrics", name: str) -> None:
        """Create the children of the reflector of the kind called `name`."""
        self._lists = parent.lists.labels(name)
        self._relists = parent.relists.labels(name)
        self._heard = parent.reflector_heard.labels(name)
        self._listed = False
        self._list_seconds = parent.list_seconds.labels(name)
        self._items = parent.list_items.labels(name)
        self._watches = parent.watches.labels(name)
        self._failures = parent.reflector_failures.labels(name)
        self._synced = parent.reflector_synced.labels(name)
        self._events = {
            event: parent.watch_events.labels(name, event) for event in get_args(WatchEvent)
        }

    def listed(self, items: int, seconds: float) -> None:
        """Record one complete list."""
        self._lists.inc()
        if self._listed:
            self._relists.inc()
        self._listed = True
        self._list_seconds.observe(seconds)
        self._items.set(items)
        self._synced.set(1)

    def heard(self, now: float) -> None:
        """Note that the server said something, at `now` (seconds since the epoch)."""
        self._heard.set(now)

    def watching(self) -> None:
        """Count a watch that was opened."""
        self._watches.inc()

    def event(self, event: WatchEvent) -> None:
        """Count one event of a watch."""
        self._events[event].inc()

    def failed(self) -> None:
        """Count a list or watch that ended with an error."""
        self._failures.inc()


class CsiMetrics:
    """csi-lib-utils' `csi_sidecar_operations_seconds` for one driver."""

    def __init__(self, parent: "Metrics", driver: str) -> None:
        """Create the children of good calls; others come with the first of their kind."""
        self._parent = parent
        self._driver = driver
        self._calls: dict[tuple[str, str], Histogram] = {
            (method, "OK"): parent.csi_calls.labels(driver, method, "OK") for method in _METHODS
        }
        parent.csi_connected.labels(driver)

    def called(self, method: str, code: str, seconds: float) -> None:
        """Record one call: the full gRPC path, and the status code's name such as `OK`."""
        timer = self._calls.get((method, code))
        if timer is None:
            timer = self._parent.csi_calls.labels(self._driver, method, code)
            self._calls[method, code] = timer
        timer.observe(seconds)

    def connected(self, *, up: bool) -> None:
        """Say whether the driver can be reached."""
        self._parent.csi_connected.labels(self._driver).set(1 if up else 0)

    def watch_aside(self, aside: Callable[[], float]) -> None:
        """Have the number of contents that wait for room read at each scrape."""
        self._parent.csi_aside.labels(self._driver).set_function(aside)
