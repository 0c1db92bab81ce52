"""One watch: changes of a collection, from a version on, for as long as the client listens.

A watch that falls too far behind is closed, so that a slow client costs itself alone; it lists
again, as it must after any end.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec

from snapshotd.devcluster.apiserver import errors, forms, reads, requests, selectors, storage

JsonObject = dict[str, Any]
Write = Callable[[bytes], Awaitable[None]]

_BOOKMARK_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 3600
_MOST_BEHIND: Final = 20_000  # changes
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class _Event(NamedTuple):
    """What a client is told: the type, and the object of which."""

    type: str
    stored: storage.Stored


class Watch:
    """What one client watches, and what it has not been sent yet."""

    def __init__(
        self,
        request: requests.Request,
        kept: storage.Storage,
        reader: reads.Reads,
        form: forms.Form,
    ) -> None:
        """Prepare; nothing is missed from `begin` on."""
        self._request = request
        self._storage = kept
        self._test = reader.select(request)
        self._form = form
        self._waiting: deque[storage.Change] = deque()
        self._news = asyncio.Event()
        self._behind = False
        self._opening = b""  # what ends the events of a watch's beginning

    async def run(self, write: Write) -> None:
        """Send events until the time asked for is over, or the client is too slow.

        Raises `errors.ApiError` before anything was written where the watch cannot begin.
        """
        first = self._begin()
        try:
            lines = await self._lines(first)
            lines += [self._opening] if self._opening else []
            if lines:
                await write(b"".join(lines))
            await self._follow(write)
        finally:
            self._storage.ignore(self._request.resource.ident, self._heard)

    def _begin(self) -> list[_Event]:
        """Subscribe, and return the events that come before the first change."""
        request, ident = self._request, self._request.resource.ident
        wanted = request.number("resourceVersion") or 0
        initial = request.flag("sendInitialEvents")
        if wanted > self._storage.version:
            raise errors.ApiError(
                504,
                "Timeout",
                f"Too large resource version: {wanted}, current: {self._storage.version}",
            )
        if initial or not wanted:
            self._storage.since(ident, self._storage.version, self._heard)
            found = self._storage.all_of(ident, request.namespace)
            if initial:
                self._opening = self._bookmark(initial=True)
            return [_Event("ADDED", each) for _, each in found if self._test(each.value)]
        missed = self._storage.since(ident, wanted, self._heard)
        return [event for event in map(self._event, missed) if event is not None]

    def _heard(self, change: storage.Change) -> None:
        if len(self._waiting) >= _MOST_BEHIND:
            self._behind = True
        else:
            self._waiting.append(change)
        self._news.set()

    async def _follow(self, write: Write) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds()
        bookmarks = self._request.flag("allowWatchBookmarks")
        while not self._behind:
            pause = min(_BOOKMARK_SECONDS, end - loop.time())
            if pause <= 0:
                break
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                if bookmarks:
                    await write(self._bookmark())
                continue
            self._news.clear()
            changes, self._waiting = self._waiting, deque()
            events = [event for event in map(self._event, changes) if event is not None]
            if events:
                await write(b"".join(await self._lines(events)))

    def _seconds(self) -> float:
        asked = self._request.number("timeoutSeconds")
        if asked:
            return float(min(asked, _LONGEST_SECONDS))
        return random.uniform(_LONGEST_SECONDS / 2, _LONGEST_SECONDS)  # noqa: S311 - spreads load

    def _event(self, change: storage.Change) -> _Event | None:
        """Return what a change is to this watch, None where it does not see it."""
        namespace = self._request.namespace
        if namespace and change.name[0] != namespace:
            return None
        if self._test is selectors.everything:
            was, is_ = change.old is not None, change.new is not None
        else:
            was = change.old is not None and self._test(change.old.value)
            is_ = change.new is not None and self._test(change.new.value)
        if not was and not is_:
            return None
        if not is_:
            return _Event("DELETED", change.last)
        return _Event("MODIFIED" if was else "ADDED", change.last)

    async def _lines(self, events: list[_Event]) -> list[bytes]:
        async def make() -> list[bytes]:
            forms.ready((each.stored for each in events), self._request.resource)
            return [self._line(each) for each in events]

        return await forms.settled(make)

    def _line(self, event: _Event) -> bytes:
        resource, stored = self._request.resource, event.stored
        if self._form is forms.Form.OBJECT:
            body = forms.body(stored, resource)
        else:
            value = forms.in_version(stored.value, resource)
            body = msgspec.json.encode(forms.of_one(self._request, value, self._form))
        return b'{"type":"' + event.type.encode() + b'","object":' + body + b"}\n"

    def _bookmark(self, *, initial: bool = False) -> bytes:
        resource = self._request.resource
        meta: JsonObject = {"resourceVersion": str(self._storage.version)}
        if initial:
            meta["annotations"] = {_INITIAL_EVENTS_END: "true"}
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        if self._form is forms.Form.TABLE:
            obj = forms.of_list(self._request, [], meta, self._form)
        return msgspec.json.encode({"type": "BOOKMARK", "object": obj}) + b"\n"
