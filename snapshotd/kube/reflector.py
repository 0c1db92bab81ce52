"""Keeps the cache equal to what the API server has of one kind: list once, then watch.

The list is streamed where the server can (KEP-3157): a watch that begins with every object and says
when that is all, which costs the server a fraction of a list. A server that cannot is listed page
by page from then on.

Invariants: every object goes into the cache by a plain call in the order in which the server sent
it; a deletion is never lost (after a gap comes a complete list, and what it does not hold is gone);
an object that cannot be read costs itself alone; no failure ends `run`, and none is answered at
once; a stream that says nothing is given up in the end.

The watch is a class and not a generator, since a cancel scope must not be held over a yield.
"""

import dataclasses
import random
from collections.abc import Callable
from typing import Final, NoReturn

import anyio
import msgspec
import structlog

from snapshotd import errors
from snapshotd.kube import backoff, lines, resources, sessions
from snapshotd.kube import connection as connections
from snapshotd.kube import errors as answers
from snapshotd.model import keys, meta, wire
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_LIST_WITHIN: Final = 60.0  # seconds for one page
_TOO_SHORT: Final = 5.0  # seconds: an end sooner than this is a failure, lest we come back at once
_GIVE_UP: Final = 8  # failures in a row after which a version is held to be of no use
_SHOWN: Final = 80  # bytes of garbage in a log
_NOT_SELECTABLE: Final = "field label not supported"  # as API servers say it (400 BadRequest)


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """What to watch: a kind, in one namespace or all (''), by selectors.

    `optional`: the work goes on where the server does not serve the kind, or not to us. `keep`
    says which objects are wanted: it stands in for a field selector that the server does not know
    (a CustomResourceDefinition without `selectableFields`). `streaming`: lists are streamed for as
    long as the server can do that.
    """

    kind: keys.Kind
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    keep: Callable[[wire.Object], bool] | None = None
    optional: bool = False
    streaming: bool = False

    def query(self) -> dict[str, str]:
        """Return the selectors as the API takes them."""
        selectors = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in selectors.items() if value}


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Sizes and seconds; a watch's length is drawn anew each time, against herds."""

    page: int = 500  # objects; client-go's, and one request in a few milliseconds
    shortest: float = 300.0
    longest: float = 600.0
    silence: float = 150.0  # without a byte: an API server sends a bookmark every minute or so
    initial_silence: float = 10.0  # without a byte, before a streamed list is complete
    first_retry: float = 0.5
    last_retry: float = 30.0


class _Sketch(meta.Model, frozen=True, gc=False):
    """As little of an object as names it: bookmarks and deletions need no more."""

    metadata: meta.ObjectReference = meta.ObjectReference()


class _Annotations(meta.Model, frozen=True, gc=False):
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Bookmark(meta.Model, frozen=True, gc=False):
    """What a bookmark says beside its version."""

    metadata: _Annotations = _Annotations()


class _NotStreamed(errors.Unavailable):
    """The server began a streamed list, and cannot end it."""


_sketches: Final = msgspec.json.Decoder(_Sketch)
_bookmarks: Final = msgspec.json.Decoder(_Bookmark)
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Reflector:
    """Lists and watches one kind into the cache, for as long as `run` runs.

    `synced` is set when the cache holds the kind (or it is optional and not to be had).
    """

    def __init__(
        self,
        connection: connections.Connection,
        scope: Scope,
        *,
        store: caches.Store[wire.Object],
        clock: clocks.Clock,
        meters: metrics.Metrics,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; the connection is open when `run` is called."""
        self.synced = anyio.Event()
        self._initial: dict[keys.Key, wire.Object] | None = None  # of a list being streamed
        self.skipped = 0
        self.absent = ""  # why an optional kind is not to be had, while it is not
        self.kind = scope.kind
        self._connection = connection
        self._scope = scope
        self._resource = resources.of(scope.kind)
        self._store = store
        self._clock = clock
        self._meters = meters.reflector(str(scope.kind))
        self._timing = timing or Timing()
        self._backoff = backoff.Backoff(self._timing.first_retry, self._timing.last_retry)
        self._version = ""  # the last one the server told us of; '' before a list
        self._begun = 0.0
        self._trouble = "not listed yet"

    def check(self) -> str | None:
        """Return what is missing for the cache to hold this kind, None when it does."""
        return None if self.synced.is_set() else f"{self._scope.kind}: {self._trouble}"

    async def run(self) -> NoReturn:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version and not self._scope.streaming:
                    await self._list()
                await self._watch()
            except errors.SnapshotdError as error:
                if self._selects_for_itself(error) or self._lists_in_pages(error):
                    continue
                await self._clock.sleep(self._settle(error))

    def _selects_for_itself(self, error: errors.SnapshotdError) -> bool:
        """Go on without the field selector if the server does not know it; say whether so."""
        scope = self._scope
        if scope.keep is None or not scope.field_selector or _NOT_SELECTABLE not in str(error):
            return False
        log.info("field_not_selectable", kind=str(scope.kind), selector=scope.field_selector)
        self._scope = dataclasses.replace(scope, field_selector="")
        self._version = ""
        return True

    def _lists_in_pages(self, error: errors.SnapshotdError) -> bool:
        """Stream no more lists if the server cannot do that; say whether so."""
        cannot = isinstance(error, errors.Invalid | errors.Gone | _NotStreamed)
        if self._initial is None or not cannot:
            return False
        log.debug("list_not_streamed", kind=str(self._scope.kind), why=str(error))
        self._scope = dataclasses.replace(self._scope, streaming=False)
        self._initial = None
        return True

    def _settle(self, error: errors.SnapshotdError) -> float:
        """Take note of a failure and return the seconds to wait."""
        self._meters.failed()
        listing = not self._version  # of a version that is too old, a watch says Gone as well
        delay = self._backoff.delay(error)
        failures = self._backoff.failures
        if isinstance(error, errors.Gone) or failures >= _GIVE_UP:
            self._version = ""
        self._trouble = str(error)
        if self._scope.optional and isinstance(error, errors.Gone | errors.Refused):
            self.absent = _without(error) if listing else self.absent
            self.synced.set()
        # Any single end of a watch is ordinary: it counts when the next attempt fails as well
        expected = failures == 1 and self.synced.is_set()
        if self._scope.optional and isinstance(error, errors.Gone):
            expected = True  # not every server has it
        told = log.debug if expected or failures % 10 not in {1, 2} else log.warning
        told(
            "reflector_failed",
            kind=str(self._scope.kind),
            error=str(error),
            failures=failures,
            retry_in=round(delay, 2),
        )
        return delay

    def _succeeded(self) -> None:
        if self._backoff.failures > 1:
            log.info("reflector_recovered", kind=str(self._scope.kind))
        if self._backoff.failures:
            self._backoff.reset()

    async def _list(self) -> None:
        self._begun = self._clock.monotonic()
        objects: list[wire.Object] = []
        self._complete(objects, await self._read_pages(objects))

    def _complete(self, objects: list[wire.Object], version: str) -> None:
        """Make the cache equal to a list that has been read to its end."""
        self._store.replace(self._scope.kind, objects, _number(version))
        self._version = version
        self._meters.listed(len(objects), self._clock.monotonic() - self._begun)
        self._meters.heard(self._clock.now())
        self._succeeded()
        self.synced.set()
        if self.absent:
            log.info("kind_served_now", kind=str(self._scope.kind), objects=len(objects))
            self.absent = ""

    async def _read_pages(self, objects: list[wire.Object]) -> str:
        """Collect the objects and return the list's version; raises `Gone` if there is no list."""
        path = self._resource.collection(self._scope.namespace)
        query = {**self._scope.query(), "limit": str(self._timing.page)}
        while True:
            try:
                response = await self._connection.watches.request(
                    "GET", path, query=query, timeout=_LIST_WITHIN
                )
            except errors.Gone as error:
                if "continue" not in query:
                    raise errors.Gone(_advice(self._resource)) from error
                # The history ended while we turned pages: once more, in one piece
                query = self._scope.query()
                objects.clear()
                continue
            page = wire.decode_list(response.body)
            objects.extend(filter(None, map(self._listed, page.items)))
            if not page.metadata.continue_:
                return page.metadata.resource_version
            query["continue"] = page.metadata.continue_

    def _listed(self, raw: msgspec.Raw) -> wire.Object | None:
        """Return a listed object; one that cannot be read stays in the cache as it was."""
        decoded = self._decode(raw)
        if decoded is None:
            return self._store.get(self._key(_sketch(raw)))
        return decoded if self._wanted(decoded) else None

    def _watch_query(self, seconds: int) -> dict[str, str]:
        query = {
            **self._scope.query(),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if self._version:
            return {**query, "resourceVersion": self._version}
        return {**query, "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}

    async def _watch(self) -> None:
        seconds = int(random.uniform(self._timing.shortest, self._timing.longest))  # noqa: S311
        query = self._watch_query(seconds)
        self._initial = None if self._version else {}
        begun = self._begun = self._clock.monotonic()
        buffer = lines.LineBuffer()
        path = self._resource.collection(self._scope.namespace)
        silence = self._timing.silence
        async with self._connection.watches.stream(path, query=query, silence=silence) as stream:
            self._meters.watching()
            while chunk := await self._read(stream):
                self._meters.heard(self._clock.now())
                for line in buffer.feed(chunk):  # all of a chunk, before anybody else's turn
                    self._take(line)
        if buffer.rest.strip():
            raise errors.Unavailable(f"the watch broke off within {buffer.rest[:_SHOWN]!r}")
        lasted = self._clock.monotonic() - begun
        if lasted < _TOO_SHORT:
            raise errors.Unavailable(f"the watch ended after {lasted:.1f} s")

    async def _read(self, stream: sessions.Stream) -> bytes:
        """Return what has arrived; a streamed list that stays incomplete is not one."""
        if self._initial is None:
            return await stream.read()
        try:
            with anyio.fail_after(self._timing.initial_silence):
                return await stream.read()
        except TimeoutError:
            raise _NotStreamed("nothing says that the list is complete") from None

    def _take(self, line: bytes) -> None:
        """Put one event into the cache; raises what an ERROR event means."""
        try:
            event = wire.decode_event(line)
        except errors.Invalid as error:
            raise errors.Unavailable(f"no watch event: {line[:_SHOWN]!r}") from error
        match event.type:
            case "ADDED" | "MODIFIED":
                self._put(event.object)
            case "DELETED":
                self._remove(_sketch(event.object))
            case "BOOKMARK":
                self._mark(event.object)
            case "ERROR":
                self._meters.event(event.type)
                status = wire.decode_status(event.object)
                if self._initial is not None and status.code >= 500:
                    raise _NotStreamed(f"{status.code} {status.reason}: {status.message}")
                raise answers.from_status(
                    status, code=status.code, request=f"watch {self._resource.plural}"
                )
            case unknown:
                log.debug("watch_event_unknown", kind=str(self._scope.kind), type=unknown)
                return
        self._meters.event(event.type)
        self._succeeded()

    def _put(self, raw: msgspec.Raw) -> None:
        if self._initial is not None:
            listed = self._listed(raw)
            if listed is not None:
                self._initial[listed.key] = listed
            else:  # it may have been wanted when the list began
                self._initial.pop(self._key(_sketch(raw)), None)
            return
        decoded = self._decode(raw)
        if decoded is None:
            self._version = _sketch(raw).resource_version or self._version
            return
        self._version = decoded.metadata.resource_version
        if self._wanted(decoded):
            self._store.put(decoded)
        else:
            self._store.remove(decoded.key, _number(self._version))

    def _remove(self, sketch: meta.ObjectReference) -> None:
        if self._initial is not None:
            self._initial.pop(self._key(sketch), None)
            return
        self._store.remove(self._key(sketch), _number(sketch.resource_version))
        self._version = sketch.resource_version

    def _mark(self, raw: msgspec.Raw) -> None:
        """Take note of how far the server is; in a streamed list, whether that was all of it."""
        version = _sketch(raw).resource_version
        if self._initial is None:
            self._version = version or self._version
        elif _bookmarks.decode(raw).metadata.annotations.get(_INITIAL_EVENTS_END) == "true":
            objects, self._initial = list(self._initial.values()), None
            self._complete(objects, version)

    def _wanted(self, obj: wire.Object) -> bool:
        return self._scope.keep is None or self._scope.keep(obj)

    def _decode(self, raw: msgspec.Raw) -> wire.Object | None:
        try:
            return wire.decode(self._scope.kind, raw)
        except errors.Invalid as error:
            self.skipped += 1
            log.warning("object_skipped", kind=str(self._scope.kind), error=str(error))
            return None

    def _key(self, sketch: meta.ObjectReference) -> keys.Key:
        return keys.Key(self._scope.kind, sketch.namespace, sketch.name)


def _sketch(raw: msgspec.Raw) -> meta.ObjectReference:
    try:
        return _sketches.decode(raw).metadata
    except (msgspec.DecodeError, ValueError):
        return meta.ObjectReference()


def _without(error: errors.SnapshotdError) -> str:
    served = "the API server does not serve it" if isinstance(error, errors.Gone) else str(error)
    return f"{served}; it is asked again now and then"


def _number(version: str) -> int:
    try:
        return keys.version_number(version)
    except ValueError as error:
        raise errors.Invalid(f"resourceVersion {version!r} is not a number") from error


def _advice(resource: resources.Resource) -> str:
    served = f"the API server does not serve {resource.kind} ({resource.api_version})"
    if not resource.custom:
        return f"{served}: is this a Kubernetes API server of a supported version?"
    return (
        f"{served}: install its CustomResourceDefinition {resource.qualified}"
        " (kubectl apply -k config/crd); waiting for it"
    )
