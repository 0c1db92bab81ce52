"""How a call is made and its answer read, for all services alike.

The invariant: what a driver says in its error never leaves here with a credential in it.
"""

from typing import Any

import msgspec
from google.protobuf import message, timestamp_pb2

from snapshotd.csi import connection, redaction
from snapshotd.csi import errors as codes
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import outcomes
from snapshotd.model import secrets


class Caller:
    """What the calls of every service go through."""

    def __init__(self, link: connection.Connection) -> None:
        """Use this connection; nothing is sent yet."""
        self._link = link

    async def _ask(
        self, name: str, method: Any, request: message.Message, credentials: secrets.Credentials
    ) -> Any:
        """Make a call with these credentials in its request; return its answer, or the refusal."""
        answer = await self._link.call(name, method, request)
        if isinstance(answer, outcomes.Refusal):
            told = redaction.without(credentials, answer.message)
            return msgspec.structs.replace(answer, message=told)
        return answer

    async def _must(self, name: str, method: Any, request: message.Message) -> Any:
        """Make a call whose refusal is an error, one of `snapshotd.errors`."""
        answer = await self._link.call(name, method, request)
        if isinstance(answer, outcomes.Refusal):
            raise codes.error_of(answer, name)
        return answer


def snapshot_info(snapshot: csi_pb2.Snapshot) -> outcomes.SnapshotInfo:
    """Return a snapshot as data of ours."""
    created = snapshot.creation_time if snapshot.HasField("creation_time") else None
    return outcomes.SnapshotInfo(
        handle=snapshot.snapshot_id,
        source_volume=snapshot.source_volume_id,
        creation_time=nanoseconds(created),
        size=snapshot.size_bytes,
        ready=snapshot.ready_to_use,
        group_handle=snapshot.group_snapshot_id,
    )


def nanoseconds(moment: timestamp_pb2.Timestamp | None) -> int | None:
    """Return a moment in Unix nanoseconds."""
    return None if moment is None else moment.seconds * 1_000_000_000 + moment.nanos
