"""The indexes that looking for keys, and building views, rest on: by what objects are found.

Each is a name, and a pure function from an object to what it is found under in the cache. What
is not found so would have to be looked for among all objects, by every change.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import Protocol

from snapshotd.decide import contents, publishing, validation
from snapshotd.model import groups, keys, names, snapshots, volumes, wire

SNAPSHOTS_BY_CLAIM = "unfinished snapshots by claim"
SNAPSHOTS_BY_CONTENT = "snapshots by content"
SNAPSHOTS_BY_CLASS = "unbound snapshots by class"
CLAIMS_BY_SNAPSHOT = "restores by snapshot"
CLAIMS_BY_NAMESPACE = "claims by namespace"
CONTENTS_BY_CLASS = "unready contents by class"
MEMBERS_BY_GROUP = "snapshots by group"
GIVEN_BY_GROUP = "contents made by hand, by driver and group handle"
GROUPS_BY_CONTENT = "groups by content"
GROUPS_BY_CLASS = "unbound groups by class"
GROUPS_BY_NAMESPACE = "unfinished groups by namespace"
GROUP_CONTENTS_BY_HANDLE = "group contents by driver and handle"
GROUP_CONTENTS_BY_CLASS = "unready group contents by class"
UNPLACED_CONTENTS = "contents that may wait for a node"
UNPLACED_GROUP_CONTENTS = "group contents that may wait for a node"
VOLUMES_BY_HANDLE = "volumes by driver and handle"

NO_CLASS = ""
ANY_NODE = ""
ANYWHERE = ""


class Lookup(Protocol):
    """The part of the cache that routing reads."""

    def by_index(self, name: str, value: Hashable) -> Iterable[wire.Object]:
        """Return the objects under one value of an index."""

    def get(self, key: keys.Key) -> wire.Object | None:
        """Return the cached object."""


def claim_of(snapshot: snapshots.VolumeSnapshot) -> keys.Key | None:
    """Return the key of the claim a snapshot is cut from, None for a pre-provisioned one."""
    name = snapshot.spec.source.persistent_volume_claim_name
    return volumes.claim_key(snapshot.metadata.namespace, name) if name else None


def unfinished_by_claim(snapshot: snapshots.VolumeSnapshot) -> Iterator[keys.Key]:
    """Index: the claim, while the snapshot is neither ready nor being deleted."""
    claim = claim_of(snapshot)
    if claim is not None and not snapshot.ready and not snapshot.metadata.deleting:
        yield claim


def by_content(snapshot: groups.AnySnapshot) -> Iterator[str]:
    """Index: the name of the content the snapshot, or group, has, is to have, or names."""
    yield publishing.bound_name(snapshot)


def unbound_by_class(snapshot: groups.AnySnapshot) -> Iterator[str]:
    """Index: the class a dynamic snapshot without content names, `NO_CLASS` where it names none."""
    if not snapshot.given_content and not snapshot.bound_content:
        yield snapshot.class_name or NO_CLASS


def unfinished_group(group: groups.VolumeGroupSnapshot) -> Iterator[str]:
    """Index: the namespace whose claims a group is cut from, until it is ready; and `ANYWHERE`."""
    if not group.given_content and not group.ready and not group.metadata.deleting:
        yield group.metadata.namespace
        yield ANYWHERE


def restore_of(claim: volumes.PersistentVolumeClaim) -> Iterator[keys.Key]:
    """Index: the snapshot that a pending claim is to be filled from, whichever field names it."""
    if claim.status.phase != names.PENDING:
        return
    for source in {claim.spec.data_source, claim.spec.data_source_ref}:
        if source is None or source.kind != keys.Kind.VOLUME_SNAPSHOT:
            continue
        if source.api_group == names.SNAPSHOT_GROUP:
            namespace = source.namespace or claim.metadata.namespace
            yield keys.Key(keys.Kind.VOLUME_SNAPSHOT, namespace, source.name)


def by_namespace(claim: volumes.PersistentVolumeClaim) -> Iterator[str]:
    """Index: the namespace, in which a group selects its claims."""
    yield claim.metadata.namespace


def unready_by_class(content: groups.AnyContent) -> Iterator[str]:
    """Index: the class of a content that the driver has not made ready."""
    if not content.ready:
        yield content.class_name or NO_CLASS


def group_by_handle(content: groups.VolumeGroupSnapshotContent) -> Iterator[tuple[str, str]]:
    """Index: the driver and its name for a group."""
    if handle := content.handle or content.given_handle:
        yield content.spec.driver, handle


def given_by_group(content: snapshots.VolumeSnapshotContent) -> Iterator[tuple[str, str]]:
    """Index: the driver and its name for the group that a content made by hand belongs to."""
    handle = content.status.volume_group_snapshot_handle if content.status else None
    if handle and content.given_handle:
        yield content.spec.driver, handle


def member_of(snapshot: snapshots.VolumeSnapshot) -> Iterator[keys.Key]:
    """Index: the group snapshot that a snapshot is a member of."""
    group = group_of(snapshot)
    if group is not None:
        yield group


def group_of(snapshot: snapshots.VolumeSnapshot) -> keys.Key | None:
    """Return the key of the group snapshot that a snapshot is a member of, None for none."""
    name = snapshot.status.volume_group_snapshot_name if snapshot.status else None
    if not name:
        owner = validation.owner_group(snapshot)
        name = owner.name if owner is not None else None
    return groups.group_key(snapshot.metadata.namespace, name) if name else None


def unplaced(content: groups.AnyContent) -> Iterator[str]:
    """Index: under `ANY_NODE`, the contents that may wait for a node to be named."""
    if contents.unplaced(content):
        yield ANY_NODE


def by_handle(volume: volumes.PersistentVolume) -> Iterator[tuple[str, str]]:
    """Index: the driver and its name for a volume."""
    if volume.spec.csi is not None:
        yield volume.spec.csi.driver, volume.spec.csi.volume_handle
