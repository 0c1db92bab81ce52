"""What the controller's rules are shown of a snapshot, group or content: views, from the cache.

Apart from the actor, so that whoever wants to know what would be decided, and why, looks with the
same eyes (`snapshotd explain`).
"""

from snapshotd.actors import belonging
from snapshotd.decide import contents, indexes, publishing, routing, views
from snapshotd.model import groups, keys, snapshots, volumes, wire
from snapshotd.runtime import store as caches


class Eyes:
    """Builds views from one cache; it needs `roles.CLUSTER_INDEXES`."""

    def __init__(self, cache: caches.Store[wire.Object], policy: views.ClusterPolicy) -> None:
        """Look at this cache; `policy` says whether nodes matter."""
        self._cache = cache
        self._policy = policy
        self.homes = belonging.Homes(cache)

    def bound_content(self, snapshot: groups.AnySnapshot) -> groups.AnyContent | None:
        """Return the content that a snapshot or group has, is to have, or names as its source."""
        found = self._cache.get(snapshot.family.content_key(publishing.bound_name(snapshot)))
        return found if isinstance(found, groups.AnyContent) else None

    def binding(
        self,
        snapshot: groups.AnySnapshot,
        *,
        content_absent: bool,
        content_age: float | None = None,
    ) -> views.BindingView:
        """Return what binding sees; what a content is made of only while there is none."""
        content = self.bound_content(snapshot)
        if content is not None or snapshot.bound_content:
            return views.BindingView(
                snapshot,
                content=content,
                content_absent=content_absent,
                content_age=content_age,
                home=self.homes.of(snapshot, content),
                members=self.homes.members(snapshot, content),
            )
        return self.source(snapshot, content_absent=content_absent)

    def source(self, snapshot: groups.AnySnapshot, *, content_absent: bool) -> views.BindingView:
        """Return what a content of a dynamic snapshot or group is made of."""
        claims = self._claims_of(snapshot)
        return views.BindingView(
            snapshot,
            content_absent=content_absent,
            sources=tuple(
                views.Source(name, claim, self._volume_of(claim)) for name, claim in claims
            ),
            snapshot_class=self._class_of(snapshot),
            default_classes=self._default_classes(snapshot),
            nodes=self._nodes(),
            home=self.homes.of(snapshot, None),
        )

    def release(
        self, snapshot: groups.AnySnapshot, *, asked: bool, gone: bool
    ) -> views.ReleaseView:
        """Return what release sees; `gone`: the content was seen to go."""
        members = self.homes.going_with(snapshot)
        restores = [
            claim
            for each in (snapshot, *members)
            for claim in self._cache.by_index(indexes.CLAIMS_BY_SNAPSHOT, each.key)
        ]
        return views.ReleaseView(
            snapshot,
            content=self.bound_content(snapshot),
            asked=asked,
            content_absent=asked or gone,
            restores=belonging.only(volumes.PersistentVolumeClaim, restores),
            group=self.homes.group_of(snapshot),
            members=members,
        )

    def half(self, content: groups.AnyContent, *, came_too_late: bool) -> views.ContentHalfView:
        """Return what the controller's half of a content sees."""
        waits = self._policy.distributed and contents.unplaced(content)
        return views.ContentHalfView(
            content,
            came_too_late=came_too_late,
            volume=self._home_of(content) if waits else None,
            nodes=self._nodes() if waits else (),
            cut=self.homes.cut_with(content),
        )

    def claim(self, claim: volumes.PersistentVolumeClaim) -> views.ClaimView:
        """Return what protection sees: the claim, and every unfinished snapshot or group of it."""
        users = self._cache.by_index(indexes.SNAPSHOTS_BY_CLAIM, claim.key)
        uses = [
            views.Use(each, self.bound_content(each))
            for each in belonging.only(snapshots.VolumeSnapshot, users)
        ]
        uses += [
            views.Use(each, self.bound_content(each)) for each in self.homes.groups_using(claim)
        ]
        return views.ClaimView(claim, tuple(uses))

    def _home_of(self, content: groups.AnyContent) -> volumes.PersistentVolume | None:
        """Return the volume a content is cut from, if it is still there."""
        for handle in content.cut_from:
            if (found := self.homes.volume(content.spec.driver, handle)) is not None:
                return found
        return None

    def _claims_of(
        self, snapshot: groups.AnySnapshot
    ) -> list[tuple[str, volumes.PersistentVolumeClaim | None]]:
        if isinstance(snapshot, groups.VolumeGroupSnapshot):
            selected = routing.claims_of_group(snapshot, self._cache)
            return [(each.metadata.name, each) for each in selected]
        key = indexes.claim_of(snapshot)
        name = snapshot.spec.source.persistent_volume_claim_name or ""
        claim = self._cache.find(volumes.PersistentVolumeClaim, key) if key else None
        return [(name, claim)]

    def _volume_of(
        self, claim: volumes.PersistentVolumeClaim | None
    ) -> volumes.PersistentVolume | None:
        if claim is None or not claim.spec.volume_name:
            return None
        return self._cache.find(
            volumes.PersistentVolume, volumes.volume_key(claim.spec.volume_name)
        )

    def _class_of(self, snapshot: groups.AnySnapshot) -> groups.AnyClass | None:
        found = self._cache.get(snapshot.family.class_key(snapshot.class_name or ""))
        return found if isinstance(found, groups.AnyClass) else None

    def _default_classes(self, snapshot: groups.AnySnapshot) -> tuple[groups.AnyClass, ...]:
        if snapshot.class_name is not None:
            return ()
        every = self._cache.of_kind(snapshot.family.class_kind)
        default = snapshot.family.default_class
        return tuple(
            each
            for each in every
            if isinstance(each, groups.AnyClass)
            and each.metadata.annotations.get(default) == "true"
        )

    def _nodes(self) -> tuple[volumes.Node, ...]:
        if not self._policy.distributed:
            return ()
        return belonging.only(volumes.Node, self._cache.of_kind(keys.Kind.NODE))
