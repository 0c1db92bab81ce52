"""Reading the API server's own count."""

from collections import Counter

import pytest

from benchmarks import counters

REAL = """
# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="snapshot.storage.k8s.io",\
resource="volumesnapshots",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="409",component="apiserver",dry_run="",group="snapshot.storage.k8s.io",\
resource="volumesnapshots",scope="resource",subresource="",verb="POST",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="snapshot.storage.k8s.io",\
resource="volumesnapshots",scope="resource",subresource="status",verb="PATCH",version="v1"} 1.2e+01
apiserver_request_total{code="200",component="apiserver",dry_run="",group="snapshot.storage.k8s.io",\
resource="volumesnapshots",scope="cluster",subresource="",verb="WATCH",version="v1"} 9
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",\
resource="events",scope="resource",subresource="",verb="POST",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",\
resource="pods",scope="resource",subresource="",verb="GET",version="v1"} 7
process_cpu_seconds_total 12.5
"""
EMBEDDED = 'apiserver_request_total{verb="PATCH",group="",resource="persistentvolumeclaims",\
subresource="",code="200"} 2\n'


def test_a_real_servers_requests_are_counted_by_verb_and_resource() -> None:
    assert counters.requests(REAL) == {
        "POST volumesnapshots": 4,
        "PATCH volumesnapshots/status": 12,
        "POST events": 5,
    }


def test_the_embedded_servers_are_too() -> None:
    assert counters.requests(EMBEDDED) == {"PATCH persistentvolumeclaims": 2}


@pytest.mark.parametrize(("text", "seconds"), [(REAL, 12.5), (EMBEDDED, None)])
def test_cpu_is_what_the_server_says(text: str, seconds: float | None) -> None:
    assert counters.cpu_seconds(text) == seconds


def test_the_clients_own_requests_are_not_the_subjects() -> None:
    before = Counter({"POST volumesnapshots": 4})
    after = Counter({"POST volumesnapshots": 14, "PATCH volumesnapshots": 10})
    own = Counter({"POST volumesnapshots": 10})
    assert counters.spent(before, after, own) == {"PATCH volumesnapshots": 10}


def test_events_and_leases_are_no_object_writes() -> None:
    counts = Counter({"POST events": 3, "PUT leases": 1, "PATCH volumesnapshots": 2})
    alone = counters.objects_alone(counts)
    assert counters.of_verbs(alone, counters.WRITES) == 2
