"""The small words everything else uses: which object, which incarnation, which version.

A `Key` names an object across kinds; it is hashed on every queue and cache operation, so it is a
plain tuple underneath. `Uid` tells one incarnation of a name from the next. A `ResourceVersion`
travels as text and is compared as an integer, here and nowhere else (Kubernetes has promised that
order since KEP-5504).
"""

import enum
from typing import NamedTuple, NewType

Uid = NewType("Uid", str)


class Kind(enum.StrEnum):
    """The kinds we read or write."""

    VOLUME_SNAPSHOT = "VolumeSnapshot"
    VOLUME_SNAPSHOT_CONTENT = "VolumeSnapshotContent"
    VOLUME_SNAPSHOT_CLASS = "VolumeSnapshotClass"
    CLAIM = "PersistentVolumeClaim"
    VOLUME = "PersistentVolume"
    VOLUME_GROUP_SNAPSHOT = "VolumeGroupSnapshot"
    VOLUME_GROUP_SNAPSHOT_CONTENT = "VolumeGroupSnapshotContent"
    VOLUME_GROUP_SNAPSHOT_CLASS = "VolumeGroupSnapshotClass"
    STORAGE_CLASS = "StorageClass"
    LEASE = "Lease"
    SECRET = "Secret"  # noqa: S105 - the kind, not a password
    NODE = "Node"
    EVENT = "Event"

    __hash__ = str.__hash__  # Enum's own goes through Python code on every lookup


class Key(NamedTuple):
    """One object: `namespace` is empty for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `Kind namespace/name`, or `Kind name`, as logs and messages show it."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


def version_number(resource_version: str) -> int:
    """Return the resourceVersion as the number it is compared by; 0 where there is none.

    Raises `ValueError` for text that is not a decimal number: the caller knows whose it was.
    """
    return int(resource_version) if resource_version else 0
