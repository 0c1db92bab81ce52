"""An actor: a queue, a reconcile, and a fixed pool of workers that bring each key to its verdict.

Invariants: whatever a reconcile does, its key is given back, its end is counted once, told at most
once (by its `chronicle`), and no other key is harmed; a worker ends only when the queue is closed
or the pool is cancelled, never for an error.

What becomes of a key:

    Verdict()              forgotten until something adds it
    Verdict(after=t)       again in t seconds
    Retryable              again after its backoff; Throttled: not before `retry_after`
    Terminal, Gone, ...    again after the longest backoff: only a change will help, and wakes it
    deadline passed        as Unavailable: nobody knows what was done
    any other exception    a defect: logged with its kind and place, again after its backoff
"""

import asyncio
import dataclasses
import logging
import secrets
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel
import structlog

from snapshotd import errors
from snapshotd.runtime import chronicle, failures, turns, workqueue
from snapshotd.telemetry import handles, tracing
from snapshotd.telemetry import metrics as meters

K = TypeVar("K", bound=Hashable)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """A reconcile that went well: look again `after` seconds, None for not before a change."""

    after: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Settlement:
    """What an error counts as, and how loudly it is told."""

    result: handles.Result
    level: int


_SETTLEMENTS: Final[dict[type, _Settlement]] = {
    errors.Conflict: _Settlement("conflict", logging.DEBUG),  # two of us met: looking again helps
    errors.Throttled: _Settlement("throttled", logging.INFO),
    errors.Unavailable: _Settlement("unavailable", logging.WARNING),
    errors.Unsuccessful: _Settlement("unsuccessful", logging.INFO),  # stands on the object already
    errors.Retryable: _Settlement("retryable", logging.WARNING),
    errors.Gone: _Settlement("gone", logging.INFO),
    errors.SnapshotdError: _Settlement("terminal", logging.ERROR),
}

_STUCK_AFTER: Final = (
    2.0  # deadlines: cancellation asked for once, and not obeyed for as long again
)


class Actor(Generic[K]):
    """Runs `reconcile` for the keys of `queue`, `workers` at a time, `deadline` seconds each.

    `run` fits `supervisor.Part`; so does `stop`, which lets the workers finish what is in hand.
    """

    def __init__(
        self,
        name: str,
        queue: workqueue.WorkQueue[K],
        *,
        reconcile: Callable[[K], Awaitable[Verdict]],
        workers: int,
        deadline: float,
        metrics: meters.Metrics,
    ) -> None:
        """Prepare; nothing runs before `run`."""
        self.name = name
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._deadline = deadline
        self._meter = metrics.actor(name)
        self.chronicle: chronicle.Chronicle[K] = chronicle.Chronicle(queue.clock)

    async def run(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Work until `stop`; return when nothing is in hand any more."""
        async with anyio.create_task_group() as pool:
            for number in range(self._workers):
                pool.start_soon(self._work, name=f"{self.name}-{number}")
            task_status.started()

    def stop(self) -> None:
        """Take no more keys; what is in hand is finished, within its deadline."""
        self._queue.close()

    def stuck(self) -> str | None:
        """Tell of a reconcile that outlives its deadline, None if there is none: a health check."""
        longest = self._queue.longest_in_hand()
        if longest <= _STUCK_AFTER * self._deadline:
            return None
        return f"a reconcile runs for {longest:.0f} s, its deadline is {self._deadline:g} s"

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            reconcile_id = secrets.token_hex(4)
            with (
                structlog.contextvars.bound_contextvars(
                    actor=self.name, key=str(key), reconcile_id=reconcile_id
                ),
                tracing.span("reconcile") as span,
            ):
                await self._handle(key, reconcile_id, span)

    async def _handle(self, key: K, reconcile_id: str, span: tracing.Span) -> None:
        notes = self.chronicle.begin()
        try:
            end = await self._attempt(key)
        finally:
            seconds = self._queue.done(key)
        self._meter.settled(end.result, seconds, reconcile_id=reconcile_id)
        self.chronicle.tell(key, notes, end, seconds)
        if span.on:
            span.set("snapshotd.actor", self.name)
            span.set("snapshotd.key", str(key))
            span.set("snapshotd.reconcile_id", reconcile_id)
            span.set("snapshotd.result", end.result)
            if end.error:
                span.failed(end.error)

    async def _attempt(self, key: K) -> chronicle.End:
        """Reconcile once and settle the key, whatever happens but our own cancellation."""
        try:
            with anyio.move_on_after(self._deadline):
                verdict = await self._guarded(key)
                return self._succeed(key, verdict)
        except Exception as error:  # noqa: BLE001 - one key's failure must not harm the others
            problem = failures.told(error)
            if isinstance(problem, errors.SnapshotdError):
                return self._fail(key, problem)
            return self._crash(key, error)
        late = errors.Unavailable(f"no end within the deadline of {self._deadline:g} s")
        return self._fail(key, late)

    async def _guarded(self, key: K) -> Verdict:
        """Reconcile, and know our cancellation from a stray one.

        A library may raise a CancelledError of its own (grpc.aio does). With no cancellation asked
        for it is a defect of the call; left alone it would end the worker without a word. With one
        asked for it must become anyio's again, or the scope would not know it.
        """
        try:
            return await self._reconcile(key)
        except asyncio.CancelledError as stray:
            await anyio.lowlevel.checkpoint_if_cancelled()
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            message = "the reconcile ended with a cancellation that nobody asked for"
            raise RuntimeError(message) from stray

    def _succeed(self, key: K, verdict: Verdict) -> chronicle.End:
        self._queue.forget(key)
        if verdict.after is None:
            return chronicle.End("done")
        self._queue.add(key, verdict.after, priority=turns.Priority.RETRY)
        return chronicle.End("again")

    def _fail(self, key: K, problem: errors.SnapshotdError) -> chronicle.End:
        settlement = next(_SETTLEMENTS[c] for c in type(problem).__mro__ if c in _SETTLEMENTS)
        at_least = 0.0 if isinstance(problem, errors.Retryable) else self._queue.backoff.max
        if isinstance(problem, errors.Throttled):
            at_least = problem.retry_after
        delay = self._queue.retry(key, at_least=at_least)
        told = str(problem) or type(problem).__name__
        return chronicle.End(settlement.result, settlement.level, told, delay)

    def _crash(self, key: K, defect: Exception) -> chronicle.End:
        delay = self._queue.retry(key)
        told = f"{type(defect).__name__}: {defect}"
        return chronicle.End("crashed", logging.ERROR, told, delay, defect)
