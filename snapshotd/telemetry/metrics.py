"""Every metric of the program, in one class with a registry of its own.

Names, labels and buckets are the reference's and client-go's where those have one, so that existing
dashboards and alerts go on working; what has no such name begins with `snapshotd_`. Callers never
spell a label: they ask once for a handle (`queue`, `actor`, `reflector`, ...; see `handles`). Every
label set is bounded.
"""

import dataclasses
import platform
from collections.abc import Callable
from typing import Final, Literal

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from snapshotd.telemetry import handles

OPERATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600)
CSI_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
# client-go's powers of ten, without the two below a microsecond, which nothing here can reach
QUEUE_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-6, 4))
REQUEST_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
RECONCILE_BUCKETS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 600)


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """What the reference times: an operation on one snapshot, from first wish to end."""

    driver: str
    name: str  # CreateSnapshot, CreateSnapshotAndReady, DeleteSnapshot, and their group forms
    snapshot_type: Literal["dynamic", "pre-provisioned"]
    status: Literal["success", "cancel", "unknown"]


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

    def queue(self, name: str) -> handles.QueueMetrics:
        """Return the handle of one work queue."""
        return handles.QueueMetrics(self, name)

    def actor(self, name: str) -> handles.ActorMetrics:
        """Return the handle of one actor."""
        return handles.ActorMetrics(self, name)

    def sweep(self) -> handles.SweepMetrics:
        """Return the handle of the process's sweep."""
        return handles.SweepMetrics(self)

    def requests_to(self, host: str) -> handles.RequestMetrics:
        """Return the handle for requests to one API server."""
        return handles.RequestMetrics(self, host)

    def reflector(self, kind: str) -> handles.ReflectorMetrics:
        """Return the handle of one reflector."""
        return handles.ReflectorMetrics(self, kind)

    def csi(self, driver: str) -> handles.CsiMetrics:
        """Return the handle of one CSI driver."""
        return handles.CsiMetrics(self, driver)

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
        self.csi_connected = Gauge(
            "snapshotd_csi_connected",
            "1 while the connection to the driver is up",
            ["driver_name"],
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
