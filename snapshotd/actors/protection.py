"""The claim's actor: `decide.protection`, keyed by the claim, so that snapshots never fight."""

from snapshotd.actors import perform
from snapshotd.decide import intents, protection, publishing, routing, views
from snapshotd.model import keys, snapshots, volumes, wire
from snapshotd.runtime import actor
from snapshotd.runtime import store as caches


class ClaimActor:
    """Adds and removes the one finalizer of claims that snapshots are being cut from."""

    def __init__(self, cache: caches.Store[wire.Object], performer: perform.Performer) -> None:
        """Join the cache and the hands."""
        self._cache = cache
        self._performer = performer

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        """Look, decide and perform once: what changes wakes the claim again."""
        claim = self._cache.find(volumes.PersistentVolumeClaim, key)
        if claim is None:
            return actor.Verdict()
        for intent in protection.decide(self._look(claim)).intents:
            match intent:
                case intents.UpdateMetadata():
                    await self._performer.write(intent)
                case _:
                    raise TypeError(f"not for a claim: {intent}")
        return actor.Verdict()

    def _look(self, claim: volumes.PersistentVolumeClaim) -> views.ClaimView:
        users = self._cache.by_index(routing.SNAPSHOTS_BY_CLAIM, claim.key)
        uses = [self._use(each) for each in users if isinstance(each, snapshots.VolumeSnapshot)]
        return views.ClaimView(claim, tuple(uses))

    def _use(self, snapshot: snapshots.VolumeSnapshot) -> views.Use:
        key = snapshots.content_key(publishing.bound_name(snapshot))
        return views.Use(snapshot, self._cache.find(snapshots.VolumeSnapshotContent, key))
