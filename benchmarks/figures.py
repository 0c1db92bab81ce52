"""Percentiles, medians and ratios: what is said of many measurements."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all are not above; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def latencies(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return the percentiles in milliseconds, as figures by name."""
    return {
        f"{name} p50 ms": percentile(values, 50) * 1000,
        f"{name} p90 ms": percentile(values, 90) * 1000,
        f"{name} p99 ms": percentile(values, 99) * 1000,
        f"{name} max ms": percentile(values, 100) * 1000,
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between what it was."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of some values, NaN of none."""
    known = [each for each in values if not math.isnan(each)]
    if not known:
        return Spread(math.nan, math.nan, math.nan)
    return Spread(statistics.median(known), min(known), max(known))


def ratios(
    ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]], figure: str
) -> Spread:
    """Return one figure of ours to theirs, round by round: neighbours in time are compared."""
    pairs = zip(ours, theirs, strict=False)
    found = [
        mine[figure] / other[figure]
        for mine, other in pairs
        if figure in mine and other.get(figure, 0.0) > 0
    ]
    return spread(found)
