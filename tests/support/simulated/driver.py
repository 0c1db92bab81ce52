"""A CSI driver in memory: idempotent by name, with answers that are lost, late or refusals.

It keeps single snapshots and groups. A group's members come and go with it: nobody may cut one, or
delete one, by itself.
"""

from typing import Protocol

import msgspec

from simulated import faults
from snapshotd.decide import intents, outcomes

_TIME = 10**18


class Rules(Protocol):
    """What must hold whenever a call comes in."""

    def may_cut(self, name: str) -> bool:
        """Say whether a snapshot of this name may be cut by itself."""

    def may_delete(self, handle: str) -> bool:
        """Say whether the snapshot, or group, of this handle may be deleted now."""


class Storage:
    """A driver that keeps snapshots and groups by name, and remembers every one it ever cut."""

    def __init__(self, rules: Rules) -> None:
        self.calls = faults.Calls()
        self.by_name: dict[str, outcomes.SnapshotInfo] = {}
        self.groups: dict[str, outcomes.GroupInfo] = {}  # by name, or handle if it was given
        self.given: set[str] = set()  # handles that were there before
        self.cut: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.polls_until_ready = 0
        self._rules = rules
        self._polls: dict[str, int] = {}

    @property
    def handles(self) -> set[str]:
        """Every snapshot that exists by itself, and every group."""
        singles = {info.handle for info in self.by_name.values()}
        return self.given | singles | {info.handle for info in self.groups.values()}

    @property
    def members(self) -> dict[str, str]:
        """Every snapshot that exists as part of a group, with the group's handle."""
        every = self.groups.values()
        return {member.handle: each.handle for each in every for member in each.members}

    # Single snapshots

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI CreateSnapshot, idempotent by name."""
        del credentials
        assert self._rules.may_cut(call.name), f"{call.name} must not be cut by itself"
        refusal = await self.calls.cut(call, self.by_name, lambda: self.make(call))
        return refusal or self._state(self.by_name[call.name])

    def make(self, call: intents.CreateSnapshot) -> None:
        """Cut the snapshot of this name, if it is not there."""
        if call.name not in self.by_name:
            self.by_name[call.name] = outcomes.SnapshotInfo(
                self._handle(call.name), call.source_volume, creation_time=_TIME, size=1 << 30
            )

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI DeleteSnapshot, idempotent."""
        del credentials
        assert self._rules.may_delete(call.handle), f"{call.handle} must not be deleted on storage"
        return await self.calls.delete(call, lambda: self.remove(call))

    def remove(self, call: intents.DeleteSnapshot) -> None:
        """Delete the snapshot of this handle, if it is there."""
        self.deleted |= {call.handle} & self.handles
        self.given.discard(call.handle)
        for name in [name for name, info in self.by_name.items() if info.handle == call.handle]:
            del self.by_name[name]

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots by id."""
        del credentials
        if refusal := await self.calls.ask(call):
            return refusal
        group = self.members.get(call.handle, "")
        if group or call.handle in self.given:
            return outcomes.SnapshotInfo(
                call.handle, creation_time=_TIME, size=1, ready=True, group_handle=group
            )
        for info in self.by_name.values():
            if info.handle == call.handle:
                return self._state(info)
        return outcomes.NotListed()

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: object
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots of a volume: members of groups are snapshots there, too."""
        del credentials
        if refusal := await self.calls.ask(call):
            return refusal
        members = [each for group in self.groups.values() for each in group.members]
        every = [*self.by_name.values(), *members]
        return outcomes.Found(
            tuple(each for each in every if each.source_volume == call.source_volume)
        )

    # Groups

    def give_group(self, handle: str, members: tuple[str, ...]) -> None:
        """Have a group be there that somebody took before, by other means."""
        infos = tuple(outcomes.SnapshotInfo(each, f"old-{each}", _TIME) for each in members)
        self.groups[handle] = outcomes.GroupInfo(handle, _TIME, members=infos)

    async def create_group(
        self, call: intents.CreateGroupSnapshot, credentials: object
    ) -> outcomes.GroupAnswer:
        """CSI CreateVolumeGroupSnapshot, idempotent by name."""
        del credentials
        existing = self.groups.get(call.name)
        if existing is not None:
            volumes = {each.source_volume for each in existing.members}
            assert set(call.source_volumes) == volumes, f"another call of the same name: {call}"
        refusal = await self.calls.cut(call, self.groups, lambda: self.make_group(call))
        return refusal or self._state_of_group(self.groups[call.name])

    def make_group(self, call: intents.CreateGroupSnapshot) -> None:
        """Cut the group of this name, if it is not there."""
        if call.name not in self.groups:
            handle = self._handle(call.name)
            members = tuple(
                outcomes.SnapshotInfo(
                    f"{handle}/{each}", each, creation_time=_TIME, size=1 << 30, group_handle=handle
                )
                for each in reversed(call.source_volumes)  # a driver has an order of its own
            )
            self.groups[call.name] = outcomes.GroupInfo(handle, _TIME, members=members)

    async def delete_group(
        self, call: intents.DeleteGroupSnapshot, credentials: object
    ) -> outcomes.GroupAnswer:
        """CSI DeleteVolumeGroupSnapshot, idempotent; the list of members must be the whole one."""
        del credentials
        assert self._rules.may_delete(call.handle), f"{call.handle} must not be deleted on storage"
        return await self.calls.delete(call, lambda: self.remove_group(call))

    def remove_group(self, call: intents.DeleteGroupSnapshot) -> outcomes.Refusal | None:
        """Delete the group of this handle with its members, if it is there."""
        for name, info in list(self.groups.items()):
            if info.handle != call.handle:
                continue
            if not _are_all(info, call.members):
                return outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, "not its snapshot_ids")
            self.deleted |= {info.handle, *call.members}
            del self.groups[name]
        return None

    async def check_group(
        self, call: intents.CheckGroupSnapshot, credentials: object
    ) -> outcomes.GroupAnswer:
        """CSI GetVolumeGroupSnapshot."""
        del credentials
        if refusal := await self.calls.ask(call):
            return refusal
        for info in self.groups.values():
            if info.handle == call.handle:
                if not _are_all(info, call.members):
                    return outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, "not its snapshot_ids")
                return self._state_of_group(info)
        return outcomes.NotListed()

    # Both

    def _handle(self, name: str) -> str:
        self.cut[name] = self.cut.get(name, 0) + 1
        return f"{name}#{self.cut[name]}"

    def _state(self, info: outcomes.SnapshotInfo) -> outcomes.SnapshotInfo:
        polls = self._polls[info.handle] = self._polls.get(info.handle, 0) + 1
        return msgspec.structs.replace(info, ready=polls > self.polls_until_ready)

    def _state_of_group(self, info: outcomes.GroupInfo) -> outcomes.GroupInfo:
        """Return a group's state: one member is ready a look before the others, and the group."""
        polls = self._polls[info.handle] = self._polls.get(info.handle, 0) + 1
        ready = polls > self.polls_until_ready
        early = polls >= self.polls_until_ready
        members = tuple(
            msgspec.structs.replace(each, ready=early if number == 0 else ready)
            for number, each in enumerate(info.members)
        )
        return msgspec.structs.replace(info, ready=ready, members=members)


def _are_all(info: outcomes.GroupInfo, members: tuple[str, ...]) -> bool:
    return sorted(members) == sorted(each.handle for each in info.members)
