"""Starts the parts of a process in order, decides what a crash means, drains them on shutdown.

Invariants: a part is started when the ones before it say they are ready, and stopped when the ones
after it have ended; the first failure of any part ends the process, in the same order as a signal
does; nothing is waited for longer than the grace; no traceback reaches the user, who gets one
sentence and an exit code (`Ending`).

A first SIGINT or SIGTERM asks to stop. From then on both have their default action again, so a
second one ends the process at once, even if the event loop is stuck.
"""

import dataclasses
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio
import anyio.abc
import structlog

from snapshotd import errors
from snapshotd.runtime import failures

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One long-running child of the process.

    `run` calls `started()` on its argument when the next part may start, and returns when it was
    asked to stop: through `stop` if there is one, else by cancellation. A `run` that returns
    unasked is a failure, unless `may_end` is set: then its end is the end of the work.
    """

    name: str
    run: Callable[[anyio.abc.TaskStatus[None]], Awaitable[None]]
    stop: Callable[[], None] | None = None
    may_end: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """How the process ended: its exit code, and the sentence to print if it failed.

    0: asked to, or its work is done. 1: a part failed. 2: misconfigured, as told by the message.
    """

    code: int = 0
    message: str | None = None


class _Child:
    """A part that runs, and the TaskStatus it is given."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.scope = anyio.CancelScope()
        self.ready = anyio.Event()
        self.ended = anyio.Event()

    def started(self, value: None = None) -> None:  # noqa: ARG002 - the shape of a TaskStatus
        self.ready.set()

    def ask(self) -> None:
        """Ask the part to stop; one that cannot even be asked is cancelled."""
        if self.part.stop is None:
            self.scope.cancel()
            return
        try:
            self.part.stop()
        except Exception:
            log.exception("part_stop_failed", part=self.part.name)
            self.scope.cancel()


class Supervisor:
    """Runs parts; `grace` is how many seconds they have, all together, to stop."""

    def __init__(self, parts: Sequence[Part], *, grace: float = 25.0) -> None:
        """Prepare; the default grace fits into Kubernetes' 30 s before it kills a pod."""
        self._parts = parts
        self._grace = grace
        self._children: list[_Child] = []
        self._stopping = anyio.Event()
        self._ending = Ending()

    def stop(self) -> None:
        """Ask for an orderly end; asking again changes nothing."""
        self._stopping.set()
        for child in self._children:
            child.ready.set()  # nobody waits for a start any more

    async def run(self) -> Ending:
        """Run all parts until a signal, a failure, or the end of the work."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._obey_signals, name="signals")
                await self._start(group)
                await self._stopping.wait()
                await self._drain()
                group.cancel_scope.cancel()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)  # None: not ours to know
        return self._ending

    async def _obey_signals(self) -> None:
        with anyio.open_signal_receiver(*_SIGNALS) as arrivals:
            async for number in arrivals:
                log.info("stopping", signal=number.name)
                break
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.stop()

    async def _start(self, group: anyio.abc.TaskGroup) -> None:
        """Start each part when the one before is ready; give up when asked to stop.

        A part may take as long as it needs to become ready: it may wait for the cluster.
        """
        for part in self._parts:
            if self._stopping.is_set():
                return
            child = _Child(part)
            self._children.append(child)
            group.start_soon(self._live, child, name=part.name)
            await child.ready.wait()
            log.debug("part_started", part=part.name)

    async def _live(self, child: _Child) -> None:
        try:
            with child.scope:
                await child.part.run(child)
                if not (child.part.may_end or self._stopping.is_set()):
                    self._fail(child.part, errors.Terminal("it ended by itself"))
        except Exception as error:  # noqa: BLE001 - it becomes a sentence and an exit code
            self._fail(child.part, failures.told(error))
        finally:
            child.ended.set()
            self.stop()

    def _fail(self, part: Part, error: Exception) -> None:
        """Tell of a failure, and keep the first: what follows is mostly its consequence."""
        if isinstance(error, errors.SnapshotdError):
            log.error("part_failed", part=part.name, error=str(error))
            code = 2 if isinstance(error, errors.Misconfigured) else 1
            ending = Ending(code, f"{part.name}: {error}")
        else:
            log.error("part_crashed", part=part.name, exc_info=error)
            ending = Ending(1, f"{part.name} crashed: {type(error).__name__}: {error}")
        if self._ending.message is None:
            self._ending = ending

    async def _drain(self) -> None:
        """Stop the parts, last started first, each when the ones after it have ended."""
        with anyio.move_on_after(self._grace) as grace:
            for child in reversed(self._children):
                child.ask()
                await child.ended.wait()
        if grace.cancelled_caught:
            slow = [child.part.name for child in self._children if not child.ended.is_set()]
            log.warning("grace_exceeded", parts=slow, grace=self._grace)
