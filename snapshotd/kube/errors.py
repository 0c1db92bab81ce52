"""Every answer of the API server that is no success, as one of our errors: a total table.

A known `reason` (meta/v1 StatusReason) decides, since that is what Kubernetes promises to clients;
then the HTTP code; then its hundred. So an answer from a proxy, which has no Status, is told too.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from snapshotd import errors
from snapshotd.model import wire

_Meaning: TypeAlias = type[errors.SnapshotdError]

REASONS: Final[Mapping[str, _Meaning]] = {
    "AlreadyExists": errors.Conflict,
    "BadRequest": errors.Invalid,
    "Conflict": errors.Conflict,
    "Expired": errors.Gone,
    "Forbidden": errors.Refused,
    "Gone": errors.Gone,
    "InternalError": errors.Unavailable,
    "Invalid": errors.Invalid,
    "MethodNotAllowed": errors.Invalid,
    "NotAcceptable": errors.Invalid,
    "NotFound": errors.Gone,
    "RequestEntityTooLarge": errors.Invalid,
    "ServerTimeout": errors.Unavailable,
    "ServiceUnavailable": errors.Unavailable,
    "StoreReadError": errors.Unavailable,
    "Timeout": errors.Unavailable,
    "TooManyRequests": errors.Throttled,
    "Unauthorized": errors.Refused,
    "UnsupportedMediaType": errors.Invalid,
}
CODES: Final[Mapping[int, _Meaning]] = {
    401: errors.Refused,
    403: errors.Refused,
    404: errors.Gone,
    407: errors.Refused,
    408: errors.Unavailable,
    409: errors.Conflict,
    410: errors.Gone,
    421: errors.Unavailable,
    423: errors.Unavailable,
    425: errors.Unavailable,
    429: errors.Throttled,
    451: errors.Refused,
}
_PAUSABLE: Final = {429, 503}

# Validation says 422 of a patch that rests on an older state: of another incarnation (kube-
# apiserver checks a patch's uid as an immutable field), or of one that is being deleted by now.
STALE_FIELDS: Final = frozenset({"metadata.uid", "metadata.finalizers", "metadata.resourceVersion"})

_SHOWN: Final = 1024  # characters of a message that nobody bounded


def from_answer(
    code: int, body: bytes, *, request: str, retry_after: float | None = None
) -> errors.SnapshotdError:
    """Return what an answer means; `request` opens the message, `retry_after` is in seconds."""
    return from_status(
        wire.decode_status(body), code=code, request=request, retry_after=retry_after
    )


def from_status(
    status: wire.Status, *, code: int, request: str, retry_after: float | None = None
) -> errors.SnapshotdError:
    """Return what a Status means; `code` counts where the Status has no reason that we know."""
    meaning = _meaning(code, status, paused=retry_after is not None)
    said = status.message[:_SHOWN] or "no further explanation"
    told = f"{request}: {code}{f' {status.reason}' if status.reason else ''}: {said}"
    if issubclass(meaning, errors.Throttled):
        return meaning(told, retry_after=1.0 if retry_after is None else retry_after)
    return meaning(told)


def _meaning(code: int, status: wire.Status, *, paused: bool) -> _Meaning:
    if code in _PAUSABLE and paused:
        return errors.Throttled
    if status.reason == "Invalid" and _is_stale(status):
        return errors.Conflict
    by_hundred = errors.Invalid if 400 <= code < 500 else errors.Unavailable
    return REASONS.get(status.reason) or CODES.get(code) or by_hundred


def _is_stale(status: wire.Status) -> bool:
    causes = status.details.causes if status.details is not None else ()
    return bool(causes) and all(cause.field in STALE_FIELDS for cause in causes)
