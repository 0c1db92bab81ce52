"""Every metric of the program, in one class with a registry of its own.

Names, labels and buckets are the reference's and client-go's where those have one, so that existing
dashboards and alerts go on working; what has no such name begins with `snapshotd_`. Callers never
spell a label: they ask once for a handle (`queue`, `actor`, `reflector`, ...; see `handles`). Every
label set is bounded.
"""

import platform
from collections.abc import Callable, Mapping
from typing import Final

import prometheus_client

from snapshotd.telemetry import definitions, handles

OPERATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600)
CSI_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
# client-go's powers of ten, without the two below a microsecond, which nothing here can reach
QUEUE_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-6, 4))
REQUEST_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RECONCILE_BUCKETS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 600)


class Metrics:
    """The metrics of one process."""

    def __init__(self, *, version: str = "unknown") -> None:
        """Create every metric in a new registry, `registry`."""
        # no `_created` series: twice the size, and nobody asks for them
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        prometheus_client.GCCollector(registry=registry)
        define = definitions.Definer(registry)
        self.definitions = define.made
        self._define_operations(define)
        self._define_driver(define)
        self._define_queues(define)
        self._define_reconciles(define)
        self._define_requests(define)
        self._define_throttle(define)
        self._define_reflectors(define)
        self._define_process(define)
        self.build.labels(version, platform.python_version()).set(1)

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

    def operating(self) -> handles.OperationMetrics:
        """Return the handle of the operations on snapshots."""
        return handles.OperationMetrics(self)

    def throttle(self) -> handles.ThrottleMetrics:
        """Return the handle of the API throttles of this process, added up."""
        return self._throttles

    def events(self, component: str) -> handles.EventMetrics:
        """Return the handle of one component's Kubernetes Events."""
        return handles.EventMetrics(self, component)

    def late(self, seconds: float) -> None:
        """Record how late the event loop served a timer."""
        self.loop_lag.observe(seconds)

    def cached(self, role: str, counts: Mapping[str, Callable[[], float]]) -> None:
        """Have the number of cached objects read at each scrape, by kind."""
        for kind, count in counts.items():
            self.cache_objects.labels(role, kind).set_function(count)

    def slow_path(self, lease: str) -> None:
        """Count a renewal that had to read the lease first."""
        self.leader_slow_paths.labels(lease).inc()

    def elects(self, lease: str) -> None:
        """Show a lease's metrics before anything is known of it."""
        self.leader.labels(lease).set(0)
        self.leader_slow_paths.labels(lease)

    def leads(self, lease: str, *, leading: bool) -> None:
        """Say whether this process holds the lease."""
        self.leader.labels(lease).set(1 if leading else 0)

    def _define_operations(self, define: definitions.Definer) -> None:
        define.section = "Operations on snapshots and groups (the controller that leads)"
        self.operations = define.histogram(
            "snapshot_controller_operation_total_seconds",
            "Seconds from the first wish for an operation to its end",
            ["driver_name", "operation_name", "snapshot_type", "operation_status"],
            buckets=OPERATION_BUCKETS,
        )
        self.operations_in_flight = define.gauge(
            "snapshot_controller_operations_in_flight",
            "Operations that are wished for and not at their end",
        )
        self.operations_oldest = define.gauge(
            "snapshotd_operations_oldest_seconds",
            "Seconds since the oldest operation not at its end was wished for, 0 if there is none",
            ["operation_name"],
        )

    def _define_driver(self, define: definitions.Definer) -> None:
        define.section = "Calls to the driver (the sidecar)"
        self.csi_calls = define.histogram(
            "csi_sidecar_operations_seconds",
            "Seconds that calls to the CSI driver took",
            ["driver_name", "method_name", "grpc_status_code"],
            buckets=CSI_BUCKETS,
        )
        self.csi_connected = define.gauge(
            "snapshotd_csi_connected", "1 while the connection to the driver is up", ["driver_name"]
        )
        self.csi_aside = define.gauge(
            "snapshotd_csi_keys_aside",
            "Contents that wait for room for a call to the driver, and hold no worker",
            ["driver_name"],
        )

    def _define_queues(self, define: definitions.Definer) -> None:
        define.section = "Work queues"
        label = ["name"]
        self.queue_depth = define.gauge(
            "workqueue_depth", "Keys that are due and in no hand", label
        )
        self.queue_waiting = define.gauge(
            "snapshotd_workqueue_waiting",
            "Keys that are due and in no hand, by how urgent they are",
            ["name", "priority"],
        )
        self.queue_adds = define.counter(
            "workqueue_adds", "Keys added that were not queued already", label
        )
        self.queue_retries = define.counter(
            "workqueue_retries", "Keys sent back after a failure", label
        )
        self.queue_duration = define.histogram(
            "workqueue_queue_duration_seconds",
            "Seconds that a key was due before a worker took it",
            label,
            buckets=QUEUE_BUCKETS,
        )
        self.work_duration = define.histogram(
            "workqueue_work_duration_seconds",
            "Seconds that a key was in a hand",
            label,
            buckets=QUEUE_BUCKETS,
        )
        self.unfinished_work = define.gauge(
            "workqueue_unfinished_work_seconds",
            "Seconds that the keys in hand have been there, all together",
            label,
        )
        self.longest_running = define.gauge(
            "workqueue_longest_running_processor_seconds",
            "Seconds that the key longest in hand has been there",
            label,
        )

    def _define_reconciles(self, define: definitions.Definer) -> None:
        define.section = "Reconciles and the slow resync"
        self.reconciles = define.counter(
            "snapshotd_reconciles",
            "Reconciles by actor and by what became of them",
            ["actor", "result"],
        )
        self.reconcile_seconds = define.histogram(
            "snapshotd_reconcile_seconds",
            "Seconds that a reconcile took; in OpenMetrics with the reconcile_id of one of them",
            ["actor"],
            buckets=RECONCILE_BUCKETS,
        )
        self.sweep_looks = define.counter(
            "snapshotd_resync_looks", "Keys that the slow resync looked at"
        )
        self.sweep_finds = define.counter(
            "snapshotd_resync_finds",
            "Keys the slow resync found something to do for: a defect, since nothing woke them",
        )

    def _define_requests(self, define: definitions.Definer) -> None:
        define.section = "Requests to the API server, Events and the lease"
        self.requests = define.counter(
            "rest_client_requests",
            "Requests to the API server by HTTP code, `<error>` where no answer came",
            ["code", "method", "host"],
        )
        self.request_seconds = define.histogram(
            "rest_client_request_duration_seconds",
            "Seconds that a request to the API server took",
            ["verb", "host"],
            buckets=REQUEST_BUCKETS,
        )
        self.event_results = define.counter(
            "snapshotd_events",
            "Kubernetes Events written, dropped before (too many), or failed to be written",
            ["component", "result"],
        )
        self.leader = define.gauge(
            "leader_election_master_status", "1 while this process holds the lease", ["name"]
        )
        self.leader_slow_paths = define.counter(
            "leader_election_slowpath",
            "Renewals of a lease held by this process that had to read it first",
            ["name"],
        )

    def _define_throttle(self, define: definitions.Definer) -> None:
        define.section = "The throttle before the API server"
        self._throttles = handles.ThrottleMetrics(
            places=define.gauge(
                "snapshotd_api_throttle_places",
                "Requests that may be under way at once: it grows and halves by the answers",
            ),
            in_use=define.gauge("snapshotd_api_throttle_in_use", "Requests under way in a place"),
            waiting=define.gauge(
                "snapshotd_api_throttle_waiting", "Requests that wait for a place"
            ),
        )

    def _define_reflectors(self, define: definitions.Definer) -> None:
        define.section = "Reflectors and the cache"
        label = ["name"]
        self.lists = define.counter("reflector_lists", "Complete lists read", label)
        self.relists = define.counter(
            "snapshotd_reflector_relists",
            "Complete lists beyond the first: after a gap that a watch could not bridge",
            label,
        )
        self.list_seconds = define.histogram(
            "reflector_list_duration_seconds",
            "Seconds that a complete list took, all its pages",
            label,
            buckets=REQUEST_BUCKETS,
        )
        self.list_items = define.gauge(
            "snapshotd_reflector_list_items", "Objects in the last list", label
        )
        self.watches = define.counter("reflector_watches", "Watches opened", label)
        self.watch_events = define.counter(
            "snapshotd_reflector_events", "Events delivered by watches", ["name", "type"]
        )
        self.reflector_failures = define.counter(
            "snapshotd_reflector_failures", "Lists and watches that ended with an error", label
        )
        self.reflector_synced = define.gauge(
            "snapshotd_reflector_synced", "1 once the kind was listed completely", label
        )
        self.reflector_heard = define.gauge(
            "snapshotd_reflector_last_heard_timestamp_seconds",
            "When the server last said anything of the kind (list, event or bookmark), Unix time",
            label,
        )
        self.cache_objects = define.gauge(
            "snapshotd_cache_objects", "Objects in the cache", ["role", "kind"]
        )

    def _define_process(self, define: definitions.Definer) -> None:
        define.section = "The process"
        self.loop_lag = define.histogram(
            "snapshotd_event_loop_lag_seconds",
            "Seconds by which the event loop was late for a timer, probed twice a second",
            buckets=LAG_BUCKETS,
        )
        self.build = define.gauge(
            "snapshotd_build_info", "What runs: always 1", ["version", "python"]
        )
