"""Work on directories that goes on to its end, whoever has gone meanwhile.

gRPC cancels a call's task when its caller leaves, and no thread can be cancelled. The invariant: a
thing stays busy until the work on it has truly ended and been taken note of, so that the same name
asked for again is ABORTED or found, and never made twice.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.abc
import anyio.to_thread
import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")


class Busy(Exception):
    """Something is at work on this thing: the caller may ask again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """Blocking work for a thread, and `keep`, which takes note of its result in the loop.

    `changes` names what nobody else may touch meanwhile; `reads` what others may read but not
    change.
    """

    changes: tuple[str, ...]
    work: Callable[[], T]
    keep: Callable[[T], None]
    reads: tuple[str, ...] = ()


class _Ticket(Generic[T]):
    """Where the caller, if it is still there, finds how its job ended."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.results: list[T] = []
        self.error: Exception | None = None
        self.awaited = True


class Workshop:
    """All work of one driver; `group` is its life."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        """Work in this task group."""
        self._group = group
        self._changed: set[str] = set()
        self._read: collections.Counter[str] = collections.Counter()

    async def do(self, job: Job[T]) -> T:
        """Do a job; raises `Busy`, or what the work raised. Cancelling it leaves the job to end."""
        for thing in (*job.changes, *job.reads):
            if thing in self._changed or (thing in job.changes and self._read[thing]):
                raise Busy(thing)
        self._changed.update(job.changes)
        self._read.update(job.reads)
        ticket = _Ticket[T]()
        self._group.start_soon(self._finish, job, ticket)
        try:
            await ticket.ended.wait()
        finally:
            ticket.awaited = False
        if ticket.error is not None:
            raise ticket.error
        return ticket.results[0]

    async def _finish(self, job: Job[T], ticket: _Ticket[T]) -> None:
        try:
            with anyio.CancelScope(shield=True):  # half a copy helps nobody
                result = await anyio.to_thread.run_sync(job.work)
            job.keep(result)
            ticket.results.append(result)
        except Exception as error:  # noqa: BLE001 - the caller's to judge
            ticket.error = error
            if not ticket.awaited:
                log.warning("work_failed_unseen", of=job.changes[0], error=str(error))
        finally:
            self._changed.difference_update(job.changes)
            self._read.subtract(job.reads)
            ticket.ended.set()
