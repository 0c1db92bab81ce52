"""The shell under virtual time; the algorithm itself is tested in test_workqueue_core.py."""

import asyncio

import anyio
import pytest

from snapshotd.runtime import clock as clocks
from snapshotd.runtime import workqueue
from snapshotd.telemetry import metrics

BACKOFF = workqueue.BackoffSettings(start=1.0, max=8.0)


@pytest.fixture
def queue(clock: clocks.Clock, meters: metrics.Metrics) -> workqueue.WorkQueue[str]:
    return workqueue.WorkQueue(
        "q", clock, backoff=BACKOFF, metrics=meters, jitter=lambda delay: delay
    )


async def test_a_key_added_before_or_after_the_wait_is_served(
    queue: workqueue.WorkQueue[str],
) -> None:
    queue.add("early")
    assert await queue.get() == "early"

    async with anyio.create_task_group() as group:
        group.start_soon(_expect, queue, "late")
        await anyio.wait_all_tasks_blocked()
        queue.add("late")


async def _expect(queue: workqueue.WorkQueue[str], key: str | None) -> None:
    assert await queue.get() == key


async def test_a_delayed_key_comes_at_its_time(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("a", 3600)

    assert len(queue) == 1
    assert await queue.get() == "a"
    assert clock.monotonic() == pytest.approx(3600)


async def test_an_earlier_time_moves_the_timer_of_waiting_workers(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("late", 3600)
    async with anyio.create_task_group() as group:
        group.start_soon(_expect, queue, "soon")
        await anyio.sleep(1)
        queue.add("soon", 10)
    assert clock.monotonic() == pytest.approx(11)

    assert await queue.get() == "late"
    assert clock.monotonic() == pytest.approx(3600)


async def test_a_later_time_leaves_the_timer_alone(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("soon", 10)
    async with anyio.create_task_group() as group:
        group.start_soon(_expect, queue, "soon")
        await anyio.sleep(1)
        queue.add("late", 3600)
    assert clock.monotonic() == pytest.approx(10)


async def test_a_timer_for_a_key_taken_early_wakes_nobody_in_vain(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("a", 10)
    async with anyio.create_task_group() as group:
        group.start_soon(_expect, queue, "a")
        await anyio.sleep(1)
        queue.add("a")
        await anyio.sleep(1)
        queue.done("a")
        group.start_soon(_expect, queue, "b")
        await anyio.sleep(100)
        queue.add("b", 10)
    assert clock.monotonic() == pytest.approx(112)


class CreepingClock:
    """Time passes between any two looks at it."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return self._clock.monotonic() + self._looks * 0.01

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@pytest.mark.parametrize("looks", [0.5, 1.5, 2.5, 3.5])
async def test_a_key_that_falls_due_between_two_looks_at_the_clock_is_served(
    looks: float, clock: clocks.Clock, meters: metrics.Metrics
) -> None:
    creeping = CreepingClock(clock)
    queue = workqueue.WorkQueue[str]("q", creeping, backoff=BACKOFF, metrics=meters)
    with anyio.fail_after(60):
        queue.add("before", looks * 0.01)
        assert await queue.get() == "before"
        async with anyio.create_task_group() as group:
            group.start_soon(_expect, queue, "while waited for")
            await anyio.wait_all_tasks_blocked()
            queue.add("while waited for", looks * 0.01)


async def test_every_waiting_worker_gets_a_key_of_its_own(
    queue: workqueue.WorkQueue[str],
) -> None:
    got: list[str | None] = []

    async def work() -> None:
        got.append(await queue.get())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        for key in ("a", "b", "a", "c"):
            queue.add(key)
    assert sorted(filter(None, got)) == ["a", "b", "c"]


async def test_keys_that_fall_due_together_are_taken_by_several_workers_at_once(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    async def work() -> None:
        await queue.get()
        await anyio.sleep(5)

    async with anyio.create_task_group() as group:
        for key in ("a", "b", "c"):
            queue.add(key, 10)
            group.start_soon(work)
    assert clock.monotonic() == pytest.approx(15)


async def test_a_key_added_in_hand_is_served_again_after_done(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")

    async with anyio.create_task_group() as group:
        group.start_soon(_expect, queue, "a")
        await anyio.sleep(5)
        assert queue.longest_in_hand() == pytest.approx(5)
        assert queue.done("a") == pytest.approx(5)
    assert clock.monotonic() == pytest.approx(5)


async def test_a_worker_cancelled_as_it_is_woken_passes_the_key_on(
    queue: workqueue.WorkQueue[str],
) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await anyio.wait_all_tasks_blocked()

    queue.add("a")
    first.cancel()  # a scope would wait until the worker has its key; asyncio's own does not

    assert await second == "a"
    assert first.cancelled()


async def test_a_worker_cancelled_before_it_is_woken_takes_nothing(
    queue: workqueue.WorkQueue[str],
) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await anyio.wait_all_tasks_blocked()

    first.cancel()
    queue.add("a")

    assert await second == "a"
    assert first.cancelled()


async def test_a_cancelled_wait_leaves_no_waiter(queue: workqueue.WorkQueue[str]) -> None:
    with anyio.move_on_after(1):
        await queue.get()

    queue.add("a")
    assert await queue.get() == "a"


async def test_close_ends_every_wait_and_hands_out_nothing_more(
    queue: workqueue.WorkQueue[str],
) -> None:
    queue.add("delayed", 10)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(_expect, queue, None)
        await anyio.wait_all_tasks_blocked()
        queue.close()

    queue.add("still accepted")
    assert await queue.get() is None
    assert len(queue) == 2


async def test_a_row_of_due_keys_does_not_starve_the_loop(
    queue: workqueue.WorkQueue[str],
) -> None:
    for number in range(100):
        queue.add(str(number))
    turns: list[str] = []

    async def work() -> None:
        while len(queue):
            await queue.get()
            turns.append("worker")

    async def other() -> None:
        for _ in range(50):
            turns.append("other")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        group.start_soon(other)
    assert turns.index("worker") < 3
    assert turns[:60].count("other") > 20


async def test_a_key_is_in_the_queue_until_it_is_done_and_not_wanted_again(
    queue: workqueue.WorkQueue[str],
) -> None:
    assert "a" not in queue
    queue.add("a")
    assert "a" in queue
    await queue.get()
    assert "a" in queue
    queue.done("a")
    assert "a" not in queue
    queue.retry("a")
    assert "a" in queue
    assert "b" not in queue


async def test_retries_wait_longer_each_time_until_forgotten(
    queue: workqueue.WorkQueue[str],
) -> None:
    assert [queue.retry("a") for _ in range(5)] == [1, 2, 4, 8, 8]
    assert queue.retry("b", at_least=5) == 5
    queue.forget("a")
    queue.forget("never failed")
    assert queue.retry("a") == 1


async def test_metrics_tell_what_the_queue_does(
    queue: workqueue.WorkQueue[str], meters: metrics.Metrics
) -> None:
    def value(metric: str) -> float | None:
        return meters.registry.get_sample_value(f"workqueue_{metric}", {"name": "q"})

    queue.add("a")
    queue.add("a")
    queue.add("b")
    await anyio.sleep(2)
    await queue.get()
    await anyio.sleep(3)
    assert (value("adds_total"), value("depth")) == (2, 1)
    assert value("unfinished_work_seconds") == pytest.approx(3)
    assert value("longest_running_processor_seconds") == pytest.approx(3)

    queue.retry("a")
    queue.done("a")
    assert value("retries_total") == 1
    assert value("queue_duration_seconds_sum") == pytest.approx(2)
    assert value("work_duration_seconds_sum") == pytest.approx(3)
    assert value("unfinished_work_seconds") == 0


async def test_a_look_tells_how_long_keys_wait_by_the_queues_own_clock(
    queue: workqueue.WorkQueue[str], clock: clocks.Clock
) -> None:
    queue.add("k")
    await clock.sleep(7.0)

    look = queue.look(5)
    assert [(each.key, each.where, each.seconds) for each in look.oldest] == [("k", "due", 7.0)]
