"""What the shell needs of the world, as Protocols: `kube` and `csi` fit them, `app.py` joins them.

`actors` imports neither of the two; the tests of the shell bring their own small parts instead.
"""

import dataclasses
from typing import Protocol

from snapshotd.decide import intents, outcomes
from snapshotd.model import keys, secrets, wire
from snapshotd.runtime import clock


class Writer(Protocol):
    """The API server. Every error is one of ours (`snapshotd.errors`)."""

    async def write(self, intent: intents.Write) -> wire.Object | None:
        """Do one write under its precondition; return the object as stored.

        None where nothing is stored any more (a finished deletion). Raises `Conflict` when a
        precondition no longer holds or the name is taken, `Gone` when the object does not exist.
        """

    async def read(self, key: keys.Key) -> wire.Object | None:
        """Return one object as it is now, None if there is none."""


class Recorder(Protocol):
    """Kubernetes Events: never waits, never fails, may drop."""

    def announce(self, event: intents.Announce) -> None:
        """Tell people."""


class Driver(Protocol):
    """The CSI driver: every answer is an outcome, a lost one included; it never raises."""

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI CreateSnapshot: a SnapshotInfo, or a Refusal."""

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI DeleteSnapshot: Deleted, or a Refusal."""

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI GetSnapshot, or ListSnapshots by id: a SnapshotInfo, NotListed, or a Refusal."""

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots of a volume, all pages: Found, or a Refusal."""

    async def create_group(
        self, call: intents.CreateGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI CreateVolumeGroupSnapshot: a GroupInfo, or a Refusal."""

    async def delete_group(
        self, call: intents.DeleteGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI DeleteVolumeGroupSnapshot: Deleted, or a Refusal."""

    async def check_group(
        self, call: intents.CheckGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI GetVolumeGroupSnapshot: a GroupInfo, NotListed, or a Refusal."""


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """What every role needs of the world."""

    writer: Writer
    recorder: Recorder
    time: clock.Clock
