"""VolumeSnapshot, VolumeSnapshotContent and VolumeSnapshotClass, the fields we read.

API group snapshot.storage.k8s.io, version v1 (v1beta1 has the same shape). Times differ on purpose:
a VolumeSnapshot's `creation_time` is RFC 3339 text, a content's is Unix nanoseconds.
"""

from typing import ClassVar

import msgspec

from snapshotd.model import families, keys, meta


class SnapshotError(meta.Model, frozen=True, gc=False):
    """The last error of a snapshot or content; `time` is RFC 3339."""

    time: str | None = None
    message: str | None = None


class VolumeSnapshotSource(meta.Model, frozen=True, gc=False):
    """Exactly one is set: the claim to cut from, or the content that exists already."""

    persistent_volume_claim_name: str | None = None
    volume_snapshot_content_name: str | None = None


class VolumeSnapshotSpec(meta.Model, frozen=True, gc=False):
    """What the user asks for; no class means the default class of the volume's driver."""

    source: VolumeSnapshotSource
    volume_snapshot_class_name: str | None = None

    def __post_init__(self) -> None:
        """Share the class's name."""
        meta.share(self, "volume_snapshot_class_name")


class VolumeSnapshotStatus(meta.Model, frozen=True, gc=False):
    """What is so; `restore_size` is a Quantity (text, or a plain number of bytes)."""

    bound_volume_snapshot_content_name: str | None = None
    creation_time: str | None = None
    ready_to_use: bool | None = None
    restore_size: str | int | None = None
    error: SnapshotError | None = None
    volume_group_snapshot_name: str | None = None


class VolumeSnapshot(meta.Model, frozen=True, gc=False):
    """A user's request for a snapshot, and its state."""

    family: ClassVar[families.Family] = families.SINGLE

    metadata: meta.ObjectMeta
    spec: VolumeSnapshotSpec
    status: VolumeSnapshotStatus | None = None

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.VOLUME_SNAPSHOT, self.metadata.namespace, self.metadata.name)

    @property
    def ready(self) -> bool:
        """Say whether the snapshot may be restored from."""
        return self.status is not None and self.status.ready_to_use is True

    @property
    def bound_content(self) -> str:
        """Return the name of the content in status, or ''."""
        if self.status is None:
            return ""
        return self.status.bound_volume_snapshot_content_name or ""

    @property
    def given_content(self) -> str:
        """Return the name of the content that is its source, or '': it is to be cut."""
        return self.spec.source.volume_snapshot_content_name or ""

    @property
    def class_name(self) -> str | None:
        """Return the class it names, None for the default one."""
        return self.spec.volume_snapshot_class_name

    @property
    def error(self) -> SnapshotError | None:
        """Return the error that its status tells."""
        return self.status.error if self.status else None


class VolumeSnapshotContentSource(meta.Model, frozen=True, gc=False):
    """Exactly one is set: the volume to cut from, or the snapshot that exists already."""

    volume_handle: str | None = None
    snapshot_handle: str | None = None


class VolumeSnapshotContentSpec(meta.Model, frozen=True, gc=False):
    """The snapshot on the storage system, as its owner wants it treated."""

    deletion_policy: str
    driver: str
    source: VolumeSnapshotContentSource
    volume_snapshot_ref: meta.ObjectReference
    volume_snapshot_class_name: str | None = None
    source_volume_mode: str | None = None

    def __post_init__(self) -> None:
        """Share what many contents have in common."""
        shared = ("deletion_policy", "driver", "volume_snapshot_class_name", "source_volume_mode")
        meta.share(self, *shared)


class VolumeSnapshotContentStatus(meta.Model, frozen=True, gc=False):
    """What the driver said; `creation_time` in Unix nanoseconds, `restore_size` in bytes."""

    snapshot_handle: str | None = None
    creation_time: int | None = None
    restore_size: int | None = None
    ready_to_use: bool | None = None
    error: SnapshotError | None = None
    volume_group_snapshot_handle: str | None = None


class VolumeSnapshotContent(families.Content, frozen=True, gc=False):
    """One snapshot on a storage system, and the VolumeSnapshot it belongs to."""

    family: ClassVar[families.Family] = families.SINGLE

    spec: VolumeSnapshotContentSpec
    status: VolumeSnapshotContentStatus | None = None

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return content_key(self.metadata.name)

    @property
    def ready(self) -> bool:
        """Say whether the driver said that the snapshot may be restored from."""
        return self.status is not None and self.status.ready_to_use is True

    @property
    def handle(self) -> str:
        """Return the driver's name for the snapshot as far as status tells it, or ''."""
        if self.status is None:
            return ""
        return self.status.snapshot_handle or ""

    @property
    def cut_from(self) -> tuple[str, ...]:
        """Return the driver's name for the volume it is cut from; none for one that was given."""
        volume = self.spec.source.volume_handle
        return (volume,) if volume else ()

    @property
    def given_handle(self) -> str:
        """Return the handle of a snapshot that existed before, or ''."""
        return self.spec.source.snapshot_handle or ""

    @property
    def ref(self) -> meta.ObjectReference:
        """Return the reference to its VolumeSnapshot."""
        return self.spec.volume_snapshot_ref

    @property
    def class_name(self) -> str | None:
        """Return the class it was made by, if any."""
        return self.spec.volume_snapshot_class_name

    @property
    def error(self) -> SnapshotError | None:
        """Return the error that its status tells."""
        return self.status.error if self.status else None


class VolumeSnapshotClass(meta.Model, frozen=True, gc=False):
    """How snapshots of one driver are to be cut and, later, deleted."""

    family: ClassVar[families.Family] = families.SINGLE

    metadata: meta.ObjectMeta
    driver: str
    deletion_policy: str
    parameters: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", self.metadata.name)


def content_key(name: str) -> keys.Key:
    """Return the key of the VolumeSnapshotContent of this name."""
    return keys.Key(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "", name)
