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


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A call that did not succeed: the status code and the driver's own words."""

    code: Code
    message: str


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """DeleteSnapshot succeeded: the snapshot does not exist (any more)."""


class NotListed(msgspec.Struct, frozen=True, gc=False):
    """ListSnapshots answered, and knows no snapshot of this handle."""


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The call was never sent: why not, for people (its credentials cannot be had)."""

    message: str


Answer = SnapshotInfo | Refusal | Deleted | NotListed | NotSent

# Codes after which a snapshot may exist all the same, or is on its way. All others are definite:
# the CSI spec ("Error Scheme" and the table under CreateSnapshot) gives each a cause that precedes
# the cutting.
_NOT_DEFINITE = {
    # The call may have reached the driver: the CO asks again under the same name.
    Code.CANCELLED: Meaning.UNKNOWN,
    Code.DEADLINE_EXCEEDED: Meaning.UNKNOWN,
    Code.UNAVAILABLE: Meaning.UNKNOWN,
    # Drivers that crashed half way answer so as well as drivers that failed cleanly. The reference
    # takes both as final and may leak; we report them as failures and ask once more before we let
    # go of the content.
    Code.UNKNOWN: Meaning.DOUBTFUL,
    Code.INTERNAL: Meaning.DOUBTFUL,
    Code.DATA_LOSS: Meaning.DOUBTFUL,
    # "Operation pending for snapshot": another call is at work on this name.
    Code.ABORTED: Meaning.BUSY,
    # "Not enough space", or a limit of calls; reference issue 1434.
    Code.RESOURCE_EXHAUSTED: Meaning.BUSY,
}


def meaning(code: Code) -> Meaning:
    """Return what this code, in answer to CreateSnapshot, tells about the snapshot."""
    return _NOT_DEFINITE.get(code, Meaning.FINAL)


class Attempt(enum.Enum):
    """What this process knows of CreateSnapshot calls for one content without a handle."""

    NEVER = "no call was ever sent, by anyone"
    REFUSED = "the last call ended with a definite failure"
    DOUBTFUL = "every call was answered, the last one with a failure that proves nothing"
    UNKNOWN = "a call was, or may have been, sent, and its end is not known"


# Failures that say nothing about what an earlier call under this name may have made: the driver
# looked no further than the credentials, or found a snapshot that is not like this one.
_PROVES_NOTHING = {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


def known_after(before: Attempt, code: Code) -> Attempt:
    """Return what is known once a call was refused with this code."""
    if code is Code.ALREADY_EXISTS:
        return Attempt.UNKNOWN
    match meaning(code):
        case Meaning.UNKNOWN | Meaning.BUSY:
            return Attempt.UNKNOWN
        case Meaning.FINAL if code not in _PROVES_NOTHING:
            return Attempt.REFUSED
        case _:
            # An earlier call whose answer was lost may have made what this one did not find.
            return Attempt.UNKNOWN if before is Attempt.UNKNOWN else Attempt.DOUBTFUL
