"""Words to write OpenAPI schemas with, and the one way a built-in kind is described."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources
from snapshotd.devcluster.apiserver.crd import columns, schema

JsonObject = dict[str, Any]


def text(description: str, **more: Any) -> JsonObject:
    """Return the schema of a string."""
    return {"type": "string", "description": description, **more}


def flag(description: str) -> JsonObject:
    """Return the schema of a boolean."""
    return {"type": "boolean", "description": description}


def number(description: str) -> JsonObject:
    """Return the schema of a whole number."""
    return {"type": "integer", "format": "int64", "description": description}


def moment(description: str) -> JsonObject:
    """Return the schema of a time."""
    return {"type": "string", "format": "date-time", "description": description}


def quantity(description: str) -> JsonObject:
    """Return the schema of a Quantity."""
    return {"x-kubernetes-int-or-string": True, "description": description}


def strings(description: str, **more: Any) -> JsonObject:
    """Return the schema of a list of strings."""
    return {"type": "array", "items": {"type": "string"}, "description": description, **more}


def listed(items: JsonObject, description: str, key: str = "") -> JsonObject:
    """Return the schema of a list; a map by `key` where it is given."""
    result = {"type": "array", "items": items, "description": description}
    if key:
        result |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return result


def mapped(value: JsonObject, description: str) -> JsonObject:
    """Return the schema of a map from strings."""
    return {"type": "object", "additionalProperties": value, "description": description}


def struct(description: str, required: tuple[str, ...] = (), **fields: JsonObject) -> JsonObject:
    """Return the schema of an object with these fields."""
    result: JsonObject = {"type": "object", "description": description, "properties": fields}
    if required:
        result["required"] = list(required)
    return result


def anything(description: str) -> JsonObject:
    """Return the schema of an object whose fields are not looked at."""
    return {
        "type": "object",
        "description": description,
        "x-kubernetes-preserve-unknown-fields": True,
    }


def strings_map(description: str) -> JsonObject:
    """Return the schema of a map of strings."""
    return mapped({"type": "string"}, description)


def reference(description: str) -> JsonObject:
    """Return the schema of an ObjectReference."""
    return struct(
        description,
        apiVersion=text("API version of the object."),
        fieldPath=text("Part of the object."),
        kind=text("Kind of the object."),
        name=text("Name of the object."),
        namespace=text("Namespace of the object."),
        resourceVersion=text("Version of the object."),
        uid=text("Uid of the object."),
    ) | {"x-kubernetes-map-type": "atomic"}


Default = Callable[[JsonObject], None]
Validate = Callable[[JsonObject, JsonObject | None], list[errors.Cause]]


class Behaving:
    """A schema, and what a kind does beyond it: `resources.Schema`."""

    def __init__(
        self, declared: JsonObject, default: Default | None, validate: Validate | None
    ) -> None:
        """Compile the schema."""
        self._structural = schema.Structural(declared)
        self._default = default
        self._validate = validate

    def prune(self, obj: JsonObject) -> list[str]:
        """Remove unknown fields in place and return their paths."""
        return self._structural.prune(obj)

    def default(self, obj: JsonObject) -> None:
        """Fill in the defaults in place."""
        if self._default is not None:
            self._default(obj)
        self._structural.default(obj)

    def validate(self, obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
        """Check the schema, then what the kind demands beyond it."""
        causes = self._structural.validate(obj, old)
        if not causes and self._validate is not None:
            causes = self._validate(obj, old)
        return causes

    def openapi(self) -> JsonObject:
        """Return the schema as it was declared."""
        return self._structural.openapi()


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A built-in kind in few words."""

    kind: str
    plural: str
    fields: JsonObject
    description: str
    group: str = ""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    status: bool = False
    required: tuple[str, ...] = ()
    printed: tuple[tuple[str, str, str], ...] = ()  # column, type, JSONPath
    merge_keys: Mapping[str, str] = dataclasses.field(default_factory=dict)
    selectable: tuple[str, ...] = ()
    generation: bool = False
    default: Default | None = None
    validate: Validate | None = None
    cells: Mapping[str, Callable[[JsonObject], Any]] = dataclasses.field(default_factory=dict)

    def resource(self) -> resources.Resource:
        """Return what is served."""
        declared = struct(
            self.description,
            self.required,
            apiVersion=text("Version of the schema of this object."),
            kind=text("What this object is."),
            metadata={"type": "object", "description": "Metadata of every object."},
            **self.fields,
        )
        return resources.Resource(
            group=self.group,
            version="v1",
            plural=self.plural,
            singular=self.kind.lower(),
            kind=self.kind,
            list_kind=f"{self.kind}List",
            namespaced=self.namespaced,
            storage_version="v1",
            short_names=self.short_names,
            has_status=self.status,
            counts_generation=self.generation,
            schema=Behaving(declared, self.default, self.validate),
            columns=self._columns(),
            selectable_fields={path: columns.text_reader(f".{path}") for path in self.selectable},
            merge_keys=self.merge_keys,
        )

    def _columns(self) -> tuple[resources.Column, ...]:
        age = ("Age", "date", ".metadata.creationTimestamp")
        printed = columns.of(
            [
                {"name": name, "type": type_, "jsonPath": path}
                for name, type_, path in (*self.printed, age)
            ]
        )
        return tuple(
            dataclasses.replace(column, cell=self.cells[column.name])
            if column.name in self.cells
            else column
            for column in printed
        )
