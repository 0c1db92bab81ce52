"""How the services say no, and how they tell of a snapshot: alike, whichever of them is asked."""

import time
from typing import Any, NoReturn

import grpc
from google.protobuf import timestamp_pb2

from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import faults, shelf

Context = Any  # grpc.aio.ServicerContext, whose type parameters say nothing here


async def fail(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    """End the call with this code."""
    await context.abort(code, message)
    raise AssertionError("abort raises")


async def invalid(context: Context, message: str) -> NoReturn:
    """End the call as one that asks for what cannot be."""
    await fail(context, grpc.StatusCode.INVALID_ARGUMENT, message)


def timestamp(nanoseconds: int) -> timestamp_pb2.Timestamp:
    """Return a moment as the wire has it."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


class Teller:
    """Tells of snapshots, which are ready as late as the faults want it."""

    def __init__(self, trouble: faults.Faults) -> None:
        """Follow this plan."""
        self._faults = trouble

    def ready(self, record: shelf.Record) -> bool:
        """Say whether a snapshot is as old as it is to be; one put there by hand always is."""
        wait = self._faults.current().ready_after
        by_hand = not record.name and not record.group
        return not wait or by_hand or time.time_ns() >= record.created + int(wait * 1e9)

    def snapshot(self, record: shelf.Record) -> csi_pb2.Snapshot:
        """Return a snapshot as the wire has it."""
        return csi_pb2.Snapshot(
            snapshot_id=record.handle,
            source_volume_id=record.source_volume,
            size_bytes=record.size,
            creation_time=timestamp(record.created),
            ready_to_use=self.ready(record),
            group_snapshot_id=record.group,
        )
