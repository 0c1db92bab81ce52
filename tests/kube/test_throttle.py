from collections.abc import Callable

import anyio
import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st

from snapshotd import errors
from snapshotd.kube import throttle

GOOD, BAD, NEUTRAL = throttle.Verdict.GOOD, throttle.Verdict.OVERLOADED, throttle.Verdict.NEUTRAL


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Callable[[], virtual_time.VirtualLoop]]]:
    return "asyncio", {"loop_factory": virtual_time.VirtualLoop}


def shell(start: float = 1, *, most: float = 200) -> throttle.Throttle:
    bounds = throttle.Bounds(start=start, most=most)
    return throttle.Throttle(virtual_time.VirtualClock(), bounds=bounds)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5), st.booleans(), st.sampled_from(throttle.Verdict), st.floats(0, 90)
        )
    )
)
def test_the_limit_is_kept_whatever_happens(
    steps: list[tuple[float, bool, throttle.Verdict, float]],
) -> None:
    """Places stay within their bounds, no more are taken than there are, and none in a pause."""
    bounds = throttle.Bounds(start=4, least=2, most=8)
    limit = throttle.Limit(bounds)
    now = 0.0
    for passed, asks, verdict, pause in steps:
        now += passed
        taken = limit.taken
        if asks:
            admitted = limit.admit(now)
            assert admitted == (now >= limit.paused_until and taken < int(limit.places))
            assert limit.taken == taken + admitted
        elif taken:
            limit.give_back(verdict, now, pause=pause)
            assert limit.taken == taken - 1
        assert bounds.least <= limit.places <= bounds.most
        assert limit.paused_until <= now + bounds.longest_pause


def test_used_places_grow_by_one_a_round() -> None:
    limit = throttle.Limit(throttle.Bounds(start=10))
    for _ in range(10):
        assert limit.admit(0)
    for _ in range(5):  # the upper half: what is under way when the answers come
        limit.give_back(GOOD, 0)
        assert limit.admit(0)

    assert 10.4 < limit.places < 10.6


def test_idle_places_do_not_grow() -> None:
    limit = throttle.Limit(throttle.Bounds(start=10))
    for _ in range(100):
        assert limit.admit(0)
        limit.give_back(GOOD, 0)

    assert limit.places == 10


def rounds(limit: throttle.Limit, number: int, *, seconds: float, at: float) -> None:
    """Use every place, and have good answers that take so long."""
    for _ in range(number):
        while limit.admit(at):
            pass
        while limit.taken:
            limit.give_back(GOOD, at, seconds=seconds)


def test_places_do_not_grow_while_answers_come_slower_than_they_could() -> None:
    limit = throttle.Limit(throttle.Bounds(start=10))
    rounds(limit, 5, seconds=0.02, at=0)
    grown = limit.places
    assert grown > 11
    rounds(limit, 5, seconds=0.2, at=1)  # more at once than the server can work on
    assert limit.places < grown + 0.2
    settled = limit.places
    rounds(limit, 50, seconds=0.2, at=2)
    assert limit.places == settled


def test_a_server_that_is_slower_by_now_is_taken_as_it_is() -> None:
    """What was fast long ago, on another machine behind the name, does not count for ever."""
    limit = throttle.Limit(throttle.Bounds(start=10))
    rounds(limit, 1, seconds=0.02, at=0)
    rounds(limit, 5, seconds=0.2, at=10)
    settled = limit.places
    for at in (40, 80, 120):
        rounds(limit, 5, seconds=0.2, at=at)
    assert limit.places > settled + 1


def test_one_burst_of_refusals_halves_once() -> None:
    limit = throttle.Limit(throttle.Bounds(start=20))
    for _ in range(20):
        assert limit.admit(0)
    for step in range(20):
        limit.give_back(BAD, step / 100)

    assert limit.places == 10
    assert limit.admit(2)
    limit.give_back(BAD, 2)
    assert limit.places == 5


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = throttle.Bucket(rate=10, burst=3)

    assert [bucket.reserve(0, 60) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert bucket.reserve(100, 60) == 0


def test_a_bucket_books_nothing_for_the_impatient() -> None:
    bucket = throttle.Bucket(rate=1, burst=1)
    bucket.reserve(0, 0)

    assert bucket.reserve(0, 0.5) is None
    assert bucket.reserve(0, 1) == 1


async def test_places_are_given_in_the_order_asked_for() -> None:
    gate = shell(1)
    order: list[int] = []

    async def work(number: int) -> None:
        async with gate.place(60):
            order.append(number)
            await anyio.sleep(1)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(work, number)

    assert order == [0, 1, 2, 3, 4]
    assert anyio.current_time() >= 5
    assert gate.waiting == 0


async def test_a_pause_holds_everybody_and_ends_by_itself() -> None:
    gate = shell(5)
    async with gate.place(1) as report:
        report.verdict, report.pause = BAD, 30.0
    begun = anyio.current_time()

    async with gate.place(60):
        assert anyio.current_time() - begun == pytest.approx(30)


async def test_a_pause_that_comes_while_others_wait_ends_for_them_too() -> None:
    gate = shell(1)
    begun = anyio.current_time()
    got: list[float] = []

    async def first() -> None:
        async with gate.place(60) as report:
            await anyio.sleep(1)
            report.pause = 10.0

    async def second() -> None:
        async with gate.place(60):
            got.append(anyio.current_time() - begun)

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)

    assert got == [pytest.approx(11)]


async def test_every_pause_ends() -> None:
    gate = shell(1)
    for _ in range(3):
        async with gate.place(60) as report:
            report.pause = 10.0
    begun = anyio.current_time()

    async with gate.place(60):
        assert anyio.current_time() - begun == pytest.approx(10)


async def test_who_waits_too_long_is_told_so() -> None:
    gate = shell(1)
    async with gate.place(60):
        with pytest.raises(errors.Throttled, match="not sent within 5 s"):
            async with gate.place(5):
                raise AssertionError

    async with gate.place(0):  # the place came back
        pass


async def test_who_is_cancelled_while_waiting_takes_nothing() -> None:
    gate = shell(1)
    async with gate.place(60):
        with anyio.move_on_after(1):
            async with gate.place(60):
                raise AssertionError
        assert gate.waiting == 0

    async with gate.place(0):
        pass


async def test_a_place_given_to_one_who_is_cancelled_goes_to_the_next() -> None:
    gate = shell(1)
    got = anyio.Event()

    async def doomed(scope: anyio.CancelScope) -> None:
        with scope:
            async with gate.place(60):
                raise AssertionError

    async def patient() -> None:
        async with gate.place(60):
            got.set()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        async with gate.place(60):
            group.start_soon(doomed, scope)
            group.start_soon(patient)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()  # and before that is noticed, the place is given
        with anyio.fail_after(5):
            await got.wait()


async def test_a_failure_gives_the_place_back() -> None:
    gate = shell(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with gate.place(0):
                raise ZeroDivisionError


async def test_a_cap_is_waited_for() -> None:
    clock = virtual_time.VirtualClock()
    gate = throttle.Throttle(clock, cap=throttle.Bucket(rate=2, burst=1))
    begun = anyio.current_time()
    for _ in range(3):
        async with gate.place(60):
            pass
    assert anyio.current_time() - begun == pytest.approx(1.0)

    with pytest.raises(errors.Throttled, match="--kube-api-qps"):
        async with gate.place(0.1):
            raise AssertionError


async def test_good_answers_widen_the_gate() -> None:
    gate = shell(2, most=4)
    for _ in range(10):
        async with gate.place(1) as first, gate.place(1) as second:
            first.verdict = second.verdict = GOOD

    assert gate.places == 4
