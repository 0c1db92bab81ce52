"""One version of a group object into another, as CustomResourceDefinitions ask a webhook for it.

It works on plain JSON, never on our Structs, since what nobody here reads must survive, too. v1 and
v1beta2 have one shape. A VolumeGroupSnapshotContent in v1beta1 lists pairs of handles where they
list all that is known of each snapshot; the whole list is kept beside the pairs, in an annotation.

Invariants: no input is changed; nothing here fails but with `NoReview`, for what is no
ConversionReview at all; there and back again is the object one began with. The annotation is
conversion's alone: it never says more than the pairs do, so that what a client of v1beta1 changes
holds, and a list that cannot be read costs details, not the object.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from snapshotd.model import names

JsonObject = dict[str, Any]

REVIEW_API: Final = "apiextensions.k8s.io/v1"
REVIEW_KIND: Final = "ConversionReview"
VERSIONS: Final = ("v1", "v1beta2", "v1beta1")

_CONTENT: Final = "VolumeGroupSnapshotContent"
_KINDS: Final = frozenset({"VolumeGroupSnapshot", _CONTENT, "VolumeGroupSnapshotClass"})
_PAIRED: Final = "v1beta1"  # the version of a content that lists pairs
_INFO: Final = "volumeSnapshotInfoList"
_PAIRS: Final = "volumeSnapshotHandlePairList"
_DETAILS: Final = frozenset({"creationTime", "readyToUse", "restoreSize"})

_decode = msgspec.json.Decoder().decode


class NoReview(Exception):
    """What was sent is no ConversionReview that can be answered; the message says why."""


class _Unconvertible(Exception):
    """One object that cannot be converted; the message goes into the review's result."""


def review(document: Any) -> JsonObject:
    """Return the answer to a ConversionReview, without the request; raises `NoReview`."""
    request = _request(document)
    response: JsonObject = {"uid": request["uid"]}
    try:
        response["convertedObjects"] = _all(request)
        response["result"] = {"status": "Success"}
    except _Unconvertible as problem:
        response["convertedObjects"] = []
        response["result"] = {"status": "Failure", "message": str(problem)}
    return {"apiVersion": REVIEW_API, "kind": REVIEW_KIND, "response": response}


def _request(document: Any) -> JsonObject:
    if not isinstance(document, dict):
        raise NoReview("the body must be an object")
    api, kind = document.get("apiVersion"), document.get("kind")
    if (api, kind) != (REVIEW_API, REVIEW_KIND):
        raise NoReview(f"{REVIEW_API} {REVIEW_KIND} is expected, not {api} {kind}")
    request = document.get("request")
    if not isinstance(request, dict):
        raise NoReview("request: Required value")
    for field, type_ in (("uid", str), ("desiredAPIVersion", str), ("objects", list)):
        if not isinstance(request.get(field), type_):
            raise NoReview(f"request.{field}: {request.get(field)!r:.100} is not what it must be")
    return request


def _all(request: JsonObject) -> list[JsonObject]:
    wanted = request["desiredAPIVersion"]
    converted = []
    for index, obj in enumerate(request["objects"]):
        try:
            converted.append(_one(obj, wanted))
        except _Unconvertible as problem:
            raise _Unconvertible(f"objects[{index}]: {problem}") from None
    return converted


def _one(obj: Any, wanted: str) -> JsonObject:
    """Return an object in the API version `wanted`; raises `_Unconvertible`."""
    if not isinstance(obj, dict):
        raise _Unconvertible("it is no object")
    api, kind = obj.get("apiVersion"), obj.get("kind")
    if kind not in _KINDS:
        raise _Unconvertible(f"kind {kind!r:.100} is none of {', '.join(sorted(_KINDS))}")
    before, after = _version(api), _version(wanted)
    if before is None or after is None:
        raise _Unconvertible(
            f"unexpected conversion version from {api!r:.100} to {wanted!r:.100}: the versions of "
            f"{names.GROUP_GROUP} are {', '.join(VERSIONS)}"
        )
    new = {**obj, "apiVersion": wanted}
    if kind == _CONTENT and (before == _PAIRED) != (after == _PAIRED):
        return _to_pairs(new) if after == _PAIRED else _to_info(new)
    return new


def _version(api: Any) -> str | None:
    """Return the version in an API version of our group, None if it is none that we know."""
    if not isinstance(api, str):
        return None
    group, _, version = api.partition("/")
    return version if group == names.GROUP_GROUP and version in VERSIONS else None


def _to_pairs(new: JsonObject) -> JsonObject:
    """Turn a content's list of snapshots into one of pairs, and keep what pairs cannot hold."""
    new = _annotated(new, None)
    status = new.get("status")
    if not isinstance(status, dict) or _INFO not in status:
        return new
    info = status[_INFO]
    pairs = [_pair(each) for each in info] if isinstance(info, list) else info
    new["status"] = _renamed(status, _INFO, _PAIRS, pairs)
    if pairs == info:
        return new
    try:
        return _annotated(new, msgspec.json.encode(info).decode())
    except (UnicodeError, TypeError, RecursionError) as problem:
        raise _Unconvertible(f"status.{_INFO} is no JSON: {problem}") from None


def _to_info(new: JsonObject) -> JsonObject:
    """Turn a content's pairs into a list of snapshots, with what is still true of what was kept."""
    kept = _annotations(new).get(names.INFO_LIST_ANNOTATION)
    new = _annotated(new, None)
    status = new.get("status")
    if not isinstance(status, dict) or _PAIRS not in status:
        return new
    pairs = status[_PAIRS]
    info = _completed(pairs, _read(kept)) if isinstance(pairs, list) else pairs
    new["status"] = _renamed(status, _PAIRS, _INFO, info)
    return new


def _completed(pairs: list[Any], kept: Iterable[Any]) -> list[Any]:
    """Return each pair with the details that were kept of it."""
    known: dict[tuple[str, str], deque[JsonObject]] = {}
    for each in kept:
        if (handles := _handles(each)) is not None:
            known.setdefault(handles, deque()).append(each)
    completed = []
    for pair in pairs:
        handles = _handles(pair)
        waiting = known.get(handles) if handles is not None else None
        completed.append({**waiting.popleft(), **pair} if waiting else pair)
    return completed


def _pair(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {name: value for name, value in entry.items() if name not in _DETAILS}


def _handles(entry: Any) -> tuple[str, str] | None:
    """Return what a snapshot is known by, None for what is none."""
    if not isinstance(entry, dict):
        return None
    volume, snapshot = entry.get("volumeHandle", ""), entry.get("snapshotHandle", "")
    return (volume, snapshot) if isinstance(volume, str) and isinstance(snapshot, str) else None


def _read(kept: Any) -> list[Any]:
    """Return the list that an annotation holds, an empty one if it holds none."""
    try:
        found = _decode(kept) if isinstance(kept, str) else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _renamed(status: JsonObject, old: str, new: str, value: Any) -> JsonObject:
    return {name: each for name, each in status.items() if name != old} | {new: value}


def _annotations(obj: JsonObject) -> JsonObject:
    metadata = obj.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _annotated(obj: JsonObject, value: str | None) -> JsonObject:
    """Return a copy with the annotation set, or without it."""
    annotations = dict(_annotations(obj))
    if value is None and names.INFO_LIST_ANNOTATION not in annotations:
        return dict(obj)
    annotations.pop(names.INFO_LIST_ANNOTATION, None)
    if value is not None:
        annotations[names.INFO_LIST_ANNOTATION] = value
    metadata = {**(obj["metadata"] if isinstance(obj.get("metadata"), dict) else {})}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**obj, "metadata": metadata}
