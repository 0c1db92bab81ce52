"""What a watched object costs the cache and its indexes, and who is woken by it."""

import itertools

import pytest
from pytest_benchmark import fixture

from benchmarks.micro import material
from snapshotd.decide import indexes, routing
from snapshotd.model import keys, wire


@pytest.mark.parametrize("size", material.SIZES)
def test_update_of_an_object(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    cache = material.cache(size)
    versions = itertools.count(10_000_000)
    obj = material.snapshot(size // 2)
    benchmark(lambda: cache.put(material.newer(obj, next(versions))))
    assert cache.count(keys.Kind.VOLUME_SNAPSHOT) == size


@pytest.mark.parametrize("size", material.SIZES)
def test_update_that_moves_an_index_value(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    cache = material.cache(size)
    versions = itertools.count(10_000_000)
    both = itertools.cycle(
        [material.snapshot(size // 2), material.snapshot(size // 2, ready=False)]
    )
    benchmark(lambda: cache.put(material.newer(next(both), next(versions))))


@pytest.mark.parametrize("size", material.SIZES)
def test_look_into_an_index(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    cache = material.cache(size)
    wanted = material.content(size // 2).metadata.name
    found = benchmark(lambda: cache.by_index(indexes.SNAPSHOTS_BY_CONTENT, wanted))
    assert len(found) == 1


@pytest.mark.parametrize("size", material.SIZES)
def test_who_is_woken_by_a_content(benchmark: fixture.BenchmarkFixture, size: int) -> None:
    cache = material.cache(size)
    content = material.content(size // 2)
    woken = benchmark(lambda: routing.wakes_in_cluster(None, content, cache))
    assert material.key(size // 2) in woken


def test_decode_of_a_watched_content(benchmark: fixture.BenchmarkFixture) -> None:
    body = wire.encode(material.content(1))
    line = b'{"type":"MODIFIED","object":' + body + b"}"

    def run() -> wire.Object:
        event = wire.decode_event(line)
        return wire.decode(keys.Kind.VOLUME_SNAPSHOT_CONTENT, event.object)

    assert benchmark(run).metadata.name == material.content(1).metadata.name
