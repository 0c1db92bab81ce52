"""Every code with which a cut can fail, of a snapshot or of a group: what it leads to.

The table is the reference's (4.4) where that is safe; where it may leak, deletion asks once more.
"""

import dataclasses

import grpc

Status = grpc.StatusCode


@dataclasses.dataclass(frozen=True)
class Row:
    """A code: is it told, is the being-created mark left, does deletion ask the driver again."""

    code: grpc.StatusCode
    told: bool
    marked: bool
    asked: bool


TABLE = [
    Row(Status.CANCELLED, told=True, marked=True, asked=True),
    Row(Status.DEADLINE_EXCEEDED, told=True, marked=True, asked=True),
    Row(Status.UNAVAILABLE, told=True, marked=True, asked=True),
    Row(Status.ABORTED, told=False, marked=True, asked=True),
    Row(Status.RESOURCE_EXHAUSTED, told=False, marked=True, asked=True),
    Row(Status.UNKNOWN, told=True, marked=False, asked=True),
    Row(Status.INTERNAL, told=True, marked=False, asked=True),
    Row(Status.DATA_LOSS, told=True, marked=False, asked=True),
    Row(Status.PERMISSION_DENIED, told=True, marked=False, asked=True),
    Row(Status.UNAUTHENTICATED, told=True, marked=False, asked=True),
    Row(Status.ALREADY_EXISTS, told=True, marked=False, asked=True),
    Row(Status.INVALID_ARGUMENT, told=True, marked=False, asked=False),
    Row(Status.NOT_FOUND, told=True, marked=False, asked=False),
    Row(Status.FAILED_PRECONDITION, told=True, marked=False, asked=False),
    Row(Status.OUT_OF_RANGE, told=True, marked=False, asked=False),
    Row(Status.UNIMPLEMENTED, told=True, marked=False, asked=False),
]
