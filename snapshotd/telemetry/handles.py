"""What the parts hold of the metrics: a handle each, whose methods say what happened.

A handle's children exist, at zero, from the moment it is made; callers never spell a label.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

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


class ActorMetrics:
    """What became of one actor's reconciles."""

    def __init__(self, parent: "Metrics", name: str) -> None:
        """Create the children of the actor called `name`, one for each result."""
        self._results = {
            result: parent.reconciles.labels(name, result) for result in get_args(Result)
        }
        self._seconds = parent.reconcile_seconds.labels(name)

    def settled(self, result: Result, seconds: float) -> None:
        """Record the end of one reconcile."""
        self._results[result].inc()
        self._seconds.observe(seconds)


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
        """Remember the host; children come with the first request of their kind."""
        self._parent = parent
        self._host = host
        self._totals: dict[tuple[str, str], Counter] = {}
        self._seconds: dict[str, Histogram] = {}

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


class ReflectorMetrics:
    """client-go's `reflector_*` of one kind, and the events it delivered by type."""

    def __init__(self, parent: "Metrics", name: str) -> None:
        """Create the children of the reflector of the kind called `name`."""
        self._lists = parent.lists.labels(name)
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
        self._list_seconds.observe(seconds)
        self._items.set(items)
        self._synced.set(1)

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
        """Remember the driver; children come with the first call of their kind."""
        self._parent = parent
        self._driver = driver
        self._calls: dict[tuple[str, str], Histogram] = {}

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
