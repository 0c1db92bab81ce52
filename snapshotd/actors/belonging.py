"""Which group a snapshot, content or claim belongs to, as far as the cache tells; for `looking`.

A member names its group as its owner; one that was made by hand is known by its group's handle.
"""

from collections.abc import Iterable
from typing import TypeVar

from snapshotd.decide import indexes, members, publishing, routing, validation, views
from snapshotd.model import groups, keys, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

T = TypeVar("T")


class Homes:
    """Looks into one cache; it needs `roles.CLUSTER_INDEXES`."""

    def __init__(self, cache: caches.Store[wire.Object]) -> None:
        """Look at this cache."""
        self._cache = cache

    def of(
        self, snapshot: groups.AnySnapshot, content: groups.AnyContent | None
    ) -> views.Home | None:
        """Return a member's group and what it is made of, None for what is no member."""
        if not isinstance(snapshot, snapshots.VolumeSnapshot):
            return None
        if not validation.is_member(snapshot):
            return self._of_given(content)
        group = self.group_of(snapshot)
        cut = self._content_of(group) if group is not None else None
        if cut is None or content is not None:
            return views.Home(group, cut)
        info = members.names_of(cut).get(snapshot.metadata.name, groups.MemberInfo())
        return views.Home(group, cut, self.volume(cut.spec.driver, info.volume_handle or ""))

    def _of_given(self, content: groups.AnyContent | None) -> views.Home | None:
        status = content.status if isinstance(content, snapshots.VolumeSnapshotContent) else None
        if content is None or status is None or not status.volume_group_snapshot_handle:
            return None
        cut = self._by_handle(content.spec.driver, status.volume_group_snapshot_handle)
        if cut is None:
            return None
        key = groups.group_key(cut.ref.namespace, cut.ref.name)
        group = self._cache.find(groups.VolumeGroupSnapshot, key)
        same_namespace = cut.ref.namespace == content.ref.namespace
        if group is None or group.metadata.uid != cut.ref.uid or not same_namespace:
            return None
        return views.Home(group, cut)

    def group_of(self, snapshot: groups.AnySnapshot) -> groups.VolumeGroupSnapshot | None:
        """Return the group that a snapshot is a member of, if it is there."""
        if not isinstance(snapshot, snapshots.VolumeSnapshot):
            return None
        key = indexes.group_of(snapshot)
        found = self._cache.find(groups.VolumeGroupSnapshot, key) if key else None
        owner = validation.owner_group(snapshot)
        if found is None or (owner is not None and owner.uid != found.metadata.uid):
            return None
        return found

    def members(
        self, group: groups.AnySnapshot, content: groups.AnyContent | None
    ) -> tuple[views.Member, ...]:
        """Return what the driver cut for a dynamic group, and what became of each member."""
        if not isinstance(group, groups.VolumeGroupSnapshot):
            return ()
        if not isinstance(content, groups.VolumeGroupSnapshotContent):
            return ()
        if not validation.points_back(content, group):
            return ()
        namespace = group.metadata.namespace
        return tuple(
            views.Member(
                info,
                self._cache.find(
                    snapshots.VolumeSnapshot,
                    keys.Key(keys.Kind.VOLUME_SNAPSHOT, namespace, name),
                ),
                self._claim_name(content.spec.driver, info.volume_handle or "", namespace),
            )
            for name, info in members.names_of(content).items()
        )

    def going_with(self, group: groups.AnySnapshot) -> tuple[snapshots.VolumeSnapshot, ...]:
        """Return the snapshots that a group owns."""
        if not isinstance(group, groups.VolumeGroupSnapshot):
            return ()
        found = self._cache.by_index(indexes.MEMBERS_BY_GROUP, group.key)
        return tuple(
            each
            for each in only(snapshots.VolumeSnapshot, found)
            if (owner := validation.owner_group(each)) and owner.uid == group.metadata.uid
        )

    def cut_with(self, content: groups.AnyContent) -> groups.VolumeGroupSnapshotContent | None:
        """Return the group's content that a member's content was cut with."""
        if not validation.follows_group(content):
            return None
        handle = content.metadata.annotations[names.GROUP_HANDLE_ANNOTATION]
        return self._by_handle(content.spec.driver, handle)

    def groups_using(
        self, claim: volumes.PersistentVolumeClaim
    ) -> tuple[groups.VolumeGroupSnapshot, ...]:
        """Return the unfinished groups that are, or are to be, cut from a claim, among others."""
        found = self._cache.by_index(indexes.GROUPS_BY_NAMESPACE, claim.metadata.namespace)
        return tuple(
            each
            for each in only(groups.VolumeGroupSnapshot, found)
            if routing.uses(each, claim, self._cache)
        )

    def volume(self, driver: str, handle: str) -> volumes.PersistentVolume | None:
        """Return the volume of this handle, if it is still there."""
        found = self._cache.by_index(indexes.VOLUMES_BY_HANDLE, (driver, handle))
        return next(iter(only(volumes.PersistentVolume, found)), None)

    def _claim_name(self, driver: str, handle: str, namespace: str) -> str:
        volume = self.volume(driver, handle)
        ref = volume.spec.claim_ref if volume is not None else None
        return ref.name if ref is not None and ref.namespace == namespace else ""

    def _content_of(
        self, group: groups.VolumeGroupSnapshot
    ) -> groups.VolumeGroupSnapshotContent | None:
        key = groups.group_content_key(publishing.bound_name(group))
        return self._cache.find(groups.VolumeGroupSnapshotContent, key)

    def _by_handle(self, driver: str, handle: str) -> groups.VolumeGroupSnapshotContent | None:
        found = self._cache.by_index(indexes.GROUP_CONTENTS_BY_HANDLE, (driver, handle))
        return next(iter(only(groups.VolumeGroupSnapshotContent, found)), None)


def only(type_: type[T], objects: Iterable[object]) -> tuple[T, ...]:
    """Return the objects of one type."""
    return tuple(each for each in objects if isinstance(each, type_))
