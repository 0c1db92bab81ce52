"""What a driver's answer means: a snapshot, a definite failure, or *unknown*.

The invariant: only an answer that the CSI spec makes definite lets us say that no snapshot exists.
Everything else is unknown, and unknown is resolved by asking again under the same name
(CreateSnapshot is idempotent by name, CSI spec "CreateSnapshot") before anything is deleted.
"""

import enum

import msgspec


class Code(enum.StrEnum):
    """The gRPC status codes, by name; what is no gRPC answer at all counts as UNKNOWN."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


class Meaning(enum.Enum):
    """What a refusal of CreateSnapshot tells about the snapshot."""

    FINAL = "no snapshot was made"
    DOUBTFUL = "it failed, but the spec does not say that nothing was made"
    BUSY = "not now: the driver is at work on it, or at its limit"
    UNKNOWN = "a snapshot may or may not exist"


class SnapshotInfo(msgspec.Struct, frozen=True, gc=False):
    """A snapshot as the driver describes it (CSI `Snapshot`).

    `creation_time` in Unix nanoseconds, None where the driver gave none; `size` in bytes, 0 where
    it is unknown.
    """

    handle: str
    source_volume: str = ""
    creation_time: int | None = None
    size: int = 0
    ready: bool = False
    group_handle: str = ""


class GroupInfo(msgspec.Struct, frozen=True, gc=False):
    """A group snapshot as the driver describes it (CSI `VolumeGroupSnapshot`).

    `creation_time` as in `SnapshotInfo`; `members` in the driver's order, each with the volume that
    it is of.
    """

    handle: str
    creation_time: int | None = None
    ready: bool = False
    members: tuple[SnapshotInfo, ...] = ()


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A call that did not succeed: the status code and the driver's own words."""

    code: Code
    message: str


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """The deletion succeeded: the snapshot, or the group, does not exist (any more)."""


class NotListed(msgspec.Struct, frozen=True, gc=False):
    """The driver answered, and knows no snapshot, or no group, of this handle."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """ListSnapshots answered with all the snapshots of one volume."""

    snapshots: tuple[SnapshotInfo, ...] = ()


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The call was never sent: why not, for people (its credentials cannot be had)."""

    message: str


SingleAnswer = SnapshotInfo | Refusal | Deleted | NotListed | Found
GroupAnswer = GroupInfo | Refusal | Deleted | NotListed
Answer = SingleAnswer | GroupAnswer | NotSent

# What each code says of the snapshot, by the clause of the CSI spec (v1.12) that gives it its
# meaning. The spec's rule of idempotency stands above all: a plugin that holds a snapshot of this
# name "MUST reply 0 OK" ("CreateSnapshot"), so a definite failure says that it holds none.
_MEANINGS = {
    # "Error Scheme", timeouts and cancellation: the plugin may go on after the caller gave up, so
    # the CO asks again under the same name.
    Code.CANCELLED: Meaning.UNKNOWN,
    Code.DEADLINE_EXCEEDED: Meaning.UNKNOWN,
    # "Error Scheme": the plugin is not running, or cannot be reached; the call may have reached it.
    Code.UNAVAILABLE: Meaning.UNKNOWN,
    # No clause: gRPC's own words for a plugin that broke. Drivers that crashed half way answer so
    # as well as drivers that failed cleanly. The reference takes these as final and may leak; we
    # report them as failures and ask once more before we let go of the content.
    Code.UNKNOWN: Meaning.DOUBTFUL,
    Code.INTERNAL: Meaning.DOUBTFUL,
    Code.DATA_LOSS: Meaning.DOUBTFUL,
    # "CreateSnapshot Errors", operation pending for snapshot: another call is at work on this name.
    Code.ABORTED: Meaning.BUSY,
    # "CreateSnapshot Errors", not enough space to create snapshot; drivers use it for limits of
    # calls, too (reference issue 1434).
    Code.RESOURCE_EXHAUSTED: Meaning.BUSY,
    # "Error Scheme", missing or invalid field: the request was not looked into.
    Code.INVALID_ARGUMENT: Meaning.FINAL,
    # "CreateSnapshot Errors", snapshot already exists but is incompatible: none of ours is made.
    Code.ALREADY_EXISTS: Meaning.FINAL,
    # "Error Scheme", the plugin does not implement the call.
    Code.UNIMPLEMENTED: Meaning.FINAL,
    # "Error Scheme", the caller is not allowed to, or its credentials are not valid.
    Code.PERMISSION_DENIED: Meaning.FINAL,
    Code.UNAUTHENTICATED: Meaning.FINAL,
    # "Error Scheme", what the call refers to (the source volume) does not exist, is not in a state
    # to be cut, or has a parameter out of its range: found before anything is cut.
    Code.NOT_FOUND: Meaning.FINAL,
    Code.FAILED_PRECONDITION: Meaning.FINAL,
    Code.OUT_OF_RANGE: Meaning.FINAL,
}


def meaning(code: Code) -> Meaning:
    """Return what this code, in answer to CreateSnapshot, tells about the snapshot."""
    return _MEANINGS[code]


class Attempt(enum.Enum):
    """What this process knows of CreateSnapshot calls for one content without a handle."""

    NEVER = "no call was ever sent, by anyone"
    REFUSED = "every call was answered, the last one with a definite failure"
    DOUBTFUL = "every call was answered, the last one with a failure that proves nothing"
    UNKNOWN = "a call was, or may have been, sent, and its end is not known"
    NOTHING = "the driver was asked what was made, and the content let go upon its answer"


# Failures that say nothing about what an earlier call under this name may have made: the driver
# looked no further than the credentials, or found a snapshot that is not like this one.
_PROVES_NOTHING = {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


def known_after(before: Attempt, code: Code) -> Attempt:
    """Return what is known once a call was refused with this code."""
    if code is Code.ALREADY_EXISTS or before is Attempt.UNKNOWN:
        # An earlier call whose answer was lost may have made what this one did not look for.
        return Attempt.UNKNOWN
    match meaning(code):
        case Meaning.UNKNOWN | Meaning.BUSY:
            return Attempt.UNKNOWN
        case Meaning.FINAL if code not in _PROVES_NOTHING:
            return Attempt.REFUSED
        case _:
            return Attempt.DOUBTFUL


def speaks_of_earlier_calls(code: Code) -> bool:
    """Say whether a refusal with this code means that no call under this name made anything.

    By the spec it does: a plugin that holds a snapshot of the name must say so. Not every plugin
    looks there first, so where the plugin can list its snapshots the list has the last word.
    """
    definite = meaning(code) is Meaning.FINAL
    return definite and code not in _PROVES_NOTHING and code is not Code.ALREADY_EXISTS
