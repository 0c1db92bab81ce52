"""What a reconcile did is one line; what repeats is told less and less; what waits is known."""

from typing import Any

import anyio
import pytest
import structlog
import traced
import virtual_time

from snapshotd import errors
from snapshotd.runtime import actor as actors
from snapshotd.runtime import chronicle as chronicles
from snapshotd.runtime import workqueue
from snapshotd.telemetry import metrics


class Bench:
    """An actor with one worker, whose reconciles do what they are told to."""

    def __init__(self, clock: virtual_time.VirtualClock, meters: metrics.Metrics) -> None:
        backoff = workqueue.BackoffSettings(start=1.0, max=8.0)
        self.queue: workqueue.WorkQueue[str] = workqueue.WorkQueue(
            "q", clock, backoff=backoff, metrics=meters, jitter=lambda delay: delay
        )
        self.actor = actors.Actor(
            "a", self.queue, reconcile=self.reconcile, workers=1, deadline=10, metrics=meters
        )
        self.did: list[tuple[str, bool]] = []
        self.why = ""
        self.problem: Exception | None = None
        self.takes = 0.0

    async def reconcile(self, _key: str) -> actors.Verdict:
        await anyio.sleep(self.takes)
        for deed, changed in self.did:
            chronicles.note(deed, changed=changed)
        chronicles.because(self.why)
        if self.problem is not None:
            raise self.problem
        return actors.Verdict()

    async def work(self, *keys: str, seconds: float = 0.5) -> list[Any]:
        """Work on these keys for some time; return the lines."""
        for key in keys:
            self.queue.add(key)
        with structlog.testing.capture_logs() as lines, anyio.move_on_after(seconds):
            await self.actor.run()
        return lines


@pytest.fixture
def bench(clock: virtual_time.VirtualClock, meters: metrics.Metrics) -> Bench:
    return Bench(clock, meters)


async def test_a_reconcile_that_changed_something_is_one_line_with_all_it_did(
    bench: Bench,
) -> None:
    bench.did = [("CreateSnapshot: ready", False), ("PublishStatus k", True)]
    bench.takes = 0.25

    assert await bench.work("k") == [
        {
            "event": "reconciled",
            "log_level": "info",
            "result": "done",
            "did": ["CreateSnapshot: ready", "PublishStatus k"],
            "seconds": 0.25,
        }
    ]


@pytest.mark.parametrize(("did", "why"), [([("CheckSnapshot: not ready", False)], ""), ([], "x")])
async def test_nothing_is_told_at_info_where_nothing_changed(
    bench: Bench, did: list[tuple[str, bool]], why: str
) -> None:
    bench.did, bench.why = did, why

    assert [line["log_level"] for line in await bench.work("k")] == ["debug"]


async def test_nothing_at_all_is_told_of_a_look_that_found_nothing(bench: Bench) -> None:
    assert await bench.work("k") == []


async def test_a_reconcile_does_not_tell_what_the_one_before_did(bench: Bench) -> None:
    bench.did = [("PublishStatus", True)]
    await bench.work("j")
    bench.did = []

    assert await bench.work("k") == []


async def test_a_failure_that_repeats_is_told_at_growing_intervals_with_its_count(
    bench: Bench,
) -> None:
    bench.problem = errors.Unavailable("no answer")

    lines = await bench.work("k", seconds=100)

    told = [line.get("times", 1) for line in lines if line["log_level"] == "warning"]
    assert told == [1, 2, 4, 8]
    kept = [line["times"] for line in lines if line["log_level"] == "debug"]
    assert kept == [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]


async def test_numbers_and_ids_alone_make_no_other_failure(bench: Bench) -> None:
    bench.problem = errors.Unavailable("request 17 of 0f3a0b52-90ab-4cde-8f01-23456789abcd")
    await bench.work("k")
    bench.problem = errors.Unavailable("request 18 of 1e3a0b52-90ab-4cde-8f01-23456789abcd")

    assert [line["times"] for line in await bench.work("k")] == [2]


async def test_another_failure_is_told_at_once_and_counted_anew(bench: Bench) -> None:
    bench.problem = errors.Unavailable("no answer")
    await bench.work("k", seconds=4)
    bench.problem = errors.Unavailable("another")

    line = (await bench.work("k"))[0]
    assert (line["log_level"], line.get("times")) == ("warning", None)


async def test_a_success_in_between_has_a_failure_told_again(bench: Bench) -> None:
    bench.problem = errors.Unavailable("no answer")
    await bench.work("k", seconds=4)
    bench.problem = None
    await bench.work("k")
    bench.problem = errors.Unavailable("no answer")

    assert [line.get("times") for line in await bench.work("k")] == [None]


async def test_a_failure_after_a_change_is_told_with_what_was_done(bench: Bench) -> None:
    bench.did = [("PrepareSnapshot", True)]
    bench.problem = errors.Unavailable("no answer")

    lines = await bench.work("k", seconds=4)

    assert [line["did"] for line in lines] == [["PrepareSnapshot"]] * 3
    assert {line["log_level"] for line in lines} == {"warning"}


async def test_what_waits_is_known_with_its_reason_and_since_when(bench: Bench) -> None:
    bench.why = "waits for its claim"
    await bench.work("j", seconds=10)
    await bench.work("k", seconds=10)
    bench.why = "waits for its volume"
    await bench.work("j", seconds=10)

    assert bench.actor.chronicle.waits() == 2
    waits = bench.actor.chronicle.longest_waits(10)
    assert [(each.key, round(each.seconds), each.why) for each in waits] == [
        ("j", 30, "waits for its volume"),
        ("k", 20, "waits for its claim"),
    ]
    assert [each.key for each in bench.actor.chronicle.longest_waits(1)] == ["j"]


async def test_a_key_that_fails_waits_and_one_that_is_done_waits_no_more(bench: Bench) -> None:
    bench.problem = errors.Unavailable("no answer")
    await bench.work("k")
    waits = bench.actor.chronicle.longest_waits(10)
    assert [(each.key, each.why) for each in waits] == [("k", "no answer")]
    bench.problem = None
    await bench.work("k")

    assert bench.actor.chronicle.waits() == 0


async def test_the_last_failures_are_kept_newest_first_and_repeats_are_one(bench: Bench) -> None:
    bench.problem = errors.Refused("not allowed")
    await bench.work("j", "k")
    bench.problem = LookupError("x" * 1000)
    await bench.work("j")

    lately = list(bench.actor.chronicle.lately())
    assert [(each.key, each.result, each.times) for each in lately] == [
        ("j", "crashed", 1),
        ("k", "terminal", 1),
        ("j", "terminal", 1),
    ]
    assert lately[0].error.startswith("LookupError: xxx")
    assert len(lately[0].error) < 600
    assert len(lately[0].reconcile_id) == 8


async def test_the_memory_of_failures_is_bounded(bench: Bench) -> None:
    bench.problem = errors.Refused("not allowed")
    await bench.work(*(f"k{number}" for number in range(80)))

    lately = list(bench.actor.chronicle.lately())
    assert len(lately) == 50
    assert lately[0].key == "k79"


async def test_conflicts_are_no_failures_to_remember(bench: Bench) -> None:
    bench.problem = errors.Conflict("changed meanwhile")
    await bench.work("k")

    assert list(bench.actor.chronicle.lately()) == []


def test_outside_of_a_reconcile_there_is_nothing_to_note() -> None:
    chronicles.note("x", changed=True)
    chronicles.because("y")


async def test_a_reconcile_is_a_span_with_its_key_and_its_end(bench: Bench) -> None:
    with traced.memory() as kept:
        await bench.work("j")
        bench.problem = errors.Unavailable("no answer")
        await bench.work("k")

    good, bad = kept.get_finished_spans()
    assert good.attributes
    assert (good.name, good.attributes["snapshotd.key"]) == ("reconcile", "j")
    assert (good.attributes["snapshotd.result"], good.status.status_code.name) == ("done", "UNSET")
    assert (bad.status.status_code.name, bad.status.description) == ("ERROR", "no answer")
