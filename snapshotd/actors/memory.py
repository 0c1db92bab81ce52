"""What a process remembers beside the cache: losing it costs time or a call, never safety.

Bounded, oldest forgotten first, and empty after a restart: every reader has a safe answer for what
is not remembered.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from snapshotd.decide import outcomes
from snapshotd.model import groups, keys, wire
from snapshotd.runtime import store as caches

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The last `size` things noted."""

    def __init__(self, size: int = 10_000) -> None:
        """Start empty."""
        self._size = size
        self._noted: OrderedDict[K, V] = OrderedDict()

    def note(self, key: K, value: V) -> None:
        """Remember, in place of what was noted under this key before."""
        self._noted[key] = value
        self._noted.move_to_end(key)
        if len(self._noted) > self._size:
            self._noted.popitem(last=False)

    def recall(self, key: K) -> V | None:
        """Return what was noted, None if nothing was or it is forgotten."""
        return self._noted.get(key)

    def forget(self, key: K) -> None:
        """Forget what was noted, if anything was."""
        self._noted.pop(key, None)


class Contents:
    """The contents this process made, has seen go, or found it could do without (controller)."""

    def __init__(self) -> None:
        """Start empty."""
        self._made: Recent[keys.Key, float] = Recent()
        self._gone: Recent[keys.Key, bool] = Recent()
        self._without: Recent[keys.Key, str] = Recent()

    def made(self, key: keys.Key, now: float) -> None:
        """Note that the content was created by us at `now` (monotonic seconds)."""
        self._made.note(key, now)

    def age(self, key: keys.Key, now: float) -> float | None:
        """Return the seconds since we created it, None if we did not."""
        since = self._made.recall(key)
        return None if since is None else now - since

    def gone(self, key: keys.Key) -> bool:
        """Say whether this process has seen the content go."""
        return self._gone.recall(key) is True

    def did_without(self, key: keys.Key, snapshot_uid: str) -> None:
        """Note that a snapshot was let go when there was no content of this name."""
        self._without.note(key, snapshot_uid)

    def is_late(self, content: groups.AnyContent) -> bool:
        """Say whether a content was made for a snapshot that had been let go without one."""
        if not content.cut_from:
            return False  # made by hand, for a snapshot of its own
        uid = self._without.recall(content.key)
        return uid is not None and uid == content.ref.uid

    def observe(self, change: caches.Change[wire.Object]) -> None:
        """Note what goes.

        Only what was made for one snapshot, whose name can never be taken by another: of a content
        made by hand, a new one of the same name may be on its way.
        """
        old = change.old
        if change.new is not None or not isinstance(old, groups.AnyContent):
            return
        self._made.forget(old.key)
        if old.cut_from:
            self._gone.note(old.key, value=True)


class Attempts:
    """What became of CreateSnapshot calls, and how often a snapshot was not ready (sidecar).

    A content seen to appear while we watch has had no call yet; of one that was there before us
    nothing is known.
    """

    def __init__(self) -> None:
        """Start before the watch: whatever appears now was there before."""
        self._watching = False
        self._ended: dict[str, outcomes.Attempt] = {}
        self._polls: dict[str, int] = {}

    def start(self) -> None:
        """Take what appears from now on as new: the cache is complete."""
        self._watching = True

    def of(self, content: groups.AnyContent) -> outcomes.Attempt:
        """Return what is known of calls for this content."""
        return self._ended.get(content.metadata.uid, outcomes.Attempt.UNKNOWN)

    def note(self, content: groups.AnyContent, attempt: outcomes.Attempt) -> None:
        """Note that a call is about to be sent (UNKNOWN), or how it ended."""
        if attempt is outcomes.Attempt.UNKNOWN:
            self._ended.pop(content.metadata.uid, None)
        else:
            self._ended[content.metadata.uid] = attempt

    def polls(self, content: groups.AnyContent) -> int:
        """Return how often in a row the snapshot was not ready."""
        return self._polls.get(content.metadata.uid, 0)

    def polled(self, content: groups.AnyContent) -> None:
        """Count one more look at which it was not ready."""
        self._polls[content.metadata.uid] = self.polls(content) + 1

    def observe(self, change: caches.Change[wire.Object]) -> None:
        """Note what appears, and forget what goes or has become ready."""
        old, new = change.old, change.new
        if isinstance(old, groups.AnyContent) and (new is None or _ready(new)):
            self._ended.pop(old.metadata.uid, None)
            self._polls.pop(old.metadata.uid, None)
        if old is None and isinstance(new, groups.AnyContent):
            begun = new.status is not None or new.being_created
            if self._watching and not begun:
                self._ended[new.metadata.uid] = outcomes.Attempt.NEVER


def _ready(obj: wire.Object) -> bool:
    return isinstance(obj, groups.AnyContent) and obj.ready
