"""What is cached is not looked through again."""

import gc
from collections.abc import Iterator

import pytest

from snapshotd.runtime import garbage


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_is_there_is_left_out_of_later_collections() -> None:
    kept = [{"a cached object": number} for number in range(1_000)]
    garbage.keep_what_is_here()
    assert gc.get_freeze_count() > len(kept)
    assert not any(each is kept for each in gc.get_objects())


def test_a_cycle_made_later_is_still_found() -> None:
    garbage.keep_what_is_here()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() > 0
