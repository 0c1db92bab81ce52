"""The reference page of the metrics, from their definitions: `docs/reference/metrics.md`.

    python -m snapshotd.telemetry.reference > docs/reference/metrics.md

A test compares the page with the code, so that neither can be changed alone.
"""

import itertools
import sys
from collections.abc import Iterator
from typing import Final

import prometheus_client

from snapshotd.telemetry import conversions, definitions, metrics

_HEAD: Final = """\
# Metrics

Generated from the code by `python -m snapshotd.telemetry.reference`; a test keeps it fresh.

Served on `--http-endpoint` at `--metrics-path` (`/metrics`), as Prometheus text or as OpenMetrics,
as the client asks. Names, labels and buckets are those of kubernetes-csi/external-snapshotter and
of client-go where these have one; the others begin with `snapshotd_`. What to make of them:
[how to monitor](../how-to/monitor.md).

Every label is bounded by the code or by what administrators made (drivers, of which a hundred are
told apart), never by what users make. Series whose labels are known beforehand are there, at zero,
from the start; a code that is seldom comes with its first answer. A histogram has the series
`_bucket` (with the label `le`), `_count` and `_sum`.

Operations (`snapshot_controller_operation_total_seconds`) are recorded by the controller that
leads, from what the objects tell: `CreateSnapshot` ends with the cut, `CreateSnapshotAndReady` when
the snapshot is ready to use, `DeleteSnapshot` when the object is gone; of group snapshots
`CreateGroupSnapshot`, `CreateGroupSnapshotAndReady` and `DeleteGroupSnapshot` do, unless
`--feature-gates=CSIVolumeGroupSnapshot=false` leaves groups alone. The members of a group count as
snapshots, too. A creation counts from when its object appeared, and if that was there when the
controller began to lead, from its creationTimestamp; so it does for deletions with the
deletionTimestamp. A creation that a deletion overtakes ends with `cancel` at that moment, after its
own duration. Exemplars with the `reconcile_id` are shown in OpenMetrics.
"""


def page() -> str:
    """Return the page."""
    meters = metrics.Metrics()
    parts = [_HEAD]
    for section, made in itertools.groupby(
        definitions_of_all(meters), key=lambda each: each.section
    ):
        parts.append(f"\n## {section}\n\n" + "\n".join(_table(made)) + "\n")
    known = {name for each in meters.definitions for name in (each.name, *each.series())}
    parts.append("\n## From prometheus_client\n\n" + "\n".join(_foreign(meters, known)) + "\n")
    return "".join(parts)


def definitions_of_all(meters: metrics.Metrics) -> list[definitions.Definition]:
    """Return what every process has, and after it what only the webhook has."""
    webhook = conversions.ConversionMetrics(prometheus_client.CollectorRegistry())
    return [*meters.definitions, *webhook.definitions]


def _table(made: Iterator[definitions.Definition]) -> Iterator[str]:
    yield "| metric | type | labels | what it tells |"
    yield "|---|---|---|---|"
    for each in made:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        text = each.help.replace("|", "\\|")
        if each.buckets:
            text += "; buckets " + " ".join(f"{bound:g}" for bound in each.buckets)
        yield f"| `{each.name}` | {each.type} | {labels} | {text} |"


def _foreign(meters: metrics.Metrics, known: set[str]) -> Iterator[str]:
    """Yield the rows of what `prometheus_client` itself tells of the process."""
    yield "| metric | type | what it tells |"
    yield "|---|---|---|"
    for family in meters.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name not in known:
            yield f"| `{name}` | {family.type} | {family.documentation.rstrip('.')} |"


if __name__ == "__main__":
    sys.stdout.write(page())
