"""What /statusz shows of one role, put together when somebody looks.

A role tells its view what it is made of as that comes to be; until then the view shows less.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from snapshotd.kube import connection, reflector
from snapshotd.model import keys, times, wire
from snapshotd.runtime import actor, clock, store, workqueue
from snapshotd.telemetry import statusz


class Decided(Protocol):
    """A decision, as far as it is shown."""

    @property
    def why(self) -> str:
        """What is waited for, in words."""


class Looking(Protocol):
    """A role that can be asked what it would do."""

    def look(self, key: keys.Key) -> Decided:
        """Decide for a key and do nothing."""


class View:
    """One role, seen from outside."""

    def __init__(self, name: str, time: clock.Clock) -> None:
        """Show a role that starts now."""
        self.name = name
        self.lease = ""
        self.driver: Callable[[], statusz.Driver | None] = lambda: None
        self._time = time
        self._state: statusz.State = "starting"
        self._since = time.now()
        self._link: connection.Connection | None = None
        self._cache: store.Store[wire.Object] | None = None
        self._watches: Mapping[keys.Kind, reflector.Reflector] = {}
        self._queues: Mapping[keys.Kind, workqueue.WorkQueue[keys.Key]] = {}
        self._actors: Iterable[actor.Actor[keys.Key]] = ()
        self._look: Callable[[keys.Key], Decided] | None = None

    def turn(self, state: statusz.State) -> None:
        """Take note of what the role is from now on."""
        if state != self._state:
            self._state, self._since = state, self._time.now()

    def watches(
        self,
        link: connection.Connection,
        cache: store.Store[wire.Object],
        watches: Mapping[keys.Kind, reflector.Reflector],
    ) -> None:
        """Show the connection and the caches."""
        self._link, self._cache, self._watches = link, cache, watches

    def works(
        self,
        role: Any,
        queues: Mapping[keys.Kind, workqueue.WorkQueue[keys.Key]],
        actors: Iterable[actor.Actor[keys.Key]],
    ) -> None:
        """Show the queues, and what the actors remember."""
        self._look = getattr(role, "look", None)  # the provisioner of `dev` has none
        self._queues, self._actors = queues, actors

    def status(self) -> statusz.Role:
        """Return what is so now."""
        looks = {queue.name: queue.look(statusz.SHOWN) for queue in self._queues.values()}
        return statusz.Role(
            name=self.name,
            state=self._state,
            since=times.rfc3339(self._since),
            lease=self.lease,
            waits=sum(each.chronicle.waits() for each in self._actors),
            queues=[
                statusz.Queue(name, look.due, look.delayed, look.in_hand)
                for name, look in looks.items()
            ],
            waiting=self._waiting(),
            failures=self._failures(),
            throttle=self._throttle(),
            driver=self.driver(),
            caches=self._caches(),
        )

    def _waiting(self) -> list[statusz.Waiting]:
        """Return the keys that wait longest, whatever for; only of these the reason is asked."""
        found: dict[keys.Key, statusz.Waiting] = {}
        for each in self._actors:
            for wait in each.chronicle.longest_waits(statusz.SHOWN):
                found[wait.key] = statusz.Waiting(str(wait.key), "waits", wait.seconds, wait.why)
        for queue in self._queues.values():
            for held in queue.look(statusz.SHOWN).oldest:
                known = found.get(held.key)
                delayed = held.where == "delayed"
                found[held.key] = statusz.Waiting(
                    key=str(held.key),
                    where=held.where,
                    seconds=known.seconds if known else 0.0 if delayed else held.seconds,
                    why=known.why if known else "",
                    failures=held.failures,
                    again_in=max(0.0, held.seconds) if delayed else None,
                )
        longest = sorted(found.items(), key=lambda item: -item[1].seconds)[: statusz.SHOWN]
        return [self._explained(key, each) for key, each in longest]

    def _explained(self, key: keys.Key, waiting: statusz.Waiting) -> statusz.Waiting:
        """Return it with the reason as of now: what was told last may be over."""
        why = self._look(key).why if self._look is not None else ""
        return statusz.Waiting(
            waiting.key,
            waiting.where,
            round(waiting.seconds, 1),
            why or waiting.why,
            waiting.failures,
            None if waiting.again_in is None else round(waiting.again_in, 1),
        )

    def _failures(self) -> list[statusz.Failure]:
        every = [failure for each in self._actors for failure in each.chronicle.lately()]
        newest = sorted(every, key=lambda failure: -failure.at)[: statusz.SHOWN]
        return [
            statusz.Failure(
                at=times.rfc3339(each.at),
                key=str(each.key),
                result=each.result,
                error=each.error,
                times=each.times,
                reconcile_id=each.reconcile_id,
            )
            for each in newest
        ]

    def _throttle(self) -> statusz.Throttle | None:
        if self._link is None:
            return None
        throttle = self._link.throttle
        return statusz.Throttle(throttle.places, throttle.in_use, throttle.waiting)

    def _caches(self) -> list[statusz.Cache]:
        if self._cache is None:
            return []
        return [
            statusz.Cache(
                kind=str(kind),
                objects=self._cache.count(kind),
                synced=watch.synced.is_set(),
                problem=watch.check() or "",
            )
            for kind, watch in self._watches.items()
        ]
