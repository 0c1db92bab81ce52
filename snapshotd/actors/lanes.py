"""Who may call the driver now: so many at once of a kind, and so many at once for one volume.

A key for which there is no room is put aside, not kept in a hand: its worker goes on with another
key, and the key is woken when room is made. So a flood of creations cannot keep deletions waiting,
nor one busy volume all the others. Nothing here outlives the process: whoever was put aside is
looked at again when the next one starts.

Invariants: a key is aside in at most one lane; while a lane has keys aside, either a call is under
way in it or one of the keys has been woken for it. Costs: O(1) for each call and each key.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Final

from snapshotd.model import groups, keys

_SPARE: Final = 4  # one worker in so many is left to the other kind of call

Room = Mapping[Hashable, int]  # the lanes a call needs, and how many calls each has room for


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Calls to the driver at once: in all (one for each worker), and for one source volume."""

    workers: int = 10
    volume: int = 2

    def room_for(self, content: groups.AnyContent) -> Room:
        """Return the lanes that a call for this content needs.

        Creations and deletions each leave some of the workers to the other.
        """
        most = max(1, self.workers - max(1, self.workers // _SPARE))
        if content.metadata.deleting:
            return {"deleting": most}
        of_volumes: dict[Hashable, int] = {
            ("volume", each): self.volume for each in content.cut_from
        }
        return {"creating": most, **of_volumes}


class Lanes:
    """Room for calls, by lane; a lane is any name."""

    def __init__(self, wake: Callable[[keys.Key], None]) -> None:
        """Start with every lane empty; `wake` has a key looked at again."""
        self._wake = wake
        self._taken: dict[Hashable, int] = {}
        self._aside: dict[Hashable, OrderedDict[keys.Key, None]] = {}
        self._lane_of: dict[keys.Key, Hashable] = {}  # of keys aside
        self._called: dict[keys.Key, Hashable] = {}  # woken, and not yet seen again

    def __contains__(self, key: keys.Key) -> bool:
        """Say whether a key is aside: it will be woken."""
        return key in self._lane_of

    def __len__(self) -> int:
        """Return how many keys are aside."""
        return len(self._lane_of)

    def enter(self, key: keys.Key, room: Room) -> bool:
        """Take room in every lane named, or put the key aside for the first that is full.

        One that is aside for that lane already keeps its turn.
        """
        called_by = self._called.pop(key, None)
        full = [lane for lane, most in room.items() if self._taken.get(lane, 0) >= most]
        if full:
            if self._lane_of.get(key) != full[0]:
                self._forget(key)
                self._put_aside(key, full[0], first=full[0] == called_by)
        else:
            self._forget(key)
            for lane in room:
                self._taken[lane] = self._taken.get(lane, 0) + 1
        if called_by not in (full[:1] or room):
            self._call_next(called_by)  # it has no use for the room that it was woken for
        return not full

    def leave(self, room: Room) -> None:
        """Give the room back, and wake whoever waits longest for it."""
        for lane in room:
            left = self._taken.pop(lane) - 1
            if left:
                self._taken[lane] = left
            self._call_next(lane)

    def seen(self, key: keys.Key) -> None:
        """Note the end of a reconcile: one that was woken for room and needed none passes it on."""
        if key in self._called:
            self._call_next(self._called.pop(key))

    def _put_aside(self, key: keys.Key, lane: Hashable, *, first: bool) -> None:
        waiting = self._aside.setdefault(lane, OrderedDict())
        waiting[key] = None
        waiting.move_to_end(key, last=not first)
        self._lane_of[key] = lane

    def _forget(self, key: keys.Key) -> None:
        lane = self._lane_of.pop(key, None)
        if lane is not None:
            del self._aside[lane][key]
            if not self._aside[lane]:
                del self._aside[lane]

    def _call_next(self, lane: Hashable) -> None:
        if lane not in self._aside:
            return
        key = next(iter(self._aside[lane]))
        self._forget(key)
        self._called[key] = lane
        self._wake(key)
