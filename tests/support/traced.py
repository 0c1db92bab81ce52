"""Tracing into memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk import trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter

from snapshotd.telemetry import tracing


@contextmanager
def memory() -> Iterator[in_memory_span_exporter.InMemorySpanExporter]:
    """Have all spans kept, in the order in which they ended."""
    kept = in_memory_span_exporter.InMemorySpanExporter()
    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(kept))
    tracing.use(provider)
    try:
        yield kept
    finally:
        tracing.close()
