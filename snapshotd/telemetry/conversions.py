"""The metrics of `snapshotd webhook`, beside those that every process has."""

from typing import Final

import prometheus_client

from snapshotd.telemetry import definitions

_BUCKETS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)
_RESULTS: Final = ("converted", "failed", "refused", "too_large", "slow", "busy", "crashed", "gone")


class ConversionMetrics:
    """What the webhook counts."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        """Show every series from the start."""
        define = definitions.Definer(registry)
        self.definitions = define.made
        define.section = "Conversion webhook"
        self.requests = define.counter(
            "snapshotd_conversion_requests",
            "Conversion requests by what became of them",
            ["result"],
        )
        self.seconds = define.histogram(
            "snapshotd_conversion_request_seconds",
            "Seconds that a conversion request took",
            buckets=_BUCKETS,
        )
        self.objects = define.counter("snapshotd_conversion_objects", "Objects converted")
        self.reloads = define.counter(
            "snapshotd_certificate_reloads",
            "Times that the certificate's files changed, by whether they could be used",
            ["result"],
        )
        for result in _RESULTS:
            self.requests.labels(result)
        for outcome in ("reloaded", "failed"):
            self.reloads.labels(outcome)

    def reloaded(self, outcome: str) -> None:
        """Count a change of the certificate's files: `reloaded` or `failed`."""
        self.reloads.labels(outcome).inc()
