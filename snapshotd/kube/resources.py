"""Which kinds there are, and under which path of the API each is found.

Every name goes into a path here and nowhere else, and only if it can be one segment of it: a name
that a user wrote into some field can never reach another object, nor a whole collection.
"""

import dataclasses
import urllib.parse
from typing import Final

from snapshotd import errors
from snapshotd.model import keys, names


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it; `group` is empty for the core group."""

    kind: keys.Kind
    group: str
    version: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """Return `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return `plural.group`, as kubectl and the names of definitions have it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def custom(self) -> bool:
        """Say whether a CustomResourceDefinition must be installed for it."""
        return self.group in {names.SNAPSHOT_GROUP, names.GROUP_GROUP}

    def collection(self, namespace: str = "") -> str:
        """Return the path to list, watch or create; '' means all namespaces (never to create)."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        if namespace:
            return f"{root}/namespaces/{_segment(namespace)}/{self.plural}"
        return f"{root}/{self.plural}"

    def object(self, namespace: str, name: str, *, subresource: str = "") -> str:
        """Return the path of one object, or of its `status`; raises `Invalid` for no name."""
        if self.namespaced != bool(namespace):
            raise errors.Invalid(f"{self.kind} {name!r} with namespace {namespace!r}")
        path = f"{self.collection(namespace)}/{_segment(name)}"
        return f"{path}/{subresource}" if subresource else path


def _snapshot(kind: keys.Kind, plural: str, *, namespaced: bool = False) -> Resource:
    return Resource(kind, names.SNAPSHOT_GROUP, "v1", plural, namespaced)


def _group(kind: keys.Kind, plural: str, *, namespaced: bool = False) -> Resource:
    return Resource(kind, names.GROUP_GROUP, "v1", plural, namespaced)


_ALL: Final = (
    _snapshot(keys.Kind.VOLUME_SNAPSHOT, "volumesnapshots", namespaced=True),
    _snapshot(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "volumesnapshotcontents"),
    _snapshot(keys.Kind.VOLUME_SNAPSHOT_CLASS, "volumesnapshotclasses"),
    _group(keys.Kind.VOLUME_GROUP_SNAPSHOT, "volumegroupsnapshots", namespaced=True),
    _group(keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, "volumegroupsnapshotcontents"),
    _group(keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS, "volumegroupsnapshotclasses"),
    Resource(keys.Kind.CLAIM, "", "v1", "persistentvolumeclaims", namespaced=True),
    Resource(keys.Kind.VOLUME, "", "v1", "persistentvolumes", namespaced=False),
    Resource(keys.Kind.STORAGE_CLASS, "storage.k8s.io", "v1", "storageclasses", namespaced=False),
    Resource(keys.Kind.LEASE, "coordination.k8s.io", "v1", "leases", namespaced=True),
    Resource(keys.Kind.SECRET, "", "v1", "secrets", namespaced=True),
    Resource(keys.Kind.NODE, "", "v1", "nodes", namespaced=False),
    Resource(keys.Kind.EVENT, "", "v1", "events", namespaced=True),
)
RESOURCES: Final = {resource.kind: resource for resource in _ALL}


def of(kind: keys.Kind) -> Resource:
    """Return the resource of a kind."""
    return RESOURCES[kind]


def path_of(key: keys.Key, *, subresource: str = "") -> str:
    """Return the path of one object, or of its `status`; raises `Invalid` for no name."""
    return of(key.kind).object(key.namespace, key.name, subresource=subresource)


def _segment(name: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "%" in name:
        raise errors.Invalid(f"{name!r} is no name of an object")
    return urllib.parse.quote(name, safe="")
