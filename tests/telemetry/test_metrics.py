import typing

import prometheus_client
import pytest
from prometheus_client.openmetrics import exposition as openmetrics

from snapshotd.telemetry import handles, metrics


@pytest.fixture
def meters() -> metrics.Metrics:
    return metrics.Metrics(version="1.2.3")


def text(meters: metrics.Metrics) -> str:
    return prometheus_client.generate_latest(meters.registry).decode()


def test_the_names_are_those_that_dashboards_know(meters: metrics.Metrics) -> None:
    families = {family.name for family in meters.registry.collect()}

    assert families >= {
        "snapshot_controller_operation_total_seconds",
        "snapshot_controller_operations_in_flight",
        "csi_sidecar_operations_seconds",
        "workqueue_depth",
        "workqueue_adds",  # exposed with `_total`, as all counters are
        "workqueue_queue_duration_seconds",
        "workqueue_work_duration_seconds",
        "workqueue_unfinished_work_seconds",
        "workqueue_longest_running_processor_seconds",
        "workqueue_retries",
        "rest_client_requests",
        "rest_client_request_duration_seconds",
        "leader_election_master_status",
        "process_start_time_seconds",
        "snapshotd_build_info",
    }


def test_the_labels_and_buckets_of_the_reference_are_kept(meters: metrics.Metrics) -> None:
    operations = meters.operating()
    operations.ended(handles.Operation("driver", "CreateSnapshot", "dynamic", "success"), 12.0)
    operations.watch(lambda: 3, lambda _name: 9)
    meters.csi("driver").called("/csi.v1.Controller/CreateSnapshot", "OK", 0.2)

    exposed = text(meters)
    labels = (
        'driver_name="driver",operation_name="CreateSnapshot",operation_status="success",'
        'snapshot_type="dynamic"'
    )
    assert f"snapshot_controller_operation_total_seconds_sum{{{labels}}} 12.0" in exposed
    for bucket in ("0.1", "10.0", "15.0", "30.0", "600.0", "+Inf"):
        assert f'_total_seconds_bucket{{driver_name="driver",le="{bucket}",' in exposed
    assert "snapshot_controller_operations_in_flight 3.0" in exposed
    assert (
        'csi_sidecar_operations_seconds_count{driver_name="driver",grpc_status_code="OK",'
        'method_name="/csi.v1.Controller/CreateSnapshot"} 1.0' in exposed
    )


def test_an_actor_shows_every_result_at_zero_before_its_first(meters: metrics.Metrics) -> None:
    actor = meters.actor("binding")

    for result in typing.get_args(handles.Result):
        labels = {"actor": "binding", "result": result}
        assert meters.registry.get_sample_value("snapshotd_reconciles_total", labels) == 0
    actor.settled("done", 0.5)

    labels = {"actor": "binding", "result": "done"}
    assert meters.registry.get_sample_value("snapshotd_reconciles_total", labels) == 1


def test_requests_are_counted_by_code_and_lost_ones_as_errors(meters: metrics.Metrics) -> None:
    requests = meters.requests_to("10.0.0.1:443")

    requests.answered("GET", 200, 0.01)
    requests.answered("GET", 200, 0.01)
    requests.answered("PATCH", None, 30)

    def count(code: str, method: str) -> float | None:
        labels = {"code": code, "method": method, "host": "10.0.0.1:443"}
        return meters.registry.get_sample_value("rest_client_requests_total", labels)

    assert (count("200", "GET"), count("<error>", "PATCH")) == (2, 1)
    labels = {"verb": "GET", "host": "10.0.0.1:443"}
    name = "rest_client_request_duration_seconds_count"
    assert meters.registry.get_sample_value(name, labels) == 2


def test_a_reflector_tells_what_it_read(meters: metrics.Metrics) -> None:
    reflector = meters.reflector("VolumeSnapshot")

    def value(name: str, **labels: str) -> float | None:
        return meters.registry.get_sample_value(name, {"name": "VolumeSnapshot"} | labels)

    assert value("snapshotd_reflector_synced") == 0
    reflector.listed(7, 0.5)
    reflector.watching()
    reflector.event("ADDED")
    reflector.failed()

    assert value("snapshotd_reflector_synced") == 1
    assert value("snapshotd_reflector_list_items") == 7
    assert value("reflector_lists_total") == value("reflector_watches_total") == 1
    assert value("snapshotd_reflector_events_total", type="ADDED") == 1
    assert value("snapshotd_reflector_events_total", type="DELETED") == 0
    assert value("snapshotd_reflector_failures_total") == 1


def test_one_driver_method_has_one_series_for_each_code(meters: metrics.Metrics) -> None:
    driver = meters.csi("driver")

    for code in ("OK", "OK", "ABORTED"):
        driver.called("/csi.v1.Identity/Probe", code, 0.1)

    counts = {
        sample.labels["grpc_status_code"]: sample.value
        for family in meters.registry.collect()
        for sample in family.samples
        if sample.name == "csi_sidecar_operations_seconds_count"
        and sample.labels["method_name"] == "/csi.v1.Identity/Probe"
    }
    assert counts == {"OK": 2, "ABORTED": 1}


def test_the_holder_of_a_lease_is_known(meters: metrics.Metrics) -> None:
    def value() -> float | None:
        return meters.registry.get_sample_value("leader_election_master_status", {"name": "lease"})

    meters.leads("lease", leading=True)
    assert value() == 1
    meters.leads("lease", leading=False)
    assert value() == 0


def test_the_version_is_told(meters: metrics.Metrics) -> None:
    assert 'version="1.2.3"} 1.0' in text(meters)


def test_a_queue_shows_its_gauges_as_they_are_at_the_scrape(meters: metrics.Metrics) -> None:
    depth = 0.0
    queue = meters.queue("q")
    queue.watch(lambda: depth, lambda: 2 * depth, longest=lambda: 3 * depth)
    depth = 5.0
    queue.added()
    queue.retried()
    queue.taken(0.5)
    queue.done(0.25)

    def value(name: str) -> float | None:
        return meters.registry.get_sample_value(f"workqueue_{name}", {"name": "q"})

    assert value("depth") == 5
    assert value("unfinished_work_seconds") == 10
    assert value("longest_running_processor_seconds") == 15
    assert value("adds_total") == value("retries_total") == 1
    assert value("queue_duration_seconds_sum") == 0.5
    assert value("work_duration_seconds_sum") == 0.25


def test_two_sets_of_metrics_share_nothing() -> None:
    first, second = metrics.Metrics(), metrics.Metrics()
    first.queue("q").added()
    second.queue("q")

    assert second.registry.get_sample_value("workqueue_adds_total", {"name": "q"}) == 0


def test_no_series_is_spent_on_creation_times(meters: metrics.Metrics) -> None:
    meters.queue("q").added()

    assert "_created" not in text(meters)


def test_usual_answers_are_shown_at_zero_so_that_the_first_is_an_increase(
    meters: metrics.Metrics,
) -> None:
    meters.requests_to("h")
    meters.csi("driver")
    meters.events("c")
    meters.elects("lease")

    def value(name: str, /, **labels: str) -> float | None:
        return meters.registry.get_sample_value(name, labels)

    for code in ("200", "409", "429", "<error>"):
        assert value("rest_client_requests_total", code=code, method="PATCH", host="h") == 0
    method = "/csi.v1.Controller/CreateSnapshot"
    labels = {"driver_name": "driver", "method_name": method, "grpc_status_code": "OK"}
    assert value("csi_sidecar_operations_seconds_count", **labels) == 0
    assert value("snapshotd_csi_connected", driver_name="driver") == 0
    assert value("snapshotd_events_total", component="c", result="dropped") == 0
    assert value("leader_election_slowpath_total", name="lease") == 0
    assert value("leader_election_master_status", name="lease") == 0
    meters.slow_path("lease")
    assert value("leader_election_slowpath_total", name="lease") == 1


def test_only_a_list_after_the_first_is_a_relist(meters: metrics.Metrics) -> None:
    reflector = meters.reflector("Node")

    def relists() -> float | None:
        return meters.registry.get_sample_value(
            "snapshotd_reflector_relists_total", {"name": "Node"}
        )

    reflector.listed(1, 0.1)
    assert relists() == 0
    reflector.listed(1, 0.1)
    assert relists() == 1


def test_the_throttles_of_one_process_are_added_up(meters: metrics.Metrics) -> None:
    def shown() -> list[float | None]:
        names = ("places", "in_use", "waiting")
        read = meters.registry.get_sample_value
        return [read(f"snapshotd_api_throttle_{each}") for each in names]

    assert shown() == [0, 0, 0]
    for _ in range(2):
        meters.throttle().watch(lambda: 20, lambda: 3, waiting=lambda: 1)
    assert shown() == [40, 6, 2]


def test_the_cache_is_counted_at_the_scrape(meters: metrics.Metrics) -> None:
    counts = {"VolumeSnapshot": 1.0}
    meters.cached("controller", {"VolumeSnapshot": lambda: counts["VolumeSnapshot"]})
    counts["VolumeSnapshot"] = 7.0
    labels = {"role": "controller", "kind": "VolumeSnapshot"}
    assert meters.registry.get_sample_value("snapshotd_cache_objects", labels) == 7


def test_a_reconcile_carries_its_id_where_the_client_takes_exemplars(
    meters: metrics.Metrics,
) -> None:
    meters.actor("binding").settled("done", 0.5, reconcile_id="0badcafe")
    told = openmetrics.generate_latest(meters.registry).decode()  # type: ignore[no-untyped-call]
    assert ' # {reconcile_id="0badcafe"} 0.5 ' in told
    assert "0badcafe" not in text(meters)


def test_every_metric_is_noted_with_its_labels_and_buckets(meters: metrics.Metrics) -> None:
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in meters.registry.collect()
        if not family.name.startswith(("process_", "python_"))
    }
    assert {each.name: each.type for each in meters.definitions} == families
    reconcile = next(e for e in meters.definitions if e.name == "snapshotd_reconcile_seconds")
    assert reconcile.labels == ("actor",)
    assert reconcile.buckets == metrics.RECONCILE_BUCKETS
