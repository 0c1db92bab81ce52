"""Traces, for those who collect them: a span per reconcile, per API request, per CSI call.

Off, unless `--tracing` or OpenTelemetry's own variables ask for it; then nothing is imported, and a
span is one object that does nothing, the same for all. On, spans go by OTLP over HTTP to where the
variables say. Ours is a provider of its own: nothing else of the process is traced.

Invariants: what leaves is names, codes and the errors that the logs hold, too, and no body, no
header and no message of a driver; a collector that is away costs spans, and never holds up the work
or, for longer than `_FAREWELL`, the end of the process.
"""

import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog

from snapshotd import errors

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_FAREWELL: Final = 3.0  # seconds for the last spans to leave
_EXPORTERS: Final = ("otlp", "console", "none")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Value = str | int | float | bool


class Span(Protocol):
    """Something that takes time, as a context manager; where it is not `on`, notes are lost."""

    on: bool

    def __enter__(self) -> Self:
        """Begin: what begins in it is a part of it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; an exception that passes is noted."""

    def set(self, name: str, value: Value) -> None:
        """Note something about it."""

    def failed(self, why: str) -> None:
        """Note that it failed, although no exception passes."""


class _Off:
    """What is not traced."""

    __slots__ = ()
    on = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set(self, name: str, value: Value) -> None:
        pass

    def failed(self, why: str) -> None:
        pass


class _On:
    """OpenTelemetry's span."""

    on = True

    def __init__(self, tracing: "_Tracing", name: str, *, client: bool) -> None:
        kind = tracing.api.SpanKind.CLIENT if client else tracing.api.SpanKind.INTERNAL
        self._api = tracing.api
        self._manager = tracing.tracer.start_as_current_span(name, kind=kind)
        self._span: Any = None

    def __enter__(self) -> Self:
        self._span = self._manager.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._manager.__exit__(kind, error, trace)

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def failed(self, why: str) -> None:
        self._span.set_status(self._api.Status(self._api.StatusCode.ERROR, why))


class _Tracing:
    """What is there while tracing is on."""

    def __init__(self, provider: Any, version: str) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - only when it is on

        self.api: Any = trace
        self.inject = propagate.inject
        self.provider = provider
        self.tracer = provider.get_tracer("snapshotd", version)


_OFF: Final = _Off()
_tracing: _Tracing | None = None


def span(name: str, *, client: bool = False) -> Span:
    """Return a span to enter; `client` says that another process does the work."""
    return _OFF if _tracing is None else _On(_tracing, name, client=client)


def headers() -> dict[str, str]:
    """Return the headers by which another process joins the span that is open: none when off."""
    carrier: dict[str, str] = {}
    if _tracing is not None:
        _tracing.inject(carrier)
    return carrier


def configure(
    service: str, version: str, *, wanted: bool, environ: Mapping[str, str] = os.environ
) -> None:
    """Switch tracing on, if a flag (`wanted`) or the environment asks for it.

    Raises `Misconfigured` where the flag asks and OpenTelemetry is not installed: variables may be
    those of a whole cluster, and stop nobody.
    """
    asked = any(environ.get(name) for name in (*_ENDPOINTS, "OTEL_TRACES_EXPORTER"))
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or exporter == "none" or not (wanted or asked):
        return
    if exporter not in _EXPORTERS:
        raise errors.Misconfigured(
            f"OTEL_TRACES_EXPORTER {exporter!r} is none of {', '.join(_EXPORTERS)}"
        )
    try:
        provider = _provider(exporter, _resource(service, version, environ))
    except ModuleNotFoundError as error:
        told = f"tracing needs {error.name}: install it with  pip install 'snapshotd[otel]'"
        if wanted:
            raise errors.Misconfigured(f"--tracing: {told}") from None
        log.warning("tracing_off", reason=told)
        return
    use(provider, version)
    log.info("tracing_on", exporter=exporter)


def use(provider: Any, version: str = "") -> None:
    """Trace by a provider from now on; with None, no more."""
    global _tracing  # noqa: PLW0603 - as logging has it: one for the process, asked at every call
    _tracing = None if provider is None else _Tracing(provider, version)


def close() -> None:
    """Send what is left, and trace no more."""
    if _tracing is None:
        return
    provider = _tracing.provider
    use(None)
    last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    last.start()
    last.join(_FAREWELL)


def _resource(service: str, version: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return who we are; a name that the operator gave is left to OpenTelemetry to read."""
    told = {"service.version": version}
    named = "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not (named or environ.get("OTEL_SERVICE_NAME")):
        told["service.name"] = service
    return told


def _provider(exporter: str, resource: Mapping[str, str]) -> Any:
    from opentelemetry.sdk import resources, trace  # noqa: PLC0415 - only when it is on
    from opentelemetry.sdk.trace import export  # noqa: PLC0415 - as above

    provider = trace.TracerProvider(
        resource=resources.Resource.create(dict(resource)), shutdown_on_exit=False
    )
    if exporter == "console":
        provider.add_span_processor(export.SimpleSpanProcessor(export.ConsoleSpanExporter()))
        return provider
    from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415 - as above

    provider.add_span_processor(export.BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
    return provider
