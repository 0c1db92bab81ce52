"""What the controller's rules are shown of a snapshot or content: views, built from the cache.

Apart from the actor, so that whoever wants to know what would be decided, and why, looks with the
same eyes (`snapshotd explain`).
"""

from collections.abc import Iterable
from typing import TypeVar

from snapshotd.decide import contents, publishing, routing, views
from snapshotd.model import groups, keys, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

T = TypeVar("T")


class Eyes:
    """Builds views from one cache; it needs `roles.CLUSTER_INDEXES`."""

    def __init__(self, cache: caches.Store[wire.Object], policy: views.ClusterPolicy) -> None:
        """Look at this cache; `policy` says whether nodes matter."""
        self._cache = cache
        self._policy = policy

    def bound_content(
        self, snapshot: snapshots.VolumeSnapshot
    ) -> snapshots.VolumeSnapshotContent | None:
        """Return the content that a snapshot has, is to have, or names as its source."""
        key = snapshots.content_key(publishing.bound_name(snapshot))
        return self._cache.find(snapshots.VolumeSnapshotContent, key)

    def binding(
        self,
        snapshot: snapshots.VolumeSnapshot,
        *,
        content_absent: bool,
        content_age: float | None = None,
    ) -> views.BindingView:
        """Return what binding sees; what a content is made of only while there is none."""
        content = self.bound_content(snapshot)
        if content is not None or snapshot.bound_content:
            return views.BindingView(
                snapshot, content=content, content_absent=content_absent, content_age=content_age
            )
        return self.source(snapshot, content_absent=content_absent)

    def source(
        self, snapshot: snapshots.VolumeSnapshot, *, content_absent: bool
    ) -> views.BindingView:
        """Return what a content of a dynamic snapshot is made of."""
        claim = self._claim_of(snapshot)
        return views.BindingView(
            snapshot,
            content_absent=content_absent,
            claim=claim,
            volume=self._volume_of(claim),
            snapshot_class=self._class_of(snapshot),
            default_classes=self._default_classes(snapshot),
            nodes=self._nodes(),
        )

    def release(
        self, snapshot: snapshots.VolumeSnapshot, *, asked: bool, gone: bool
    ) -> views.ReleaseView:
        """Return what release sees; `gone`: the content was seen to go."""
        group = routing.group_of(snapshot)
        restores = self._cache.by_index(routing.CLAIMS_BY_SNAPSHOT, snapshot.key)
        return views.ReleaseView(
            snapshot,
            content=self.bound_content(snapshot),
            asked=asked,
            content_absent=asked or gone,
            restores=_only(volumes.PersistentVolumeClaim, restores),
            group=self._cache.find(groups.VolumeGroupSnapshot, group) if group else None,
        )

    def half(
        self, content: snapshots.VolumeSnapshotContent, *, came_too_late: bool
    ) -> views.ContentHalfView:
        """Return what the controller's half of a content sees."""
        waits = self._policy.distributed and contents.unplaced(content)
        return views.ContentHalfView(
            content,
            came_too_late=came_too_late,
            volume=self._home_of(content) if waits else None,
            nodes=self._nodes() if waits else (),
        )

    def claim(self, claim: volumes.PersistentVolumeClaim) -> views.ClaimView:
        """Return what protection sees: the claim, and every unfinished snapshot of it."""
        users = self._cache.by_index(routing.SNAPSHOTS_BY_CLAIM, claim.key)
        uses = [
            views.Use(each, self.bound_content(each))
            for each in _only(snapshots.VolumeSnapshot, users)
        ]
        return views.ClaimView(claim, tuple(uses))

    def _home_of(self, content: snapshots.VolumeSnapshotContent) -> volumes.PersistentVolume | None:
        """Return the volume a content is cut from, if it is still there."""
        where = (content.spec.driver, content.spec.source.volume_handle)
        found = self._cache.by_index(routing.VOLUMES_BY_HANDLE, where)
        return next(iter(_only(volumes.PersistentVolume, found)), None)

    def _claim_of(self, snapshot: snapshots.VolumeSnapshot) -> volumes.PersistentVolumeClaim | None:
        key = routing.claim_of(snapshot)
        return self._cache.find(volumes.PersistentVolumeClaim, key) if key else None

    def _volume_of(
        self, claim: volumes.PersistentVolumeClaim | None
    ) -> volumes.PersistentVolume | None:
        if claim is None or not claim.spec.volume_name:
            return None
        return self._cache.find(
            volumes.PersistentVolume, volumes.volume_key(claim.spec.volume_name)
        )

    def _class_of(self, snapshot: snapshots.VolumeSnapshot) -> snapshots.VolumeSnapshotClass | None:
        name = snapshot.spec.volume_snapshot_class_name
        key = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name or "")
        return self._cache.find(snapshots.VolumeSnapshotClass, key)

    def _default_classes(
        self, snapshot: snapshots.VolumeSnapshot
    ) -> tuple[snapshots.VolumeSnapshotClass, ...]:
        if snapshot.spec.volume_snapshot_class_name is not None:
            return ()
        every = self._cache.of_kind(keys.Kind.VOLUME_SNAPSHOT_CLASS)
        return tuple(
            each
            for each in _only(snapshots.VolumeSnapshotClass, every)
            if each.metadata.annotations.get(names.DEFAULT_CLASS_ANNOTATION) == "true"
        )

    def _nodes(self) -> tuple[volumes.Node, ...]:
        if not self._policy.distributed:
            return ()
        return _only(volumes.Node, self._cache.of_kind(keys.Kind.NODE))


def _only(type_: type[T], objects: Iterable[object]) -> tuple[T, ...]:
    return tuple(each for each in objects if isinstance(each, type_))
