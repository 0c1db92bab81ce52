"""Every gRPC status to a code of ours: total, so that no driver can surprise us.

What a code means is decided in `decide/outcomes.py`; here it is only named.
"""

import grpc

from snapshotd import errors
from snapshotd.decide import outcomes

CODES: dict[grpc.StatusCode, outcomes.Code] = {
    status: outcomes.Code[status.name]
    for status in grpc.StatusCode
    if status is not grpc.StatusCode.OK
}

_REFUSED = {
    outcomes.Code.PERMISSION_DENIED,
    outcomes.Code.UNAUTHENTICATED,
    outcomes.Code.UNIMPLEMENTED,
    outcomes.Code.FAILED_PRECONDITION,
}
_INVALID = {
    outcomes.Code.INVALID_ARGUMENT,
    outcomes.Code.OUT_OF_RANGE,
    outcomes.Code.ALREADY_EXISTS,
}


def refusal_of(error: grpc.aio.AioRpcError) -> outcomes.Refusal:
    """Return a failed call as data: its code and the driver's own words."""
    code = CODES.get(error.code(), outcomes.Code.UNKNOWN)
    return outcomes.Refusal(code, error.details() or "the driver gave no reason")


def error_of(refusal: outcomes.Refusal, call: str) -> errors.SnapshotdError:
    """Return a failed call as an exception, for callers that cannot go on without an answer."""
    told = f"{call}: {refusal.code}: {refusal.message}"
    if refusal.code is outcomes.Code.NOT_FOUND:
        return errors.Gone(told)
    if refusal.code in _REFUSED:
        return errors.Refused(told)
    if refusal.code in _INVALID:
        return errors.Invalid(told)
    return errors.Unavailable(told)
