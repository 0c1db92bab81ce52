"""Doing what was decided: the intents in order, up to the first that fails.

What a write returned goes into the cache at once, so the next decision sees it. Nothing here knows
a rule, and no error is settled here: the actor that holds the key does that.
"""

from typing import Protocol

import structlog

from snapshotd import errors
from snapshotd.actors import ports
from snapshotd.decide import intents
from snapshotd.model import keys, secrets, wire
from snapshotd.runtime import chronicle
from snapshotd.runtime import store as caches

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

MOST_ROUNDS = 12  # looks in one reconcile; more means that two rules disagree


class Waker(Protocol):
    """Has another key of ours looked at now."""

    def __call__(self, key: keys.Key) -> None:
        """Put the key into its queue."""


class Performer:
    """Performs intents through the ports; shared by all actors of a role."""

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        *,
        world: ports.World,
        wake: Waker,
    ) -> None:
        """Join the cache and the ports."""
        self._cache = cache
        self._writer = world.writer
        self._recorder = world.recorder
        self.wake = wake

    async def write(self, intent: intents.Write) -> None:
        """Do one write, keep what it returned, and note it: it changed the cluster."""
        key = _key_of(intent)
        try:
            stored = await self._writer.write(intent)
        except errors.Gone:
            if not isinstance(intent, intents.DeleteContent | intents.DeleteMember):
                raise
            stored = None
        if stored is not None:
            self._cache.put(stored)
        else:
            self._forget(intent, key)
        deed = type(intent).__name__
        chronicle.note(f"{deed} {key}", changed=True)
        log.debug("wrote", object=str(key), intent=deed)

    def _forget(self, intent: intents.Write, key: keys.Key) -> None:
        """Drop what is gone with this write; the name may be taken again before its answer came."""
        cached = self._cache.get(key)
        if isinstance(intent, intents.CreateContent | intents.CreateMember) or cached is None:
            return
        if cached.metadata.uid == intent.target.uid:
            self._cache.remove(key, keys.version_number(cached.metadata.resource_version))

    async def read(self, key: keys.Key) -> wire.Object | None:
        """Read one object from the API server, keep it, and return it; None if there is none."""
        found = await self._writer.read(key)
        if found is not None:
            self._cache.put(found)
        return found

    async def read_secret(self, key: keys.Key) -> secrets.Secret | None:
        """Read a Secret from the API server; it is never kept."""
        found = await self._writer.read(key)
        return found if isinstance(found, secrets.Secret) else None

    async def perform(self, intent: intents.Write | intents.Announce | intents.Wake) -> None:
        """Do anything but a call to the driver or a read, whose results somebody waits for."""
        match intent:
            case intents.Announce():
                self._recorder.announce(intent)
            case intents.Wake():
                self.wake(intent.key)
            case _:
                await self.write(intent)


def _key_of(intent: intents.Write) -> keys.Key:
    match intent:
        case intents.CreateContent():
            return intent.content.key
        case intents.CreateMember():
            return intent.snapshot.key
        case _:
            return intent.target.key
