"""Bodies in Kubernetes' protobuf, which typed Go clients (kubectl create among them) send.

Read by tables of field numbers (facts of each kind's `generated.proto`), into the same objects that
JSON gives. Only reading: answers are JSON, which every such client accepts too.
"""

import base64
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, Final

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]
Table = dict[int, tuple[str, str]]

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"

_META: Table = {
    1: ("name", "text"),
    2: ("generateName", "text"),
    3: ("namespace", "text"),
    5: ("uid", "text"),
    6: ("resourceVersion", "text"),
    7: ("generation", "number"),
    8: ("creationTimestamp", "time"),
    9: ("deletionTimestamp", "time"),
    10: ("deletionGracePeriodSeconds", "number"),
    11: ("labels", "map text"),
    12: ("annotations", "map text"),
    13: ("ownerReferences", "list Owner"),
    14: ("finalizers", "list text"),
}
_OBJECT_REFERENCE: Table = {
    1: ("kind", "text"),
    2: ("namespace", "text"),
    3: ("name", "text"),
    4: ("uid", "text"),
    5: ("apiVersion", "text"),
    6: ("resourceVersion", "text"),
    7: ("fieldPath", "text"),
}
_TYPED_REFERENCE: Table = {
    1: ("apiGroup", "text"),
    2: ("kind", "text"),
    3: ("name", "text"),
    4: ("namespace", "text"),
}

_TABLES: dict[str, Table] = {
    "Meta": _META,
    "Owner": {
        1: ("kind", "text"),
        3: ("name", "text"),
        4: ("uid", "text"),
        5: ("apiVersion", "text"),
        6: ("controller", "flag"),
        7: ("blockOwnerDeletion", "flag"),
    },
    "ObjectReference": _OBJECT_REFERENCE,
    "TypedReference": _TYPED_REFERENCE,
    "LocalReference": {1: ("name", "text")},
    "Namespace": {1: ("metadata", "Meta"), 2: ("spec", "NamespaceSpec")},
    "NamespaceSpec": {1: ("finalizers", "list text")},
    "ConfigMap": {
        1: ("metadata", "Meta"),
        2: ("data", "map text"),
        3: ("binaryData", "map bytes"),
        4: ("immutable", "flag"),
    },
    "Secret": {
        1: ("metadata", "Meta"),
        2: ("data", "map bytes"),
        3: ("type", "text"),
        4: ("stringData", "map text"),
        5: ("immutable", "flag"),
    },
    "ServiceAccount": {
        1: ("metadata", "Meta"),
        2: ("secrets", "list ObjectReference"),
        3: ("imagePullSecrets", "list LocalReference"),
        4: ("automountServiceAccountToken", "flag"),
    },
    "Event": {
        1: ("metadata", "Meta"),
        2: ("involvedObject", "ObjectReference"),
        3: ("reason", "text"),
        4: ("message", "text"),
        5: ("source", "EventSource"),
        6: ("firstTimestamp", "time"),
        7: ("lastTimestamp", "time"),
        8: ("count", "number"),
        9: ("type", "text"),
        10: ("eventTime", "microtime"),
        12: ("action", "text"),
        13: ("related", "ObjectReference"),
        14: ("reportingComponent", "text"),
        15: ("reportingInstance", "text"),
    },
    "EventSource": {1: ("component", "text"), 2: ("host", "text")},
    "Lease": {1: ("metadata", "Meta"), 2: ("spec", "LeaseSpec")},
    "LeaseSpec": {
        1: ("holderIdentity", "text"),
        2: ("leaseDurationSeconds", "number"),
        3: ("acquireTime", "microtime"),
        4: ("renewTime", "microtime"),
        5: ("leaseTransitions", "number"),
    },
    "PersistentVolumeClaim": {
        1: ("metadata", "Meta"),
        2: ("spec", "ClaimSpec"),
        3: ("status", "ClaimStatus"),
    },
    "ClaimSpec": {
        1: ("accessModes", "list text"),
        2: ("resources", "Resources"),
        3: ("volumeName", "text"),
        5: ("storageClassName", "text"),
        6: ("volumeMode", "text"),
        7: ("dataSource", "TypedReference"),
        8: ("dataSourceRef", "TypedReference"),
        9: ("volumeAttributesClassName", "text"),
    },
    "ClaimStatus": {
        1: ("phase", "text"),
        2: ("accessModes", "list text"),
        3: ("capacity", "map Quantity"),
    },
    "Resources": {1: ("limits", "map Quantity"), 2: ("requests", "map Quantity")},
    "Quantity": {1: ("", "text")},
    "SelfSubjectAccessReview": {1: ("metadata", "Meta"), 2: ("spec", "AccessSpec")},
    "AccessSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "PathAttributes"),
    },
    "ResourceAttributes": {
        1: ("namespace", "text"),
        2: ("verb", "text"),
        3: ("group", "text"),
        4: ("version", "text"),
        5: ("resource", "text"),
        6: ("subresource", "text"),
        7: ("name", "text"),
    },
    "PathAttributes": {1: ("path", "text"), 2: ("verb", "text")},
    "SelfSubjectRulesReview": {1: ("metadata", "Meta"), 2: ("spec", "RulesSpec")},
    "RulesSpec": {1: ("namespace", "text")},
    "SelfSubjectReview": {1: ("metadata", "Meta")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "number"),
        2: ("preconditions", "Preconditions"),
        4: ("propagationPolicy", "text"),
        5: ("dryRun", "list text"),
    },
    "Preconditions": {1: ("uid", "text"), 2: ("resourceVersion", "text")},
}


def decode(body: bytes) -> JsonObject:
    """Return the object in a body; raises 400 for no such body, 415 for a kind without table."""
    if not body.startswith(_MAGIC):
        raise errors.bad_request("the body is not in Kubernetes' protobuf form")
    try:
        envelope = dict(_fields(body[len(_MAGIC) :]))
        kind_of = dict(_fields(_bytes(envelope.get(1, b""))))
        kind = _bytes(kind_of.get(2, b"")).decode()
        if kind not in _TABLES:
            raise errors.ApiError(
                415,
                "UnsupportedMediaType",
                f"a {kind} cannot be read from {CONTENT_TYPE}: send application/json",
            )
        obj = _message(_bytes(envelope.get(2, b"")), kind)
        obj["apiVersion"] = _bytes(kind_of.get(1, b"")).decode()
    except (IndexError, ValueError) as error:
        raise errors.bad_request(f"the body cannot be read: {error}") from None
    obj["kind"] = kind
    return obj


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes were due")  # noqa: TRY004 - malformed, not mistyped
    return value


def _fields(body: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Iterate over the fields of a message: numbers as they are, all else as bytes."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(body, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(body, at)
            if at + length > len(body):
                raise ValueError("it is cut short")
            yield number, body[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {wire} is not used by Kubernetes")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _message(body: bytes, kind: str) -> JsonObject:
    table = _TABLES[kind]
    obj: JsonObject = {}
    for number, value in _fields(body):
        found = table.get(number)
        if found is None:
            continue
        name, type_ = found
        shape, _, inner = type_.rpartition(" ")
        if shape == "list":
            obj.setdefault(name, []).append(_value(value, inner))
        elif shape == "map":
            entry = dict(_fields(_bytes(value)))
            key = _bytes(entry.get(1, b"")).decode()
            obj.setdefault(name, {})[key] = _value(entry.get(2, b""), inner)
        else:
            told = _value(value, inner)
            if told not in ("", None):
                obj[name] = told
    return obj


def _value(value: bytes | int, type_: str) -> Any:
    reader = _READERS.get(type_)
    if reader is not None:
        return reader(value)
    message = _message(_bytes(value), type_)
    return message.get("", "") if type_ == "Quantity" else message


def _time(value: bytes | int, form: str) -> str | None:
    parts = dict(_fields(_bytes(value)))
    seconds, nanos = int(parts.get(1, 0)), int(parts.get(2, 0))
    if seconds == 0 or seconds >= 2**63:
        return None  # Go's zero time
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC) + dt.timedelta(microseconds=nanos // 1000)
    return moment.strftime(form)


def _number(value: bytes | int) -> int:
    if isinstance(value, bytes):
        raise ValueError("bytes where a number was due")  # noqa: TRY004 - malformed, not mistyped
    return value - (1 << 64) if value >= 1 << 63 else value


_READERS: dict[str, Callable[[bytes | int], Any]] = {
    "text": lambda value: _bytes(value).decode(),
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "number": _number,
    "flag": bool,
    "time": lambda value: _time(value, "%Y-%m-%dT%H:%M:%SZ"),
    "microtime": lambda value: _time(value, "%Y-%m-%dT%H:%M:%S.%fZ"),
}
