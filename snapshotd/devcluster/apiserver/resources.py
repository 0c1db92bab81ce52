"""What a served resource is, and the registry of all that are served.

Both the built-in resources (`builtin/`) and those of CustomResourceDefinitions (`crd/`) are
described by the same `Resource`, so that no other module asks where a resource comes from. One
`Resource` is one (group, version, plural); the versions of one kind share an `ident`, under which
the storage keeps their objects.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]


class Pending(Exception):
    """A conversion that somebody must be asked for: `resolve`, then begin again."""

    def __init__(self, resolve: Callable[[], Awaitable[None]]) -> None:
        """Keep what asks; it raises `errors.ApiError` where there is no good answer."""
        super().__init__("a conversion must be asked for")
        self.resolve = resolve


class Conversion(Protocol):
    """Turns objects of one kind into another of its versions."""

    def __call__(self, obj: JsonObject, api_version: str) -> JsonObject:
        """Return a new object; raises `Pending`, or `errors.ApiError`."""

    def ready(self, objects: Sequence[JsonObject], api_version: str) -> None:
        """Raise one `Pending` for all of several objects, if any of them must be asked for."""


ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


class Schema(Protocol):
    """A compiled structural schema: what `crd/` and `builtin/` make of OpenAPI v3."""

    def prune(self, obj: JsonObject) -> list[str]:
        """Remove unknown fields in place and return their paths (`spec.foo`), in order."""

    def default(self, obj: JsonObject) -> None:
        """Fill in the defaults in place."""

    def validate(self, obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
        """Check types, formats, required fields and CEL rules (transition rules if `old`)."""

    def openapi(self) -> JsonObject:
        """Return the OpenAPI v3 schema as published (descriptions and extensions included)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One printed column of a Table: `cell` computes its value from the object (as stored)."""

    name: str
    type: str
    description: str
    priority: int
    cell: Callable[[JsonObject], Any]
    format: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """One served (group, version, plural).

    `conversion` turns objects into another version of the kind; None means that only `apiVersion`
    changes. `merge_keys` holds the strategic-merge keys of the type by
    field path (`spec.taints` -> `key`); None for custom resources, which refuse that patch.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    storage_version: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_status: bool = False
    has_scale: bool = False
    counts_generation: bool = True
    schema: Schema | None = None
    columns: Sequence[Column] = ()
    selectable_fields: Mapping[str, Callable[[JsonObject], str]] = dataclasses.field(
        default_factory=dict
    )
    merge_keys: Mapping[str, str] | None = None
    conversion: Conversion | None = None
    deprecation_warning: str = ""
    custom: bool = False

    @property
    def ident(self) -> tuple[str, str]:
        """Return what the versions of one kind share: (group, plural)."""
        return (self.group, self.plural)

    @property
    def api_version(self) -> str:
        """Return `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Registry:
    """All served resources; CustomResourceDefinitions come and go while the server runs."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self.revision = 0

    def put(self, resource: Resource) -> None:
        """Serve this resource (replacing the one of the same group, version and plural)."""
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self.revision += 1

    def drop(self, group: str, plural: str) -> None:
        """Serve none of the versions of this kind any more."""
        gone = [path for path in self._by_path if path[0] == group and path[2] == plural]
        for path in gone:
            del self._by_path[path]
        self.revision += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource served under this path, if any."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """Return the resource of this kind, if any is served in this version."""
        for resource in self:
            if (resource.group, resource.version, resource.kind) == (group, version, kind):
                return resource
        return None

    def __iter__(self) -> Iterator[Resource]:
        """Iterate over a copy of all served resources."""
        return iter(list(self._by_path.values()))
