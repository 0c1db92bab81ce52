"""JSON patch (RFC 6902), as lenient as the API server's library: see `_replace`.

A patch is applied whole or not at all, since it works on a copy.
"""

import copy
from typing import Any

from snapshotd.devcluster.apiserver import errors

Json = Any
_MOST_OPERATIONS = 10_000
_OPERATIONS = {"add", "remove", "replace", "move", "copy", "test"}


class _Impossible(Exception):
    """An operation does not fit the document."""


def apply(document: dict[str, Any], patch: object) -> dict[str, Any]:
    """Return the patched document; raises 400 for no patch at all, 422 for one that fails."""
    operations = _checked(patch)
    result = copy.deepcopy(document)
    for operation in operations:
        try:
            result = _perform(result, operation)
        except (_Impossible, KeyError, IndexError, TypeError, ValueError):
            raise errors.ApiError(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
                details={},
            ) from None
    if not isinstance(result, dict):
        raise errors.bad_request("a patch must leave an object")
    return result


def _checked(patch: object) -> list[dict[str, Any]]:
    if not isinstance(patch, list) or not all(isinstance(each, dict) for each in patch):
        raise errors.bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(patch) > _MOST_OPERATIONS:
        raise errors.ApiError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, "
            f"got {len(patch)}",
        )
    for each in patch:
        if each.get("op") not in _OPERATIONS or not isinstance(each.get("path"), str):
            raise errors.bad_request(f"error decoding patch: unknown operation {each.get('op')!r}")
    return patch


def _perform(document: Json, operation: dict[str, Any]) -> Json:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)
        case "replace":
            return _replace(document, path, copy.deepcopy(operation["value"]))
        case "move":
            source = _pointer(operation["from"])
            value = _at(document, source)
            return _add(_remove(document, source), path, value)
        case "copy":
            value = copy.deepcopy(_at(document, _pointer(operation["from"])))
            return _add(document, path, value)
        case _:
            return _test(document, path, operation.get("value"))


def _pointer(text: str) -> list[str]:
    if not text:
        return []
    if not text.startswith("/"):
        raise _Impossible
    return [piece.replace("~1", "/").replace("~0", "~") for piece in text[1:].split("/")]


def _at(document: Json, path: list[str]) -> Json:
    for piece in path:
        document = (
            document[_index(document, piece)] if isinstance(document, list) else document[piece]
        )
    return document


def _index(items: list[Json], piece: str, *, beyond: bool = False) -> int:
    index = int(piece)
    if index < 0:
        index += len(items)  # as the API server's library counts from the end
    if not 0 <= index < len(items) + beyond:
        raise _Impossible
    return index


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, beyond=True), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _Impossible
    return document


def _remove(document: Json, path: list[str]) -> Json:
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[_index(parent, last)]
    else:
        del parent[last]
    return document


def _replace(document: Json, path: list[str], value: Json) -> Json:
    """Replace; an object's member need not be there.

    RFC 6902 demands it, the API server's library (evanphx/json-patch v4) does not, and clients, the
    reference implementation among them, rely on that.
    """
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent[_index(parent, last)] = value
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _Impossible
    return document


def _test(document: Json, path: list[str], value: Json) -> Json:
    try:
        found = _at(document, path)
    except (KeyError, IndexError, TypeError):
        found = None
    if found != value or isinstance(found, bool) is not isinstance(value, bool):
        raise _Impossible
    return document
