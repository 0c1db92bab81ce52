"""Sets of fields, as `managedFields` writes them (structured-merge-diff, `fieldsV1`).

`f:name` is a member of an object, `k:{"key":"value"}` an element of a list that is a map, `v:value`
an element of a list that is a set, and `.` the thing itself. A `Shape` says which lists are which.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

JsonObject = dict[str, Any]
Fields = dict[str, Any]
Path = tuple[str, ...]

# Members of every object's top level that nobody owns.
_UNOWNED = {"apiVersion", "kind"}
_UNOWNED_METADATA = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
    "generateName",
}
_LISTS = {
    ("f:metadata", "f:finalizers"): "",
    ("f:metadata", "f:ownerReferences"): "uid",
}


class Shape:
    """Which lists are sets or maps; learned from `merge_keys` and the OpenAPI schema."""

    def __init__(self, merge_keys: Mapping[str, str] | None, schema: JsonObject | None) -> None:
        """Know the lists of metadata, those of `merge_keys`, and those the schema declares."""
        self._lists: dict[Path, tuple[str, ...]] = {
            path: (key,) if key else () for path, key in _LISTS.items()
        }
        for dotted, key in (merge_keys or {}).items():
            path = tuple(f"f:{piece}" for piece in dotted.split("."))
            self._lists[path] = (key,) if key else ()
        self._atomic: set[Path] = set()
        if schema is not None:
            self._learn(schema, ())

    def _learn(self, schema: JsonObject, path: Path) -> None:
        if schema.get("x-kubernetes-map-type") == "atomic":
            self._atomic.add(path)
        match schema.get("x-kubernetes-list-type"):
            case "map":
                self._lists[path] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
            case "set":
                self._lists[path] = ()
        for name, below in schema.get("properties", {}).items():
            self._learn(below, (*path, f"f:{name}"))
        items = schema.get("items")
        if isinstance(items, dict):
            self._learn(items, (*path, "[]"))

    def keys(self, path: Path) -> tuple[str, ...] | None:
        """Return a list's keys: () for a set, None for a list that is one value."""
        return self._lists.get(_general(path))

    def is_atomic(self, path: Path) -> bool:
        """Say whether an object is one value."""
        return _general(path) in self._atomic


PLAIN = Shape(None, None)


def _general(path: Path) -> Path:
    return tuple("[]" if piece[0] in "kv" else piece for piece in path)


def of(obj: JsonObject, shape: Shape) -> Fields:
    """Return the set of all fields of an object that somebody can own."""
    result: Fields = {}
    for name, value in obj.items():
        if name in _UNOWNED:
            continue
        if name == "metadata":
            owned = {k: v for k, v in value.items() if k not in _UNOWNED_METADATA}
            below = _of(owned, ("f:metadata",), shape)
            if below:
                result["f:metadata"] = below
        else:
            result[f"f:{name}"] = _of(value, (f"f:{name}",), shape)
    return result


def _of(value: Any, path: Path, shape: Shape) -> Fields:
    if isinstance(value, dict) and value and not shape.is_atomic(path):
        fields = {f"f:{k}": _of(v, (*path, f"f:{k}"), shape) for k, v in value.items()}
        if len(path) > 1:
            fields["."] = {}
        return fields
    if isinstance(value, list) and value:
        keys = shape.keys(path)
        if keys is not None:
            fields = {}
            for item in value:
                name = element(item, keys)
                fields[name] = _of(item, (*path, name), shape)
            fields["."] = {}
            return fields
    return {}


def element(item: Any, keys: tuple[str, ...]) -> str:
    """Return how an element of a set or map is called."""
    if not keys:
        return "v:" + msgspec.json.encode(item).decode()
    named = {key: item.get(key) for key in sorted(keys)} if isinstance(item, dict) else {}
    return "k:" + msgspec.json.encode(named).decode()


def leaves(fields: Fields, path: Path = ()) -> Iterator[Path]:
    """Iterate over the members of a set; a thing itself is its path with `.` behind."""
    for name, below in fields.items():
        if name == ".":
            yield (*path, ".")
        elif below:
            yield from leaves(below, (*path, name))
        else:
            yield (*path, name)


def build(paths: set[Path]) -> Fields:
    """Return the set with these members."""
    result: Fields = {}
    for path in sorted(paths):
        node = result
        for piece in path:
            node = node.setdefault(piece, {})
    return result


def value_at(obj: Any, path: Path) -> Any:
    """Return what a member stands for in an object; `MISSING` if it is not there."""
    for piece in path:
        if piece == ".":
            return obj if not isinstance(obj, (dict, list)) else _PRESENT
        if piece.startswith("f:"):
            if not isinstance(obj, dict) or piece[2:] not in obj:
                return MISSING
            obj = obj[piece[2:]]
        else:
            found = find(obj, piece)
            if found is None:
                return MISSING
            obj = obj[found]
    return obj


def find(items: Any, piece: str) -> int | None:
    """Return where in a list the element called `piece` is."""
    if not isinstance(items, list):
        return None
    wanted = msgspec.json.decode(piece[2:])
    for index, item in enumerate(items):
        if piece[0] == "v":
            if item == wanted:
                return index
        elif isinstance(item, dict) and all(item.get(k) == v for k, v in wanted.items()):
            return index
    return None


MISSING: Any = object()
_PRESENT: Any = object()
