"""What a metric is called, counts and is told apart by, noted as it is made.

The registry cannot be asked for labels and buckets; the reference page (`reference`) and the tests
of the dashboard can ask here. Invariant: what is noted is what was registered.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

_SUFFIXES: Final = {"histogram": ("_bucket", "_count", "_sum"), "counter": (), "gauge": ()}


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """One metric, under the name by which it is queried."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    section: str

    def series(self) -> Iterator[str]:
        """Yield the names that its series have."""
        yield from (self.name + suffix for suffix in _SUFFIXES[self.type] or ("",))


class Definer:
    """Makes metrics in one registry, and notes what it made, section by section."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        """Start with nothing defined."""
        self.made: list[Definition] = []
        self.section = ""
        self._registry = registry

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Make a counter; its series end in `_total`."""
        self._note(f"{name}_total", "counter", text, labels=labels)
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Make a gauge."""
        self._note(name, "gauge", text, labels=labels)
        return Gauge(name, text, labels, registry=self._registry)

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> Histogram:
        """Make a histogram with these upper bounds."""
        self._note(name, "histogram", text, labels=labels, buckets=buckets)
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def _note(
        self,
        name: str,
        type_: Literal["counter", "gauge", "histogram"],
        text: str,
        *,
        labels: Iterable[str],
        buckets: Iterable[float] = (),
    ) -> None:
        made = Definition(name, type_, text, tuple(labels), tuple(buckets), self.section)
        self.made.append(made)
