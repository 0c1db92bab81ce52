"""What a key costs the work queue, among how many others it may be."""

import itertools
from typing import Any

import pytest
from pytest_benchmark import fixture

from benchmarks.micro import material
from snapshotd.model import keys
from snapshotd.runtime import turns, workqueue


def _full(size: int, *, after: float = 0.0) -> workqueue.Core[keys.Key]:
    core: workqueue.Core[keys.Key] = workqueue.Core(workqueue.BackoffSettings())
    for number in range(size):
        place = turns.Place(turns.Priority.BACKLOG, material.namespace(number))
        core.add(material.key(number), 0.0, after=after and after + number, place=place)
    return core


@pytest.mark.parametrize("size", material.SIZES)
def test_add_take_done_among_waiting_keys(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    core = _full(size)
    place = turns.Place(turns.Priority.REQUEST, "somebody")
    wanted = material.key(size + 1)

    def run() -> None:
        core.add(wanted, 1.0, place=place)
        taken = core.take(1.0)
        assert taken is not None
        core.done(taken.key, 1.0)
        if taken.key != wanted:
            core.add(taken.key, 1.0, place=place)

    benchmark(run)
    assert len(core) >= size - 1


@pytest.mark.parametrize("size", material.SIZES)
def test_a_retry_among_delayed_keys(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    core = _full(size, after=1e6)
    wanted = material.key(size + 1)
    now = itertools.count(1)

    def run() -> None:
        at = float(next(now))
        core.add(wanted, at)
        taken = core.take(at)
        assert taken is not None
        core.add(wanted, at, after=core.failed(wanted, at))
        core.done(wanted, at)
        core.forget(wanted)

    measure: Any = benchmark.pedantic  # untyped there
    measure(run, rounds=2_000, iterations=1, warmup_rounds=10)
