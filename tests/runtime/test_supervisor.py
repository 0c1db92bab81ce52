import os
import signal

import anyio
import anyio.abc
import pytest
import structlog

from snapshotd import errors
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import supervisor as supervisors

Status = anyio.abc.TaskStatus[None]


class Stage:
    """Makes parts that note what happens to them."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def part(
        self,
        name: str,
        *,
        ready_after: float = 0,
        ends_after: float = float("inf"),
        error: Exception | None = None,
        lingers: float = 0,
    ) -> supervisors.Part:
        async def run(status: Status) -> None:
            self.notes.append(f"+{name}")
            try:
                await anyio.sleep(ready_after)
                status.started()
                await anyio.sleep(ends_after)
                if error is not None:
                    raise error
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(lingers)
                self.notes.append(f"-{name}")

        return supervisors.Part(name, run)

    def polite(self, name: str, *, takes: float) -> supervisors.Part:
        asked = anyio.Event()

        async def run(status: Status) -> None:
            status.started()
            await asked.wait()
            await anyio.sleep(takes)
            self.notes.append(f"-{name}")

        return supervisors.Part(name, run, stop=asked.set)

    def killer(self, *signals: signal.Signals) -> supervisors.Part:
        async def run(status: Status) -> None:
            status.started()
            await anyio.sleep(1)
            for number in signals:
                os.kill(os.getpid(), number)
            await anyio.sleep_forever()

        return supervisors.Part("killer", run)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def ended(*parts: supervisors.Part, grace: float = 25.0) -> supervisors.Ending:
    return await supervisors.Supervisor(parts, grace=grace).run()


async def test_parts_start_in_order_and_stop_in_reverse(stage: Stage) -> None:
    parts = (stage.part("a", ready_after=5), stage.part("b", lingers=3), stage.part("c"))
    supervisor = supervisors.Supervisor(parts)
    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.run)
        await anyio.sleep(4)
        assert stage.notes == ["+a"]
        await anyio.sleep(4)
        supervisor.stop()
        supervisor.stop()

    assert stage.notes == ["+a", "+b", "+c", "-c", "-b", "-a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_in_order_and_is_no_failure(
    stage: Stage, number: signal.Signals
) -> None:
    ending = await ended(stage.polite("a", takes=5), stage.killer(number))

    assert ending == supervisors.Ending(0, None)
    assert stage.notes == ["-a"]


async def test_after_the_first_signal_the_second_would_end_the_process_at_once(
    stage: Stage,
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    during: list[object] = []

    async def run(status: Status) -> None:
        status.started()
        try:
            await anyio.sleep_forever()
        finally:
            during.extend(signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM))

    await ended(supervisors.Part("a", run), stage.killer(signal.SIGTERM))

    assert during == [signal.SIG_DFL, signal.SIG_DFL]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_signal_ends_a_start_that_does_not_come(stage: Stage) -> None:
    async def never_ready(_status: Status) -> None:
        await anyio.sleep_forever()

    waits = supervisors.Part("waits", never_ready)

    ending = await ended(stage.killer(signal.SIGTERM), waits, stage.part("never started"))

    assert ending.code == 0
    assert stage.notes == []


async def test_a_failing_part_ends_the_process_in_order_with_its_message(stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        ending = await ended(
            stage.part("a"),
            stage.part("b", ends_after=1, error=errors.Refused("the lease was lost")),
            stage.polite("c", takes=2),
        )

    assert ending == supervisors.Ending(1, "b: the lease was lost")
    assert stage.notes == ["+a", "+b", "-b", "-c", "-a"]
    assert {"event": "part_failed", "part": "b", "error": "the lease was lost"}.items() <= lines[
        -1
    ].items()


async def test_a_part_that_fails_to_start_keeps_the_later_ones_from_starting(
    stage: Stage,
) -> None:
    async def run(_status: Status) -> None:
        await anyio.lowlevel.checkpoint()
        raise errors.Misconfigured("the port is in use")

    ending = await ended(supervisors.Part("endpoint", run), stage.part("later"))

    assert ending == supervisors.Ending(2, "endpoint: the port is in use")
    assert stage.notes == []


async def test_a_crash_is_told_in_one_sentence(stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        ending = await ended(stage.part("a", ends_after=1, error=LookupError("a defect")))

    assert ending == supervisors.Ending(1, "a crashed: LookupError: a defect")
    assert isinstance(lines[-1]["exc_info"], LookupError)


async def test_the_error_inside_a_parts_own_task_group_is_the_one_told() -> None:
    async def run(_status: Status) -> None:
        async def child() -> None:
            await anyio.lowlevel.checkpoint()
            raise errors.Unavailable("no answer")

        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(anyio.sleep_forever)
            inner.start_soon(child)

    assert await ended(supervisors.Part("a", run)) == supervisors.Ending(1, "a: no answer")


async def test_the_first_failure_is_the_one_told(stage: Stage) -> None:
    async def bad_farewell(status: Status) -> None:
        status.started()
        try:
            await anyio.sleep_forever()
        finally:
            raise errors.Unavailable("and then this")

    ending = await ended(
        supervisors.Part("a", bad_farewell),
        stage.part("b", ends_after=1, error=errors.Invalid("first this")),
    )

    assert ending.message == "b: first this"


async def test_a_part_that_returns_unasked_has_failed(stage: Stage) -> None:
    ending = await ended(stage.part("a", ends_after=1))

    assert ending == supervisors.Ending(1, "a: it ended by itself")


async def test_a_part_that_may_end_ends_the_process_well(stage: Stage) -> None:
    async def demo(status: Status) -> None:
        status.started()
        await anyio.sleep(3)

    ending = await ended(stage.part("a"), supervisors.Part("demo", demo, may_end=True))

    assert ending == supervisors.Ending(0, None)
    assert stage.notes == ["+a", "-a"]


async def test_the_grace_bounds_the_drain_of_all_parts(stage: Stage, clock: clocks.Clock) -> None:
    with structlog.testing.capture_logs() as lines:
        ending = await ended(
            stage.part("a"),
            stage.polite("slow", takes=1000),
            stage.polite("quick", takes=4),
            stage.killer(signal.SIGTERM),
            grace=10,
        )

    assert ending.code == 0
    assert stage.notes == ["+a", "-quick", "-a"]
    assert clock.monotonic() == pytest.approx(11)
    assert [line for line in lines if line["event"] == "grace_exceeded"] == [
        {"event": "grace_exceeded", "log_level": "warning", "parts": ["a", "slow"], "grace": 10}
    ]


async def test_a_part_that_cannot_be_asked_is_cancelled(stage: Stage) -> None:
    def broken() -> None:
        message = "a defect"
        raise LookupError(message)

    part = stage.part("a")

    with structlog.testing.capture_logs() as lines:
        ending = await ended(
            supervisors.Part("a", part.run, stop=broken), stage.killer(signal.SIGTERM)
        )

    assert ending.code == 0
    assert stage.notes == ["+a", "-a"]
    assert "part_stop_failed" in [line["event"] for line in lines]
