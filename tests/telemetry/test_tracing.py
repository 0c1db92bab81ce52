"""Off, tracing is nothing at all; on, spans go where OpenTelemetry's variables say."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import traced

from snapshotd import errors
from snapshotd.telemetry import tracing


@pytest.fixture(autouse=True)
def _off_again() -> Iterator[None]:
    yield
    tracing.close()


def is_on() -> bool:
    return tracing._tracing is not None


def test_off_every_span_is_the_same_object_and_no_header_is_sent() -> None:
    assert tracing.span("a") is tracing.span("b", client=True)
    assert tracing.headers() == {}
    with tracing.span("a") as span:
        span.set("x", 1)
        span.failed("y")


def test_off_nothing_of_opentelemetry_is_imported_by_the_daemons() -> None:
    program = (
        "import sys\n"
        "from snapshotd.app import controller, sidecar\n"
        "from snapshotd.telemetry import tracing\n"
        "tracing.configure('a', '1', wanted=False, environ={})\n"
        "tracing.span('x').__enter__()\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_spans_have_names_parents_attributes_and_failures() -> None:
    with traced.memory() as kept:
        with tracing.span("outer") as outer:
            with tracing.span("inner", client=True) as inner:
                inner.set("a", 1)
            outer.failed("no answer")
            sent = tracing.headers()
        with pytest.raises(LookupError), tracing.span("broken"):
            raise LookupError("a defect")
        first, second, third = kept.get_finished_spans()

    assert (first.name, first.kind.name, dict(first.attributes or {})) == (
        "inner",
        "CLIENT",
        {"a": 1},
    )
    assert first.parent
    assert second.context
    assert first.parent.span_id == second.context.span_id
    assert (second.name, second.status.status_code.name, second.status.description) == (
        "outer",
        "ERROR",
        "no answer",
    )
    assert f"{second.context.span_id:016x}" in sent["traceparent"]
    assert third.events[0].name == "exception"


@pytest.mark.parametrize(
    ("wanted", "environ", "on"),
    [
        (False, {}, False),
        (True, {}, True),
        (False, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        (False, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        (False, {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (False, {"OTEL_TRACES_EXPORTER": "console"}, True),
        (True, {"OTEL_TRACES_EXPORTER": "none"}, False),
        (True, {"OTEL_SDK_DISABLED": "true"}, False),
        (False, {"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_flag_or_opentelemetrys_own_variables_switch_it_on(
    *, wanted: bool, environ: dict[str, str], on: bool
) -> None:
    tracing.configure("snapshotd-test", "1.2.3", wanted=wanted, environ=environ)

    assert is_on() is on


def test_an_exporter_that_nobody_knows_is_told() -> None:
    with pytest.raises(errors.Misconfigured, match="'zipkin' is none of otlp, console, none"):
        tracing.configure("a", "1", wanted=True, environ={"OTEL_TRACES_EXPORTER": "zipkin"})


def test_where_it_is_not_installed_the_flag_says_so_and_a_variable_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)

    with pytest.raises(errors.Misconfigured, match=r"pip install 'snapshotd\[otel\]'"):
        tracing.configure("a", "1", wanted=True, environ={})
    tracing.configure("a", "1", wanted=False, environ={"OTEL_TRACES_EXPORTER": "otlp"})
    assert not is_on()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "snapshotd-controller"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs"}, "theirs"),
    ],
)
def test_the_service_has_our_name_unless_it_was_given_another(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    tracing.configure("snapshotd-controller", "1.2.3", wanted=True, environ=environ)

    assert tracing._tracing is not None
    provider = tracing._tracing.provider
    assert provider.resource.attributes["service.name"] == name
    assert provider.resource.attributes["service.version"] == "1.2.3"


def test_the_last_spans_leave_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        tracing.configure("snapshotd-controller", "1.2.3", wanted=True)
        with tracing.span("reconcile"):
            pass
        assert received == []
        tracing.close()
        server.shutdown()
        thread.join()

    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"reconcile" in body
    assert b"snapshotd-controller" in body
    assert not is_on()
