"""Who wrote which field last: `metadata.managedFields`, kept by every write.

A create takes the short way: all fields are the creator's. An update compares, gives what changed
to the writer, and takes it, and what is gone, from everybody else.
"""

import dataclasses
from typing import Any

from snapshotd.devcluster.apiserver.patches import fields

JsonObject = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class By:
    """Who writes, through which subresource, in which version, and when."""

    manager: str
    subresource: str
    api_version: str
    now: str


def update(
    old: JsonObject | None,
    new: JsonObject,
    *,
    by: By,
    shape: fields.Shape = fields.PLAIN,
) -> None:
    """Set `new`'s managedFields after a create, update or patch."""
    metadata = new["metadata"]
    sent = metadata.pop("managedFields", None)
    mine = owner(by, "Update")
    if old is None:
        metadata["managedFields"] = [{**mine, "fieldsV1": fields.of(new, shape)}]
        return
    entries = sent if sent is not None else old["metadata"].get("managedFields", [])
    if sent in ([], [{}]):
        return  # cleared by the client: everything is nobody's until it is written again
    before = set(fields.leaves(fields.of(old, shape)))
    after = set(fields.leaves(fields.of(new, shape)))
    changed = {
        path
        for path in after
        if path not in before or fields.value_at(old, path) != fields.value_at(new, path)
    }
    metadata["managedFields"] = _settle(entries, changed, after, mine)


def _settle(
    entries: list[JsonObject],
    changed: set[fields.Path],
    present: set[fields.Path],
    mine: JsonObject,
) -> list[JsonObject]:
    """Return the entries after a write: what changed is the writer's, what is gone is nobody's."""
    result: list[JsonObject] = []
    found = False
    for entry in entries:
        held = set(fields.leaves(entry.get("fieldsV1") or {}))
        is_mine = same_owner(entry, mine)
        kept = (held | changed if is_mine else held - changed) & present
        found = found or is_mine
        if not kept:
            continue
        told = {**entry, "fieldsV1": fields.build(kept)}
        if is_mine and changed:
            told["time"] = mine["time"]
        result.append(told)
    if changed and not found:
        result.append({**mine, "fieldsV1": fields.build(changed)})
    return result


def same_owner(entry: JsonObject, mine: JsonObject) -> bool:
    """Say whether two entries are of one manager, doing the same to the same."""
    return all(
        entry.get(part) == mine.get(part)
        for part in ("manager", "operation", "apiVersion", "subresource")
    )


def owner(by: By, operation: str) -> JsonObject:
    """Return an entry that says who writes, and not yet what."""
    entry: JsonObject = {
        "manager": by.manager,
        "operation": operation,
        "apiVersion": by.api_version,
        "time": by.now,
        "fieldsType": "FieldsV1",
    }
    if by.subresource:
        entry["subresource"] = by.subresource
    return entry
