"""The claim's actor: `decide.protection`, keyed by the claim, so that snapshots never fight."""

from snapshotd import errors
from snapshotd.actors import looking, perform
from snapshotd.decide import intents, protection, refusals, views
from snapshotd.model import keys, volumes, wire
from snapshotd.runtime import actor
from snapshotd.runtime import store as caches


class ClaimActor:
    """Adds and removes the one finalizer of claims that snapshots are being cut from."""

    def __init__(self, cache: caches.Store[wire.Object], performer: perform.Performer) -> None:
        """Join the cache and the hands."""
        self._cache = cache
        self._performer = performer
        self._eyes = looking.Eyes(cache, views.ClusterPolicy())

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        """Look, decide and perform once: what changes wakes the claim again."""
        claim = self._cache.find(volumes.PersistentVolumeClaim, key)
        if claim is None:
            return actor.Verdict()
        view = self._eyes.claim(claim)
        for intent in protection.decide(view).intents:
            match intent:
                case intents.UpdateMetadata():
                    await self._write_for(view, intent)
                case _:
                    raise TypeError(f"not for a claim: {intent}")
        return actor.Verdict()

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide and do nothing: return what a reconcile of this claim begins with."""
        claim = self._cache.find(volumes.PersistentVolumeClaim, key)
        return intents.SETTLED if claim is None else protection.decide(self._eyes.claim(claim))

    async def _write_for(self, view: views.ClaimView, intent: intents.UpdateMetadata) -> None:
        """Do one write; if the API server refuses it, tell the snapshots that wait for it."""
        try:
            await self._performer.write(intent)
        except errors.Terminal as error:
            for use in view.uses:
                name = view.claim.metadata.name
                for told in refusals.tell_unprotected(use.snapshot, name, str(error)):
                    await self._performer.perform(told)
            raise
