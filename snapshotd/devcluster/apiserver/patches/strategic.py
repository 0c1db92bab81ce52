"""Strategic merge patch: a merge patch that knows which lists are maps (built-in kinds only).

`merge_keys` names them by path: `spec.taints` -> `key`; an empty key marks a list of plain values
that is merged as a set. Directives: `$patch` (replace, delete, merge), `$retainKeys`,
`$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`.
"""

from collections.abc import Mapping
from typing import Any

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]

_EVERYWHERE = {"metadata.finalizers": "", "metadata.ownerReferences": "uid"}
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply(document: JsonObject, patch: JsonObject, merge_keys: Mapping[str, str]) -> JsonObject:
    """Return the patched document; raises 400 for a directive that makes no sense."""
    return _objects(document, patch, "", {**_EVERYWHERE, **merge_keys})


def _objects(old: JsonObject, patch: JsonObject, path: str, keys: Mapping[str, str]) -> JsonObject:
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    if directive not in {None, "merge"}:
        raise errors.bad_request(f"unknown patch type found: {directive}")
    result = dict(old)
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {name: value for name, value in result.items() if name in retained}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        below = f"{path}.{name}" if path else name
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = _objects(before if isinstance(before, dict) else {}, value, below, keys)
        elif isinstance(value, list) and below in keys:
            before = result.get(name)
            result[name] = _lists(before if isinstance(before, list) else [], value, below, keys)
        else:
            result[name] = value
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            field = name.removeprefix(_DELETE_FROM)
            result[field] = [each for each in result.get(field) or [] if each not in value]
        elif name.startswith(_ORDER):
            _reorder(result, name.removeprefix(_ORDER), value, path, keys)
    return result


def _lists(old: list[Any], patch: list[Any], path: str, keys: Mapping[str, str]) -> list[Any]:
    key = keys[path]
    if not key:
        return old + [each for each in patch if each not in old]
    if any(isinstance(each, dict) and each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if each.get("$patch") != "replace"]
    result = list(old)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise errors.bad_request(f"map does not contain declared merge key: {key}")
        at = next((i for i, each in enumerate(result) if each.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(_objects({}, item, path, keys))
        else:
            result[at] = _objects(result[at], item, path, keys)
    return result


def _reorder(
    result: JsonObject, field: str, order: list[Any], path: str, keys: Mapping[str, str]
) -> None:
    """Put a merged list's elements into the order the patch gives; the others keep theirs."""
    key = keys.get(f"{path}.{field}" if path else field, "")
    wanted = [each.get(key) if isinstance(each, dict) else each for each in order]

    def place(item: Any) -> int:
        name = item.get(key) if isinstance(item, dict) else item
        return wanted.index(name) if name in wanted else len(wanted)

    if isinstance(result.get(field), list):
        result[field] = sorted(result[field], key=place)
