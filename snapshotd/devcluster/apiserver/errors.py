"""API failures as Kubernetes tells them: an HTTP code, a reason, a message and details.

Every failure a client sees is an `ApiError`; `to_status` is its `Status` object
(k8s.io/apimachinery `meta/v1.Status`). The constructors below word the messages as the real API
server does, since clients (kubectl among them) show and match them.
"""

import dataclasses
from typing import Any

JsonObject = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with an object: the field's path, a reason and a message for people.

    `reason` is one of FieldValueInvalid, FieldValueRequired, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTypeInvalid, FieldValueTooLong.
    """

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """A request that failed, with everything its `Status` object says."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: JsonObject | None = None
    ) -> None:
        """Keep the HTTP `code`, the machine-readable `reason`, the message and the details."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_status(self) -> JsonObject:
        """Return the `Status` object a client receives."""
        status: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            status["details"] = self.details
        return status


def qualified(group: str, plural: str) -> str:
    """Return the resource as messages name it: `volumesnapshots.snapshot.storage.k8s.io`."""
    return f"{plural}.{group}" if group else plural


def _details(group: str, plural: str, name: str) -> JsonObject:
    details: JsonObject = {"kind": plural}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    return details


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404: no such object."""
    message = f'{qualified(group, plural)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_details(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """409: a create under a name that is taken."""
    message = f'{qualified(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    """409: a precondition (resourceVersion, uid) did not hold."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(group, plural, name))


def invalid(group: str, kind: str, name: str, causes: list[Cause]) -> ApiError:
    """422: validation failed; every cause is in the message and, by field, in the details."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    text = told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"
    details = _details(group, kind, name)
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    message = f'{qualified(group, kind)} "{name}" is invalid: {text}'
    return ApiError(422, "Invalid", message, details=details)


def bad_request(message: str) -> ApiError:
    """400: the request cannot be read."""
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token asked for is older than the history kept."""
    return ApiError(410, "Expired", message)
