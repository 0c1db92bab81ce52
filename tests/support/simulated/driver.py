"""A CSI driver in memory: idempotent by name, with answers that are lost, late or refusals."""

import enum
from collections.abc import Callable

import anyio.lowlevel
import msgspec
import no_groups

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


class Storage(no_groups.NoGroups):
    """A driver that keeps snapshots by name, and remembers every one it ever cut."""

    def __init__(self, may_delete: Callable[[str], bool]) -> None:
        self.by_name: dict[str, outcomes.SnapshotInfo] = {}
        self.given: set[str] = set()  # handles that were there before
        self.cut: dict[str, int] = {}
        self.doubted: set[str] = set()  # names cut by a call that was answered with INTERNAL
        self.asked: set[str] = set()  # all names so far
        self.deleted: set[str] = set()
        self.faults: list[DriverFault] = []  # of the next calls, in order
        self.polls_until_ready = 0
        self._may_delete = may_delete
        self._polls: dict[str, int] = {}

    @property
    def handles(self) -> set[str]:
        """Every snapshot that exists."""
        return self.given | {info.handle for info in self.by_name.values()}

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI CreateSnapshot, idempotent by name."""
        del credentials
        fault = await self._fault(gates.Stop.CALL, call)
        first = call.name not in self.asked
        self.asked.add(call.name)
        untrue = _ACCEPTED if call.name in self.doubted else _UNTRUE
        if fault in _EARLY and not (fault in untrue and call.name in self.by_name):
            return outcomes.Refusal(_EARLY[fault], "planned")
        if fault is DriverFault.SLOW:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        self.make(call)
        if fault is DriverFault.INTERNAL_AFTER and first:
            self.doubted.add(call.name)
            return outcomes.Refusal(outcomes.Code.INTERNAL, "planned")
        if await self._is_lost(fault, call):
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return self._state(self.by_name[call.name])

    def make(self, call: intents.CreateSnapshot) -> None:
        """Cut the snapshot of this name, if it is not there."""
        if call.name not in self.by_name:
            self.cut[call.name] = self.cut.get(call.name, 0) + 1
            handle = f"{call.name}#{self.cut[call.name]}"
            self.by_name[call.name] = outcomes.SnapshotInfo(
                handle, call.source_volume, creation_time=10**18, size=1 << 30
            )

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI DeleteSnapshot, idempotent."""
        del credentials
        assert self._may_delete(call.handle), f"{call.handle} must not be deleted on storage"
        fault = await self._fault(gates.Stop.CALL, call)
        if fault is DriverFault.LOST_BEFORE:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        if fault in _EARLY:
            return outcomes.Refusal(outcomes.Code.FAILED_PRECONDITION, "planned")
        self.remove(call)
        if await self._is_lost(fault, call):
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return outcomes.Deleted()

    def remove(self, call: intents.DeleteSnapshot) -> None:
        """Delete the snapshot of this handle, if it is there."""
        self.deleted |= {call.handle} & self.handles
        self.given.discard(call.handle)
        kept = {name: info for name, info in self.by_name.items() if info.handle != call.handle}
        self.by_name = kept

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots by id."""
        del credentials
        fault = await self._fault(gates.Stop.CALL, call)
        if fault not in {DriverFault.NONE, DriverFault.SLOW}:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        if call.handle in self.given:
            return outcomes.SnapshotInfo(call.handle, creation_time=10**18, size=1, ready=True)
        for info in self.by_name.values():
            if info.handle == call.handle:
                return self._state(info)
        return outcomes.NotListed()

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots of a volume."""
        del credentials
        if await self._fault(gates.Stop.CALL, call) not in {DriverFault.NONE, DriverFault.SLOW}:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        ours = (each for each in self.by_name.values() if each.source_volume == call.source_volume)
        return outcomes.Found(tuple(ours))

    async def _fault(self, stop: gates.Stop, call: intents.Call) -> DriverFault:
        if gates.current() is not None:
            fate = await gates.stop(stop, call)
            return fate if isinstance(fate, DriverFault) else DriverFault.NONE
        return self.faults.pop(0) if self.faults else DriverFault.NONE

    async def _is_lost(self, fault: DriverFault, call: intents.Call) -> bool:
        if fault is DriverFault.CRASH_AFTER:
            raise gates.Crash
        later = await gates.stop(gates.Stop.REPLY, call)
        return DriverFault.LOST_AFTER in {fault, later}

    def _state(self, info: outcomes.SnapshotInfo) -> outcomes.SnapshotInfo:
        polls = self._polls[info.handle] = self._polls.get(info.handle, 0) + 1
        return msgspec.structs.replace(info, ready=polls > self.polls_until_ready)
