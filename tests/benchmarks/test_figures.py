"""What is said of many measurements."""

import math

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import figures


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(1, 101)]
    found = [figures.percentile(values, percent) for percent in (50, 90, 99, 100)]
    assert found == [50.0, 90.0, 99.0, 100.0]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.1, 100))
def test_as_many_as_it_says_are_not_above_a_percentile(values: list[float], share: float) -> None:
    found = figures.percentile(values, share)
    assert found in values
    assert sum(each <= found for each in values) >= len(values) * share / 100 - 1e-6


def test_nothing_measured_is_no_number() -> None:
    assert math.isnan(figures.percentile([], 50))
    assert math.isnan(figures.spread([]).median)


def test_a_spread_leaves_out_what_is_not_known() -> None:
    assert figures.spread([3.0, math.nan, 1.0, 2.0]) == figures.Spread(2.0, 1.0, 3.0)


def test_ratios_compare_neighbours_in_time() -> None:
    ours = [{"x": 2.0}, {"x": 9.0}, {"x": 4.0}]
    theirs = [{"x": 1.0}, {"x": 3.0}, {"x": 4.0}]
    assert figures.ratios(ours, theirs, "x") == figures.Spread(2.0, 1.0, 3.0)


def test_a_ratio_to_nothing_is_none() -> None:
    assert math.isnan(figures.ratios([{"x": 2.0}], [{"x": 0.0}], "x").median)
    assert math.isnan(figures.ratios([{"x": 2.0}], [{}], "x").median)
