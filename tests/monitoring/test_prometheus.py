"""A real Prometheus scrapes the roles, each a process of its own, while the demo's story is played.

Then every query of the dashboard has something to show; there is none that cannot: the driver fails
once, so that failures have a code.
"""

import contextlib
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import e2e
import monitoring
import prometheus
import pytest

pytestmark = pytest.mark.e2e

_PORT = re.compile(r"endpoint_listening.*?port=(\d+)")
_ELECTED = ["--leader-election", "--leader-election-namespace=kube-system"]
# What the story must have moved: a gauge that is read from nowhere would show 0
_MOVED = [
    "max_over_time(snapshot_controller_operations_in_flight[5m]) > 0",
    'snapshot_controller_operation_total_seconds_count{operation_name="CreateSnapshot"} > 0',
    'snapshot_controller_operation_total_seconds_count{operation_name="DeleteSnapshot"} > 0',
    'snapshot_controller_operation_total_seconds_count{operation_name="CreateGroupSnapshot"} > 0',
    'snapshot_controller_operation_total_seconds_count{operation_name="DeleteGroupSnapshot"} > 0',
    'snapshot_controller_operation_total_seconds_count{snapshot_type="pre-provisioned"} > 0',
    'csi_sidecar_operations_seconds_count{grpc_status_code="ABORTED"} == 1',
    "snapshotd_csi_connected == 1",
    'leader_election_master_status{job="controller"} == 1',
    'leader_election_master_status{job="sidecar"} == 1',
    "snapshotd_api_throttle_places > 0",
    'snapshotd_cache_objects{role="snapshot-controller",kind="VolumeSnapshot"} > 0',
    'snapshotd_events_total{job="controller",result="written"} > 0',
    'snapshotd_reflector_last_heard_timestamp_seconds{name="VolumeSnapshot"} > 0',
]
_FAILS_ONCE = {"methods": {"CreateSnapshot": {"code": "ABORTED", "times": 1}}}


@contextlib.contextmanager
def role(dev: e2e.Dev, *words: str) -> Iterator[str]:
    """Run a role over a running API server, and yield the address of its endpoint."""
    log = dev.folder.with_name(f"{words[0]}.log")
    part = e2e.Part(
        log, *words, f"--kubeconfig={dev.kubeconfig}", "--http-endpoint=127.0.0.1:0", *_ELECTED
    )
    try:
        dev.until(lambda: "leading" in log.read_text(), f"{words[0]} does not lead")
        found = _PORT.search(log.read_text())
        assert found is not None, log.read_text()
        yield f"127.0.0.1:{found.group(1)}"
    finally:
        assert part.stop(signal.SIGTERM) == 0, log.read_text()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[e2e.Dev]:
    """An API server and a driver."""
    running = e2e.Dev(tmp_path / "d", "--parts=apiserver,driver")
    with contextlib.ExitStack() as stack:
        stack.callback(running.stop)
        yield running.started()


def play(folder: Path) -> None:
    """Play the demo's story, over roles that run elsewhere."""
    done = subprocess.run(
        [e2e.program("snapshotd"), "dev", "--demo", f"--data-dir={folder}", "--parts=provisioner"],
        capture_output=True,
        text=True,
        timeout=e2e.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def as_grafana_asks(query: str) -> str:
    return query.replace("$__rate_interval", "10s").replace("$job", ".*")


def without_data(asked: prometheus.Prometheus) -> list[str]:
    """Return the dashboard's queries, and ours, that have nothing to show."""
    queries = [as_grafana_asks(query) for _, query in monitoring.queries()]
    return [query for query in [*queries, *_MOVED] if not asked.tells(query)]


def until(dev: e2e.Dev, holds: Callable[[], object], why: str) -> None:
    dev.until(lambda: bool(holds()), why)


def test_every_query_of_the_dashboard_returns_data_after_the_story(
    dev: e2e.Dev, tmp_path: Path
) -> None:
    dev.faults(_FAILS_ONCE)
    with (
        role(dev, "controller") as controller,
        role(dev, "sidecar", f"--csi-address={dev.folder / 'csi.sock'}") as sidecar,
        prometheus.running(
            tmp_path / "prometheus", {"controller": controller, "sidecar": sidecar}
        ) as asked,
    ):
        until(dev, asked.listens, asked.log.read_text())
        until(dev, lambda: asked.healthy() == {"controller", "sidecar"}, "it does not scrape")
        play(dev.folder)
        with contextlib.suppress(AssertionError):
            until(dev, lambda: not without_data(asked), "some queries return nothing")
        assert without_data(asked) == []
        groups = asked.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == len(monitoring.rules())
        assert [rule for rule in rules if rule["health"] == "err"] == []
        alerts = asked.ask("alerts")["alerts"]
        assert [alert["labels"] for alert in alerts if alert["state"] == "firing"] == []
        assert not asked.tells("snapshotd_resync_finds_total > 0")
        exemplars = asked.ask(
            "query_exemplars",
            query="snapshotd_reconcile_seconds_bucket",
            start="0",
            end="9999999999",
        )
        labels = [each["labels"] for series in exemplars for each in series["exemplars"]]
        assert labels
        assert all(set(each) == {"reconcile_id"} for each in labels)
