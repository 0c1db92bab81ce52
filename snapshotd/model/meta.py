"""The parts of object metadata we read, and references between objects.

Every Struct of `model` is frozen, drops the fields it does not name, and is left out of garbage
collection (`gc=False`: none can be part of a cycle). So an object read here must never be written
back whole: writes are patches (`kube/writer.py`).

Words that thousands of objects have in common (namespaces, classes, drivers, finalizers) are kept
once: a cache of settled snapshots is a quarter smaller for it, a decode 3 us longer.
"""

import functools
import sys

import msgspec


class Model(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The shape all of `model` shares: camelCase on the wire, defaults left out."""


@functools.lru_cache(maxsize=1024)
def _one_of_its_kind(words: tuple[str, ...]) -> tuple[str, ...]:
    return words


def share(obj: Model, *fields: str) -> None:
    """Have these fields of a new object hold the one copy of their word."""
    for field in fields:
        word = getattr(obj, field)
        if type(word) is str:
            msgspec.structs.force_setattr(obj, field, sys.intern(word))


class OwnerReference(Model, frozen=True, gc=False):
    """One owner of an object (meta/v1 OwnerReference)."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class ObjectMeta(Model, frozen=True, gc=False):
    """What we read of metadata; `resource_version` is text, compared by `keys.version_number`."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()

    def __post_init__(self) -> None:
        """Share what many objects have in common."""
        share(self, "namespace")
        if self.finalizers:
            finalizers = _one_of_its_kind(self.finalizers)
            msgspec.structs.force_setattr(self, "finalizers", finalizers)

    @property
    def deleting(self) -> bool:
        """Say whether a deletion was asked for and waits for finalizers."""
        return self.deletion_timestamp is not None


class ObjectReference(Model, frozen=True, gc=False):
    """A reference across kinds (core/v1 ObjectReference, the fields in use)."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""

    def __post_init__(self) -> None:
        """Share what many references have in common."""
        share(self, "api_version", "kind", "namespace")


class TypedReference(Model, frozen=True, gc=False):
    """A claim's `dataSource` or `dataSourceRef` (core/v1 TypedObjectReference)."""

    kind: str
    name: str
    api_group: str | None = None
    namespace: str | None = None
