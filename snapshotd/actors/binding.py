"""The snapshot's actor: `decide.binding` while it lives, `decide.release` when it is to go.

A group is a snapshot here: it has the same rules, and its members are keys of their own.

Also the controller's own half of a content (`decide.contents`), which is next to nothing: what a
content means for its snapshot is decided under the snapshot's key.
"""

from snapshotd import errors
from snapshotd.actors import looking, memory, perform
from snapshotd.decide import (
    binding,
    contents,
    intents,
    publishing,
    refusals,
    release,
    views,
)
from snapshotd.model import groups, keys, snapshots, wire
from snapshotd.runtime import actor, chronicle, clock
from snapshotd.runtime import store as caches


class SnapshotActor:
    """Binds, publishes and releases snapshots and groups, one key at a time."""

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
        self._eyes = looking.Eyes(cache, policy)
        self._contents = memory.Contents()
        cache.subscribe(self._contents.observe)

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        """Look, decide and perform until there is nothing to do now."""
        asked = False  # whether the API server told, in this reconcile, which content there is
        for _ in range(perform.MOST_ROUNDS):
            snapshot = self._cache.get(key)
            if not isinstance(snapshot, groups.AnySnapshot):
                return actor.Verdict()
            decision = self._decide(snapshot, asked=asked)
            chronicle.because(decision.why)
            for intent in decision.intents:
                asked = await self._perform_for(snapshot, intent) or asked
            if decision.again != 0.0:
                return actor.Verdict(after=decision.again)
        raise errors.Unavailable(f"{key} did not settle in {perform.MOST_ROUNDS} rounds")

    async def reconcile_content(self, key: keys.Key) -> actor.Verdict:
        """See to a bound content's finalizer, and to one that came too late."""
        for _ in range(perform.MOST_ROUNDS):
            content = self._cache.get(key)
            if not isinstance(content, groups.AnyContent):
                break
            decision = self._decide_content(content)
            chronicle.because(decision.why)
            for intent in decision.intents:
                await self._perform(intent)
            if decision.again != 0.0:
                break
        return actor.Verdict()

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide and do nothing: return what a reconcile of a snapshot or content begins with."""
        match self._cache.get(key):
            case snapshots.VolumeSnapshot() | groups.VolumeGroupSnapshot() as snapshot:
                return self._decide(snapshot, asked=False)
            case snapshots.VolumeSnapshotContent() | groups.VolumeGroupSnapshotContent() as content:
                return self._decide_content(content)
            case _:
                return intents.SETTLED

    def _decide_content(self, content: groups.AnyContent) -> intents.Decision:
        late = self._contents.is_late(content)
        return contents.decide(self._eyes.half(content, came_too_late=late))

    def _decide(self, snapshot: groups.AnySnapshot, *, asked: bool) -> intents.Decision:
        key = snapshot.family.content_key(publishing.bound_name(snapshot))
        if snapshot.metadata.deleting:
            gone = self._contents.gone(key)
            return release.decide(self._eyes.release(snapshot, asked=asked, gone=gone))
        age = self._contents.age(key, self._time.monotonic())
        view = self._eyes.binding(snapshot, content_absent=asked, content_age=age)
        return binding.decide(view, self._policy, self._time.now())

    async def _perform_for(self, snapshot: groups.AnySnapshot, intent: intents.Anything) -> bool:
        """Do one thing for a snapshot; if the API server refuses it, tell the snapshot why."""
        if snapshot.metadata.deleting and isinstance(intent, intents.UpdateMetadata):
            # Noted before: a late content may be here before the answer, which may be lost.
            key = snapshot.family.content_key(publishing.bound_name(snapshot))
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
                self._contents.made(intent.content.key, self._time.monotonic())
                await self._create(intent, intent.content.key)
            case intents.CreateMember():
                await self._create(intent, intent.snapshot.key)
            case intents.DriverCall():
                raise TypeError(f"the controller calls no driver: {intent}")
            case _:
                await self._performer.perform(intent)
        return False

    async def _create(
        self, intent: intents.CreateContent | intents.CreateMember, key: keys.Key
    ) -> None:
        try:
            await self._performer.write(intent)
        except errors.Conflict:
            # Ours, from a call whose answer was lost, or another's: the next look tells.
            await self._performer.read(key)
