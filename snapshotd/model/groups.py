"""VolumeGroupSnapshot, VolumeGroupSnapshotContent, VolumeGroupSnapshotClass: the fields we read.

API group groupsnapshot.storage.k8s.io, version v1; not every cluster has the definitions. Both
kinds' `creation_time` is RFC 3339 text, but a member's in the content's list is Unix nanoseconds.
"""

from typing import ClassVar, TypeAlias

import msgspec

from snapshotd.model import families, keys, meta, snapshots


class LabelRequirement(meta.Model, frozen=True, gc=False):
    """`operator` is In, NotIn, Exists or DoesNotExist (meta/v1 LabelSelectorRequirement)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(meta.Model, frozen=True, gc=False):
    """All of it must hold; an empty one selects everything (meta/v1 LabelSelector)."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()


class GroupSource(meta.Model, frozen=True, gc=False):
    """Exactly one is set: the claims to cut from, or the content that exists already."""

    selector: LabelSelector | None = None
    volume_group_snapshot_content_name: str | None = None


class GroupSpec(meta.Model, frozen=True, gc=False):
    """What the user asks for; no class means the default group class of the volumes' driver."""

    source: GroupSource
    volume_group_snapshot_class_name: str | None = None


class GroupStatus(meta.Model, frozen=True, gc=False):
    """What is so."""

    bound_volume_group_snapshot_content_name: str | None = None
    creation_time: str | None = None
    ready_to_use: bool | None = None
    error: snapshots.SnapshotError | None = None


class VolumeGroupSnapshot(meta.Model, frozen=True, gc=False):
    """A user's request for snapshots of several volumes at one point in time."""

    family: ClassVar[families.Family] = families.GROUP

    metadata: meta.ObjectMeta
    spec: GroupSpec
    status: GroupStatus | None = None

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return group_key(self.metadata.namespace, self.metadata.name)

    @property
    def ready(self) -> bool:
        """Say whether all members may be restored from."""
        return self.status is not None and self.status.ready_to_use is True

    @property
    def bound_content(self) -> str:
        """Return the name of the content in status, or ''."""
        if self.status is None:
            return ""
        return self.status.bound_volume_group_snapshot_content_name or ""

    @property
    def given_content(self) -> str:
        """Return the name of the content that is its source, or '': it is to be cut."""
        return self.spec.source.volume_group_snapshot_content_name or ""

    @property
    def class_name(self) -> str | None:
        """Return the class it names, None for the default one."""
        return self.spec.volume_group_snapshot_class_name

    @property
    def error(self) -> snapshots.SnapshotError | None:
        """Return the error that its status tells."""
        return self.status.error if self.status else None


class GroupHandles(meta.Model, frozen=True, gc=False):
    """A group that existed before: the driver's name for it, and for each of its members."""

    volume_group_snapshot_handle: str
    volume_snapshot_handles: tuple[str, ...] = ()


class GroupContentSource(meta.Model, frozen=True, gc=False):
    """Exactly one is set: the volumes to cut from, or the group that exists already."""

    volume_handles: tuple[str, ...] | None = None
    group_snapshot_handles: GroupHandles | None = None


class GroupContentSpec(meta.Model, frozen=True, gc=False):
    """The group on the storage system, as its owner wants it treated."""

    deletion_policy: str
    driver: str
    source: GroupContentSource
    volume_group_snapshot_ref: meta.ObjectReference
    volume_group_snapshot_class_name: str | None = None


class MemberInfo(meta.Model, frozen=True, gc=False):
    """One member as the driver described it; `creation_time` in ns, `restore_size` in bytes."""

    volume_handle: str | None = None
    snapshot_handle: str | None = None
    creation_time: int | None = None
    ready_to_use: bool | None = None
    restore_size: int | None = None


class GroupContentStatus(meta.Model, frozen=True, gc=False):
    """What the driver said."""

    volume_group_snapshot_handle: str | None = None
    creation_time: str | None = None
    ready_to_use: bool | None = None
    error: snapshots.SnapshotError | None = None
    volume_snapshot_info_list: tuple[MemberInfo, ...] = ()


class VolumeGroupSnapshotContent(families.Content, frozen=True, gc=False):
    """One group of snapshots on a storage system, and the VolumeGroupSnapshot it belongs to."""

    family: ClassVar[families.Family] = families.GROUP

    spec: GroupContentSpec
    status: GroupContentStatus | None = None

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return group_content_key(self.metadata.name)

    @property
    def ready(self) -> bool:
        """Say whether the driver said that all members may be restored from."""
        return self.status is not None and self.status.ready_to_use is True

    @property
    def handle(self) -> str:
        """Return the driver's name for the group as far as status tells it, or ''."""
        if self.status is None:
            return ""
        return self.status.volume_group_snapshot_handle or ""

    @property
    def cut_from(self) -> tuple[str, ...]:
        """Return the driver's names for the volumes; none for a group that was given."""
        return self.spec.source.volume_handles or ()

    @property
    def given_handle(self) -> str:
        """Return the handle of a group that existed before, or ''."""
        given = self.spec.source.group_snapshot_handles
        return given.volume_group_snapshot_handle if given else ""

    @property
    def ref(self) -> meta.ObjectReference:
        """Return the reference to its VolumeGroupSnapshot."""
        return self.spec.volume_group_snapshot_ref

    @property
    def class_name(self) -> str | None:
        """Return the class it was made by, if any."""
        return self.spec.volume_group_snapshot_class_name

    @property
    def error(self) -> snapshots.SnapshotError | None:
        """Return the error that its status tells."""
        return self.status.error if self.status else None

    @property
    def members(self) -> tuple[MemberInfo, ...]:
        """Return what the driver said of each member."""
        return self.status.volume_snapshot_info_list if self.status else ()

    @property
    def member_handles(self) -> tuple[str, ...]:
        """Return the handles of the members: those that were given, and what the driver said."""
        source = self.spec.source.group_snapshot_handles
        given = source.volume_snapshot_handles if source else ()
        said = (each.snapshot_handle for each in self.members if each.snapshot_handle)
        return tuple(dict.fromkeys((*given, *said)))


class VolumeGroupSnapshotClass(meta.Model, frozen=True, gc=False):
    """How groups of one driver's volumes are to be cut and, later, deleted."""

    family: ClassVar[families.Family] = families.GROUP

    metadata: meta.ObjectMeta
    driver: str
    deletion_policy: str
    parameters: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return self.family.class_key(self.metadata.name)


AnySnapshot: TypeAlias = snapshots.VolumeSnapshot | VolumeGroupSnapshot
AnyContent: TypeAlias = snapshots.VolumeSnapshotContent | VolumeGroupSnapshotContent
AnyClass: TypeAlias = snapshots.VolumeSnapshotClass | VolumeGroupSnapshotClass


def group_key(namespace: str, name: str) -> keys.Key:
    """Return the key of the VolumeGroupSnapshot of this name."""
    return keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT, namespace, name)


def group_content_key(name: str) -> keys.Key:
    """Return the key of the VolumeGroupSnapshotContent of this name."""
    return keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, "", name)
