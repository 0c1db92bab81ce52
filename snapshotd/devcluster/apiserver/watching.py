"""One watch: changes of a collection, from a version on, for as long as the client listens.

A watch that falls too far behind is closed, so that a slow client costs itself alone; it lists
again, as it must after any end.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from snapshotd.devcluster.apiserver import errors, forms, reads, requests, selectors, storage

JsonObject = dict[str, Any]
Write = Callable[[bytes], Awaitable[None]]

_BOOKMARK_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 3600
_MOST_BEHIND: Final = 20_000  # changes
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


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

    async def run(self, write: Write) -> None:
        """Send events until the time asked for is over, or the client is too slow.

        Raises `errors.ApiError` before anything was written where the watch cannot begin.
        """
        first = self._begin()
        try:
            if first:
                await write(b"".join(first))
            await self._follow(write)
        finally:
            self._storage.ignore(self._request.resource.ident, self._heard)

    def _begin(self) -> list[bytes]:
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
            lines = [self._line("ADDED", each) for _, each in found if self._test(each.value)]
            if initial:
                lines.append(self._bookmark(initial=True))
            return lines
        missed = self._storage.since(ident, wanted, self._heard)
        return [line for line in map(self._event, missed) if line]

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
            lines = [line for line in map(self._event, changes) if line]
            if lines:
                await write(b"".join(lines))

    def _seconds(self) -> float:
        asked = self._request.number("timeoutSeconds")
        if asked:
            return float(min(asked, _LONGEST_SECONDS))
        return random.uniform(_LONGEST_SECONDS / 2, _LONGEST_SECONDS)  # noqa: S311 - spreads load

    def _event(self, change: storage.Change) -> bytes:
        """Return the line that tells of a change, b'' where this watch does not see it."""
        namespace = self._request.namespace
        if namespace and change.name[0] != namespace:
            return b""
        if self._test is selectors.everything:
            was, is_ = change.old is not None, change.new is not None
        else:
            was = change.old is not None and self._test(change.old.value)
            is_ = change.new is not None and self._test(change.new.value)
        if not was and not is_:
            return b""
        if not is_:
            return self._line("DELETED", change.last)
        return self._line("MODIFIED" if was else "ADDED", change.last)

    def _line(self, type_: str, stored: storage.Stored) -> bytes:
        resource = self._request.resource
        if self._form is forms.Form.OBJECT:
            body = forms.body(stored, resource)
        else:
            value = forms.in_version(stored.value, resource)
            body = msgspec.json.encode(forms.of_one(self._request, value, self._form))
        return b'{"type":"' + type_.encode() + b'","object":' + body + b"}\n"

    def _bookmark(self, *, initial: bool = False) -> bytes:
        resource = self._request.resource
        meta: JsonObject = {"resourceVersion": str(self._storage.version)}
        if initial:
            meta["annotations"] = {_INITIAL_EVENTS_END: "true"}
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        if self._form is forms.Form.TABLE:
            obj = forms.of_list(self._request, [], meta, self._form)
        return msgspec.json.encode({"type": "BOOKMARK", "object": obj}) + b"\n"
