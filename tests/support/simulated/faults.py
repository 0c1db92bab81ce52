"""What may happen to a call to the driver, and the words in which the driver answers it."""

import enum
from collections.abc import Callable, Collection

import anyio.lowlevel

from simulated import gates
from snapshotd.decide import intents, outcomes


class DriverFault(enum.Enum):
    """What happens to one call."""

    NONE = enum.auto()
    REFUSED = enum.auto()
    UNAUTHENTICATED = enum.auto()
    INTERNAL = enum.auto()
    INTERNAL_AFTER = enum.auto()
    BUSY = enum.auto()
    LOST_BEFORE = enum.auto()
    LOST_AFTER = enum.auto()
    SLOW = enum.auto()
    CRASH_AFTER = enum.auto()


_EARLY = {
    DriverFault.REFUSED: outcomes.Code.INVALID_ARGUMENT,
    DriverFault.UNAUTHENTICATED: outcomes.Code.UNAUTHENTICATED,
    DriverFault.INTERNAL: outcomes.Code.INTERNAL,
    DriverFault.BUSY: outcomes.Code.ABORTED,
    DriverFault.LOST_BEFORE: outcomes.Code.UNAVAILABLE,
}
# Once a snapshot exists these would be lies, or, for one that an INTERNAL left behind, what is
# accepted: a driver that only ever fails, proving nothing, is asked once more, not for ever.
_UNTRUE = {DriverFault.REFUSED}
_ACCEPTED = {DriverFault.REFUSED, DriverFault.INTERNAL, DriverFault.UNAUTHENTICATED}

Cut = intents.CreateSnapshot | intents.CreateGroupSnapshot


class Calls:
    """What becomes of calls, whatever they are about."""

    def __init__(self) -> None:
        self.doubted: set[str] = set()  # names cut by a call that was answered with INTERNAL
        self.asked: set[str] = set()  # all names so far

    async def cut(
        self, call: Cut, existing: Collection[str], make: Callable[[], None]
    ) -> outcomes.Refusal | None:
        """Do what a call that cuts does; return what is answered instead of what was made."""
        fault = await self._fault(call)
        first = call.name not in self.asked
        self.asked.add(call.name)
        untrue = _ACCEPTED if call.name in self.doubted else _UNTRUE
        if fault in _EARLY and not (fault in untrue and call.name in existing):
            return outcomes.Refusal(_EARLY[fault], "planned")
        if fault is DriverFault.SLOW:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        make()
        if fault is DriverFault.INTERNAL_AFTER and first:
            self.doubted.add(call.name)
            return outcomes.Refusal(outcomes.Code.INTERNAL, "planned")
        if await self._is_lost(fault, call):
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return None

    async def delete(
        self, call: intents.Call, remove: Callable[[], outcomes.Refusal | None]
    ) -> outcomes.Refusal | outcomes.Deleted:
        """Do what a call that deletes does."""
        fault = await self._fault(call)
        if fault is DriverFault.LOST_BEFORE:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        if fault in _EARLY:
            return outcomes.Refusal(outcomes.Code.FAILED_PRECONDITION, "planned")
        refusal = remove()
        if await self._is_lost(fault, call):
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return refusal or outcomes.Deleted()

    async def ask(self, call: intents.Call) -> outcomes.Refusal | None:
        """Return what is answered to a mere question instead of the truth."""
        if await self._fault(call) in {DriverFault.NONE, DriverFault.SLOW}:
            return None
        return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")

    async def _fault(self, call: intents.Call) -> DriverFault:
        fate = await gates.stop(gates.Stop.CALL, call)
        return fate if isinstance(fate, DriverFault) else DriverFault.NONE

    async def _is_lost(self, fault: DriverFault, call: intents.Call) -> bool:
        if fault is DriverFault.CRASH_AFTER:
            raise gates.Crash
        later = await gates.stop(gates.Stop.REPLY, call)
        return DriverFault.LOST_AFTER in {fault, later}
