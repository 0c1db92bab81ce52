import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, get_args

import anyio
import pytest
import structlog

from snapshotd import errors
from snapshotd.runtime import actor as actors
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import workqueue
from snapshotd.telemetry import handles, metrics

Reconcile = Callable[[str], Coroutine[Any, Any, actors.Verdict]]


class Bench:
    """An actor with two workers and a deadline of 10 s, and what can be seen of it."""

    def __init__(self, clock: clocks.Clock, meters: metrics.Metrics) -> None:
        self.clock = clock
        self.meters = meters
        self.backoff = workqueue.BackoffSettings(start=1.0, max=300.0)
        self.queue: workqueue.WorkQueue[str] = workqueue.WorkQueue(
            "q", clock, backoff=self.backoff, metrics=meters, jitter=lambda delay: delay
        )
        self.times: list[tuple[str, float]] = []

    def actor(self, reconcile: Reconcile) -> actors.Actor[str]:
        async def noted(key: str) -> actors.Verdict:
            self.times.append((key, round(self.clock.monotonic(), 3)))
            return await reconcile(key)

        return actors.Actor(
            "a", self.queue, reconcile=noted, workers=2, deadline=10, metrics=self.meters
        )

    async def work(self, reconcile: Reconcile, *, seconds: float) -> None:
        """Work on what was added for some time, then stop and wait for what is in hand."""
        actor = self.actor(reconcile)
        async with anyio.create_task_group() as group:
            await group.start(actor.run)
            await anyio.sleep(seconds)
            actor.stop()

    def results(self) -> dict[str, int]:
        return {
            result: int(count)
            for result in get_args(handles.Result)
            if (
                count := self.meters.registry.get_sample_value(
                    "snapshotd_reconciles_total", {"actor": "a", "result": result}
                )
            )
        }


@pytest.fixture
def bench(clock: clocks.Clock, meters: metrics.Metrics) -> Bench:
    return Bench(clock, meters)


def raising(error: BaseException) -> Reconcile:
    async def reconcile(_key: str) -> actors.Verdict:
        raise error

    return reconcile


async def content(_key: str) -> actors.Verdict:
    return actors.Verdict()


async def test_a_key_that_is_done_is_not_looked_at_again(bench: Bench) -> None:
    bench.queue.add("k")

    await bench.work(content, seconds=3600)

    assert bench.times == [("k", 0)]
    assert bench.results() == {"done": 1}


async def test_a_verdict_may_ask_for_another_look(bench: Bench) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        return actors.Verdict(after=60)

    bench.queue.add("k")

    await bench.work(reconcile, seconds=130)

    assert bench.times == [("k", 0), ("k", 60), ("k", 120)]
    assert bench.results() == {"again": 3}


@pytest.mark.parametrize(
    ("error", "result", "level", "delay"),
    [
        (errors.Conflict("x"), "conflict", "debug", 1),
        (errors.Throttled("x", retry_after=7), "throttled", "info", 7),
        (errors.Throttled("x", retry_after=0.5), "throttled", "info", 1),
        (errors.Unavailable("x"), "unavailable", "warning", 1),
        (errors.Unsuccessful("x"), "unsuccessful", "info", 1),
        (errors.Retryable("x"), "retryable", "warning", 1),
        (errors.Invalid("x"), "terminal", "error", 300),
        (errors.Refused("x"), "terminal", "error", 300),
        (errors.Misconfigured("x"), "terminal", "error", 300),
        (errors.Gone("x"), "gone", "info", 300),
    ],
)
async def test_every_error_has_its_result_its_level_and_its_delay(
    bench: Bench, *, error: Exception, result: str, level: str, delay: float
) -> None:
    bench.queue.add("k")

    with structlog.testing.capture_logs() as lines:
        await bench.work(raising(error), seconds=delay + 0.5)

    assert bench.times == [("k", 0), ("k", delay)]
    assert bench.results() == {result: 2}
    assert lines[0] == {
        "event": "reconcile_failed",
        "log_level": level,
        "result": result,
        "error": "x",
        "retry_in": delay,
    }


async def test_failures_back_off_and_success_forgets_them(bench: Bench) -> None:
    looks = 0

    async def reconcile(_key: str) -> actors.Verdict:
        nonlocal looks
        looks += 1
        if looks == 3:
            return actors.Verdict(after=100)
        raise errors.Unavailable("x")

    bench.queue.add("k")

    await bench.work(reconcile, seconds=105)

    assert [at for _, at in bench.times] == [0, 1, 3, 103, 104]


async def test_a_change_overtakes_the_backoff(bench: Bench) -> None:
    bench.queue.add("k")
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: bench.work(raising(errors.Invalid("x")), seconds=10))
        await anyio.sleep(5)
        bench.queue.add("k")

    assert [at for _, at in bench.times] == [0, 5]


async def test_a_key_does_not_spin_on_the_changes_that_its_failures_write(bench: Bench) -> None:
    async def reconcile(key: str) -> actors.Verdict:
        bench.queue.add(key)
        raise errors.Unsuccessful("x")

    bench.queue.add("k")

    await bench.work(reconcile, seconds=5.5)

    assert [at for _, at in bench.times] == [0, 0, 0, 1, 2, 3, 4, 5]


async def test_a_crash_is_told_counted_and_harms_no_other_key(bench: Bench) -> None:
    async def reconcile(key: str) -> actors.Verdict:
        if key == "bad":
            message = "a defect"
            raise LookupError(message)
        return actors.Verdict()

    for key in ("bad", "good", "better"):
        bench.queue.add(key)

    with structlog.testing.capture_logs() as lines:
        await bench.work(reconcile, seconds=2)

    assert bench.times == [("bad", 0), ("good", 0), ("better", 0), ("bad", 1)]
    assert bench.results() == {"done": 2, "crashed": 2}
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("reconcile_crashed", "error")
    ] * 2
    assert isinstance(lines[0]["exc_info"], LookupError)


async def test_an_error_in_a_task_group_of_the_reconcile_is_settled_as_itself(
    bench: Bench,
) -> None:
    async def reconcile(key: str) -> actors.Verdict:
        async with anyio.create_task_group() as group:
            group.start_soon(raising(errors.Throttled("x", retry_after=7)), key)
            await anyio.sleep_forever()
        return actors.Verdict()

    bench.queue.add("k")

    await bench.work(reconcile, seconds=8)

    assert bench.times == [("k", 0), ("k", 7)]
    assert bench.results() == {"throttled": 2}


async def test_a_reconcile_past_its_deadline_is_ended_and_counts_as_unavailable(
    bench: Bench,
) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        await anyio.sleep(1000)
        return actors.Verdict()

    bench.queue.add("k")

    with structlog.testing.capture_logs() as lines:
        await bench.work(reconcile, seconds=10.5)

    assert bench.times == [("k", 0)]
    assert bench.results() == {"unavailable": 1}
    assert lines[0]["error"] == "no end within the deadline of 10 s"


async def test_a_foreign_cancellation_at_the_deadline_is_known_as_the_deadline(
    bench: Bench,
) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        with contextlib.suppress(asyncio.CancelledError):
            await anyio.sleep(1000)
        raise asyncio.CancelledError  # as grpc.aio does: nothing in it tells of anyio's own

    bench.queue.add("k")
    await bench.work(reconcile, seconds=11.5)

    assert [at for _, at in bench.times] == [0, 11]
    assert bench.results() == {"unavailable": 2}


async def test_a_stray_cancellation_is_a_crash_and_the_worker_lives_on(bench: Bench) -> None:
    bench.queue.add("k")

    with structlog.testing.capture_logs() as lines:
        await bench.work(raising(asyncio.CancelledError()), seconds=3.5)

    assert [at for _, at in bench.times] == [0, 1, 3]
    assert bench.results() == {"crashed": 3}
    assert "nobody asked for" in str(lines[0]["exc_info"])


async def test_no_key_is_ever_in_two_hands(bench: Bench) -> None:
    in_hand: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def reconcile(key: str) -> actors.Verdict:
        in_hand[key] += 1
        most[key] = max(most[key], in_hand[key])
        await anyio.sleep(0.3)
        in_hand[key] -= 1
        return actors.Verdict()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: bench.work(reconcile, seconds=12))
        for turn in range(100):
            bench.queue.add("abc"[turn % 3])
            await anyio.sleep(0.1)

    assert set(most.values()) == {1}
    assert len(bench.times) > 30


async def test_a_change_seen_during_a_reconcile_brings_another(bench: Bench) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        await anyio.sleep(2)
        return actors.Verdict()

    bench.queue.add("k")
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: bench.work(reconcile, seconds=10))
        await anyio.sleep(1)
        bench.queue.add("k")
        bench.queue.add("k")

    assert bench.times == [("k", 0), ("k", 2)]


async def test_stopping_finishes_what_is_in_hand_and_takes_no_more(bench: Bench) -> None:
    finished: list[str] = []

    async def reconcile(key: str) -> actors.Verdict:
        await anyio.sleep(5)
        finished.append(key)
        return actors.Verdict()

    for key in ("a", "b", "c"):
        bench.queue.add(key)

    await bench.work(reconcile, seconds=1)

    assert finished == ["a", "b"]
    assert len(bench.queue) == 1
    assert bench.clock.monotonic() == pytest.approx(5)


async def test_cancelling_the_pool_ends_it_and_counts_nothing(bench: Bench) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        await anyio.sleep(5)
        return actors.Verdict()

    bench.queue.add("k")
    with anyio.move_on_after(1):
        await bench.actor(reconcile).run()

    assert bench.results() == {}
    assert bench.queue.longest_in_hand() == 0


async def test_cancelling_the_task_in_asyncios_own_way_is_obeyed(bench: Bench) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        await anyio.sleep(5)
        return actors.Verdict()

    bench.queue.add("k")
    task = asyncio.create_task(bench.actor(reconcile)._work())
    await anyio.sleep(1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.results() == {}


async def test_a_reconcile_knows_its_key_in_every_log_line(bench: Bench) -> None:
    contexts: list[dict[str, Any]] = []

    async def reconcile(_key: str) -> actors.Verdict:
        contexts.append(structlog.contextvars.get_contextvars())
        return actors.Verdict()

    bench.queue.add("j")
    bench.queue.add("k")

    await bench.work(reconcile, seconds=1)

    assert [(context["actor"], context["key"]) for context in contexts] == [("a", "j"), ("a", "k")]
    assert len({context["reconcile_id"] for context in contexts}) == 2
    assert structlog.contextvars.get_contextvars() == {}


async def test_an_actor_that_ignores_its_deadline_is_known_as_stuck(bench: Bench) -> None:
    async def reconcile(_key: str) -> actors.Verdict:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(30)
        return actors.Verdict()

    bench.queue.add("k")
    actor = bench.actor(reconcile)
    async with anyio.create_task_group() as group:
        await group.start(actor.run)
        await anyio.sleep(19)
        assert actor.stuck() is None
        await anyio.sleep(2)
        assert actor.stuck() == "a reconcile runs for 21 s, its deadline is 10 s"
        actor.stop()

    assert actor.stuck() is None


def test_every_error_of_the_tree_has_a_settlement() -> None:
    def below(error: type[Exception]) -> list[type[Exception]]:
        return [error, *(deeper for child in error.__subclasses__() for deeper in below(child))]

    for error in below(errors.SnapshotdError):
        assert set(error.__mro__) & set(actors._SETTLEMENTS)
    assert {s.level for s in actors._SETTLEMENTS.values()} <= {
        logging.DEBUG,
        logging.INFO,
        logging.WARNING,
        logging.ERROR,
    }
