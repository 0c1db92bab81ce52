"""The VolumeSnapshot's actor: `decide.binding` while it lives, `decide.release` when it is to go.

Also the controller's own half of a content (`decide.contents`), which is next to nothing: what a
content means for its snapshot is decided under the snapshot's key.
"""

from collections.abc import Iterable
from typing import TypeVar

from snapshotd import errors
from snapshotd.actors import memory, perform
from snapshotd.decide import (
    binding,
    contents,
    intents,
    publishing,
    refusals,
    release,
    routing,
    views,
)
from snapshotd.model import groups, keys, names, snapshots, volumes, wire
from snapshotd.runtime import actor, clock
from snapshotd.runtime import store as caches

T = TypeVar("T")


class SnapshotActor:
    """Binds, publishes and releases VolumeSnapshots, one key at a time."""

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        performer: perform.Performer,
        *,
        policy: views.ClusterPolicy,
        time: clock.Clock,
    ) -> None:
        """Join the cache, the hands and the rules."""
        self._cache = cache
        self._performer = performer
        self._policy = policy
        self._time = time
        self._contents = memory.Contents()
        cache.subscribe(self._contents.observe)

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        """Look, decide and perform until there is nothing to do now."""
        asked = False  # whether the API server told, in this reconcile, which content there is
        for _ in range(perform.MOST_ROUNDS):
            snapshot = self._cache.find(snapshots.VolumeSnapshot, key)
            if snapshot is None:
                return actor.Verdict()
            decision = self._decide(snapshot, asked=asked)
            for intent in decision.intents:
                asked = await self._perform_for(snapshot, intent) or asked
            if decision.again != 0.0:
                return actor.Verdict(after=decision.again)
        raise errors.Unavailable(f"{key} did not settle in {perform.MOST_ROUNDS} rounds")

    async def reconcile_content(self, key: keys.Key) -> actor.Verdict:
        """See to a bound content's finalizer, and to one that came too late."""
        for _ in range(perform.MOST_ROUNDS):
            content = self._cache.find(snapshots.VolumeSnapshotContent, key)
            if content is None:
                break
            decision = self._decide_content(content)
            for intent in decision.intents:
                await self._perform(intent)
            if decision.again != 0.0:
                break
        return actor.Verdict()

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide and do nothing: return what a reconcile of a snapshot or content begins with."""
        match self._cache.get(key):
            case snapshots.VolumeSnapshot() as snapshot:
                return self._decide(snapshot, asked=False)
            case snapshots.VolumeSnapshotContent() as content:
                return self._decide_content(content)
            case _:
                return intents.SETTLED

    def _decide_content(self, content: snapshots.VolumeSnapshotContent) -> intents.Decision:
        waits = self._policy.distributed and contents.unplaced(content)
        half = views.ContentHalfView(
            content,
            came_too_late=self._contents.is_late(content),
            volume=self._home_of(content) if waits else None,
            nodes=self._nodes() if waits else (),
        )
        return contents.decide(half)

    def _home_of(self, content: snapshots.VolumeSnapshotContent) -> volumes.PersistentVolume | None:
        """Return the volume a content is cut from, if it is still there."""
        where = (content.spec.driver, content.spec.source.volume_handle)
        found = self._cache.by_index(routing.VOLUMES_BY_HANDLE, where)
        return next(iter(_only(volumes.PersistentVolume, found)), None)

    def _decide(self, snapshot: snapshots.VolumeSnapshot, *, asked: bool) -> intents.Decision:
        if snapshot.metadata.deleting:
            return release.decide(self._release_view(snapshot, asked=asked))
        view = self._binding_view(snapshot, content_absent=asked)
        return binding.decide(view, self._policy, self._time.now())

    async def _perform_for(
        self, snapshot: snapshots.VolumeSnapshot, intent: intents.Anything
    ) -> bool:
        """Do one thing for a snapshot; if the API server refuses it, tell the snapshot why."""
        if snapshot.metadata.deleting and isinstance(intent, intents.UpdateMetadata):
            # Noted before: a late content may be here before the answer, which may be lost.
            key = snapshots.content_key(publishing.bound_name(snapshot))
            if intent.target.key == snapshot.key and self._cache.get(key) is None:
                self._contents.did_without(key, snapshot.metadata.uid)
        try:
            return await self._perform(intent)
        except errors.Terminal as error:
            if isinstance(intent, intents.Write):
                now = self._time.now()
                for told in refusals.tell(snapshot, intent, str(error), now):
                    await self._perform(told)
            raise

    async def _perform(self, intent: intents.Anything) -> bool:
        """Do one thing; say whether the API server was asked what there is."""
        match intent:
            case intents.Refresh():
                await self._performer.read(intent.key)
                return True
            case intents.CreateContent():
                await self._create(intent)
            case intents.DriverCall():
                raise TypeError(f"the controller calls no driver: {intent}")
            case _:
                await self._performer.perform(intent)
        return False

    async def _create(self, intent: intents.CreateContent) -> None:
        key = intent.content.key
        self._contents.made(key, self._time.monotonic())
        try:
            await self._performer.write(intent)
        except errors.Conflict:
            # Ours, from a call whose answer was lost, or another's: the next look tells.
            await self._performer.read(key)

    def _binding_view(
        self, snapshot: snapshots.VolumeSnapshot, *, content_absent: bool
    ) -> views.BindingView:
        key = snapshots.content_key(publishing.bound_name(snapshot))
        content = self._cache.find(snapshots.VolumeSnapshotContent, key)
        age = self._contents.age(key, self._time.monotonic())
        if content is not None or snapshot.bound_content:
            return views.BindingView(
                snapshot, content=content, content_absent=content_absent, content_age=age
            )
        claim = self._claim_of(snapshot)
        volume = self._volume_of(claim)
        return views.BindingView(
            snapshot,
            content_absent=content_absent,
            claim=claim,
            volume=volume,
            snapshot_class=self._class_of(snapshot),
            default_classes=self._default_classes(snapshot),
            nodes=self._nodes(),
        )

    def _release_view(
        self, snapshot: snapshots.VolumeSnapshot, *, asked: bool
    ) -> views.ReleaseView:
        key = snapshots.content_key(publishing.bound_name(snapshot))
        restores = self._cache.by_index(routing.CLAIMS_BY_SNAPSHOT, snapshot.key)
        return views.ReleaseView(
            snapshot,
            content=self._cache.find(snapshots.VolumeSnapshotContent, key),
            asked=asked,
            content_absent=asked or self._contents.gone(key),
            restores=_only(volumes.PersistentVolumeClaim, restores),
            group=self._group_of(snapshot),
        )

    def _group_of(self, snapshot: snapshots.VolumeSnapshot) -> groups.VolumeGroupSnapshot | None:
        key = routing.group_of(snapshot)
        return self._cache.find(groups.VolumeGroupSnapshot, key) if key else None

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
