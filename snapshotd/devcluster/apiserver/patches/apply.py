"""Server-side apply: what this manager wants, merged into what is, with conflicts told.

Structured merge (KEP-555): fields applied become this manager's; fields it applied before and no
longer does are removed, unless another manager has them too; a field that another manager set to
another value is a conflict, unless forced.
"""

import copy
import json
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources
from snapshotd.devcluster.apiserver.patches import fields, managed_fields

JsonObject = dict[str, Any]


def server_side_apply(
    live: JsonObject | None,
    applied: JsonObject,
    *,
    by: managed_fields.By,
    force: bool,
    resource: resources.Resource,
) -> JsonObject:
    """Return the merged object with its managedFields; raises 400 or 409."""
    if applied.get("metadata", {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    shape = shape_of(resource)
    mine = set(fields.leaves(fields.of(applied, shape)))
    base = live or {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}}
    entries = base["metadata"].get("managedFields") or []
    me = managed_fields.owner(by, "Apply")
    if not force:
        _check_conflicts(base, applied, mine, entries, me)
    merged: JsonObject = _merge(copy.deepcopy(base), applied, (), shape)
    before: set[fields.Path] = set()
    others: set[fields.Path] = set()
    for entry in entries:
        held = set(fields.leaves(entry.get("fieldsV1") or {}))
        if managed_fields.same_owner(entry, me):
            before = held
        else:
            others |= held
    for path in sorted(before - mine - others, reverse=True):
        _remove(merged, path)
    merged["metadata"]["managedFields"] = _entries(entries, me, mine, base, applied)
    return merged


_shapes: dict[int, fields.Shape] = {}


def shape_of(resource: resources.Resource) -> fields.Shape:
    """Return which of a kind's lists are sets or maps (worked out once)."""
    key = id(resource.schema)
    found = _shapes.get(key)
    if found is None:
        schema = resource.schema.openapi() if resource.schema is not None else None
        found = _shapes[key] = fields.Shape(resource.merge_keys, schema)
    return found


def _check_conflicts(
    live: JsonObject,
    applied: JsonObject,
    mine: set[fields.Path],
    entries: list[JsonObject],
    me: JsonObject,
) -> None:
    causes: list[JsonObject] = []
    for entry in entries:
        if managed_fields.same_owner(entry, me):
            continue
        held = set(fields.leaves(entry.get("fieldsV1") or {}))
        for path in sorted(held & mine):
            if fields.value_at(live, path) == fields.value_at(applied, path):
                continue
            using = f' with subresource "{entry["subresource"]}"' if "subresource" in entry else ""
            causes.append(
                {
                    "reason": "FieldManagerConflict",
                    "message": f'conflict with "{entry["manager"]}"{using} '
                    f"using {entry['apiVersion']}",
                    "field": _told(path),
                }
            )
    if causes:
        number = len(causes)
        told = "\n".join(f"- {each['field']}" for each in causes)
        message = (
            f"Apply failed with {number} conflict{'s' if number > 1 else ''}: "
            f"{causes[0]['message']}: {causes[0]['field']}"
            if number == 1
            else f"Apply failed with {number} conflicts: {causes[0]['message']}:\n{told}"
        )
        raise errors.ApiError(409, "Conflict", message, details={"causes": causes})


def _told(path: fields.Path) -> str:
    told = ""
    for piece in path:
        if piece == ".":
            continue
        if piece.startswith("f:"):
            told += f".{piece[2:]}"
        elif piece.startswith("k:"):
            told += "[" + piece[3:-1].replace('"', "", 2).replace(":", "=", 1) + "]"
        else:
            told += f"[={piece[2:]}]"
    return told


def _merge(live: Any, applied: Any, path: fields.Path, shape: fields.Shape) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict) and not shape.is_atomic(path):
        for name, value in applied.items():
            below = (*path, f"f:{name}")
            live[name] = _merge(live[name], value, below, shape) if name in live else value
        return live
    if isinstance(applied, list) and isinstance(live, list):
        keys = shape.keys(path)
        if keys is not None:
            for item in applied:
                name = fields.element(item, keys)
                at = fields.find(live, name)
                if at is None:
                    live.append(copy.deepcopy(item))
                else:
                    live[at] = _merge(live[at], item, (*path, name), shape)
            return live
    return copy.deepcopy(applied)


def _remove(obj: Any, path: fields.Path) -> None:
    """Take one field out; an object that holds others' fields stays."""
    *above, last = path
    parent = obj
    for piece in above:
        if piece.startswith("f:"):
            if not isinstance(parent, dict) or piece[2:] not in parent:
                return
            parent = parent[piece[2:]]
        else:
            at = fields.find(parent, piece)
            if at is None:
                return
            parent = parent[at]
    if last == ".":
        _remove_if_bare(obj, tuple(above), parent)
    elif last.startswith("f:") and isinstance(parent, dict):
        parent.pop(last[2:], None)
    elif (at := fields.find(parent, last)) is not None:
        del parent[at]


def _remove_if_bare(obj: Any, path: fields.Path, found: Any) -> None:
    """Take out what held the removed fields, once it holds nothing but its own name."""
    keys = set()
    if path and path[-1].startswith("k:"):
        keys = set(json.loads(path[-1][2:]))
    if (isinstance(found, dict) and set(found) <= keys) or (isinstance(found, list) and not found):
        _remove(obj, path)


def _entries(
    entries: list[JsonObject],
    me: JsonObject,
    mine: set[fields.Path],
    live: JsonObject,
    applied: JsonObject,
) -> list[JsonObject]:
    result: list[JsonObject] = []
    previous: JsonObject | None = None
    for entry in entries:
        if managed_fields.same_owner(entry, me):
            previous = entry
            continue
        held = set(fields.leaves(entry.get("fieldsV1") or {}))
        lost = {
            path
            for path in held & mine
            if fields.value_at(live, path) != fields.value_at(applied, path)
        }
        if held - lost:
            result.append({**entry, "fieldsV1": fields.build(held - lost)} if lost else entry)
    told = {**me, "fieldsV1": fields.build(mine)}
    if previous is not None and previous.get("fieldsV1") == told["fieldsV1"]:
        told["time"] = previous["time"]
    return [told, *result]
