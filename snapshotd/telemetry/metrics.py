"""Every metric of the program, in one class with a registry of its own.

Names, labels and buckets are the reference's and client-go's where those have one, so that existing
dashboards and alerts go on working; what has no such name begins with `snapshotd_`. Callers never
spell a label: they ask once for a handle (`queue`, `actor`, `reflector`, ...), whose children exist
at zero from then on, and call its methods. Every label set is bounded.
"""

import dataclasses
import platform
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, get_args

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

OPERATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600)
CSI_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
# client-go's powers of ten, without the two below a microsecond, which nothing here can reach
QUEUE_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-6, 4))
REQUEST_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
RECONCILE_BUCKETS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 600)

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


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """What the reference times: an operation on one snapshot, from first wish to end."""

    driver: str
    name: str  # CreateSnapshot, CreateSnapshotAndReady, DeleteSnapshot, and their group forms
    snapshot_type: Literal["dynamic", "pre-provisioned"]
    status: Literal["success", "cancel", "unknown"]


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


class Metrics:
    """The metrics of one process."""

    def __init__(self, *, version: str = "unknown") -> None:
        """Create every metric in a new registry, `registry`."""
        # no `_created` series: twice the size, and nobody asks for them
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        prometheus_client.GCCollector(registry=registry)
        build = Gauge(
            "snapshotd_build_info", "What runs: always 1", ["version", "python"], registry=registry
        )
        build.labels(version, platform.python_version()).set(1)
        self._define_operations(registry)
        self._define_queues(registry)
        self._define_reconciles(registry)
        self._define_requests(registry)
        self._define_reflectors(registry)

    def queue(self, name: str) -> QueueMetrics:
        """Return the handle of one work queue."""
        return QueueMetrics(self, name)

    def actor(self, name: str) -> ActorMetrics:
        """Return the handle of one actor."""
        return ActorMetrics(self, name)

    def sweep(self) -> SweepMetrics:
        """Return the handle of the process's sweep."""
        return SweepMetrics(self)

    def requests_to(self, host: str) -> RequestMetrics:
        """Return the handle for requests to one API server."""
        return RequestMetrics(self, host)

    def reflector(self, kind: str) -> ReflectorMetrics:
        """Return the handle of one reflector."""
        return ReflectorMetrics(self, kind)

    def csi(self, driver: str) -> CsiMetrics:
        """Return the handle of one CSI driver."""
        return CsiMetrics(self, driver)

    def operated(self, operation: Operation, seconds: float) -> None:
        """Record the end of an operation on a snapshot."""
        self.operations.labels(
            operation.driver, operation.name, operation.snapshot_type, operation.status
        ).observe(seconds)

    def in_flight(self, read: Callable[[], float]) -> None:
        """Have the number of operations under way read at each scrape."""
        self.operations_in_flight.set_function(read)

    def leads(self, lease: str, *, leading: bool) -> None:
        """Say whether this process holds the lease."""
        self.leader.labels(lease).set(1 if leading else 0)

    def _define_operations(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.operations = Histogram(
            "snapshot_controller_operation_total_seconds",
            "Seconds from the first wish for an operation to its end",
            ["driver_name", "operation_name", "snapshot_type", "operation_status"],
            buckets=OPERATION_BUCKETS,
            registry=registry,
        )
        self.operations_in_flight = Gauge(
            "snapshot_controller_operations_in_flight",
            "Operations that are wished for and not at their end",
            registry=registry,
        )
        self.csi_calls = Histogram(
            "csi_sidecar_operations_seconds",
            "Seconds that calls to the CSI driver took",
            ["driver_name", "method_name", "grpc_status_code"],
            buckets=CSI_BUCKETS,
            registry=registry,
        )

    def _define_queues(self, registry: prometheus_client.CollectorRegistry) -> None:
        label = ["name"]
        self.queue_depth = Gauge(
            "workqueue_depth", "Keys that are due and in no hand", label, registry=registry
        )
        self.queue_adds = Counter(
            "workqueue_adds", "Keys added that were not queued already", label, registry=registry
        )
        self.queue_retries = Counter(
            "workqueue_retries", "Keys sent back after a failure", label, registry=registry
        )
        self.queue_duration = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds that a key was due before a worker took it",
            label,
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        self.work_duration = Histogram(
            "workqueue_work_duration_seconds",
            "Seconds that a key was in a hand",
            label,
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        self.unfinished_work = Gauge(
            "workqueue_unfinished_work_seconds",
            "Seconds that the keys in hand have been there, all together",
            label,
            registry=registry,
        )
        self.longest_running = Gauge(
            "workqueue_longest_running_processor_seconds",
            "Seconds that the key longest in hand has been there",
            label,
            registry=registry,
        )

    def _define_reconciles(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.reconciles = Counter(
            "snapshotd_reconciles",
            "Reconciles by actor and by what became of them",
            ["actor", "result"],
            registry=registry,
        )
        self.reconcile_seconds = Histogram(
            "snapshotd_reconcile_seconds",
            "Seconds that a reconcile took",
            ["actor"],
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self.sweep_looks = Counter(
            "snapshotd_resync_looks", "Keys that the slow resync looked at", registry=registry
        )
        self.sweep_finds = Counter(
            "snapshotd_resync_finds",
            "Keys the slow resync found something to do for: a defect, since nothing woke them",
            registry=registry,
        )

    def _define_requests(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.requests = Counter(
            "rest_client_requests",
            "Requests to the API server by HTTP code, `<error>` where no answer came",
            ["code", "method", "host"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Seconds that a request to the API server took",
            ["verb", "host"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.leader = Gauge(
            "leader_election_master_status",
            "1 while this process holds the lease",
            ["name"],
            registry=registry,
        )

    def _define_reflectors(self, registry: prometheus_client.CollectorRegistry) -> None:
        label = ["name"]
        self.lists = Counter("reflector_lists", "Complete lists read", label, registry=registry)
        self.list_seconds = Histogram(
            "reflector_list_duration_seconds",
            "Seconds that a complete list took, all its pages",
            label,
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.list_items = Gauge(
            "snapshotd_reflector_list_items", "Objects in the last list", label, registry=registry
        )
        self.watches = Counter("reflector_watches", "Watches opened", label, registry=registry)
        self.watch_events = Counter(
            "snapshotd_reflector_events",
            "Events delivered by watches",
            ["name", "type"],
            registry=registry,
        )
        self.reflector_failures = Counter(
            "snapshotd_reflector_failures",
            "Lists and watches that ended with an error",
            label,
            registry=registry,
        )
        self.reflector_synced = Gauge(
            "snapshotd_reflector_synced",
            "1 once the kind was listed completely",
            label,
            registry=registry,
        )
