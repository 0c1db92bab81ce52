"""Reads, and never writes: the snapshots by list and watch, and what endpoints tell of themselves.

The list is streamed, or read page by page, once; from then on only what changes is sent. Contents
and classes may be closed to the reader: then less is known of drivers. Groups may be closed, too,
or not be there at all: then there are none.
"""

import collections
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import anyio
import msgspec
from prometheus_client import parser

from snapshotd import errors
from snapshotd.app.status import survey
from snapshotd.kube import connection, reflector, resources
from snapshotd.model import keys, snapshots, wire
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store
from snapshotd.telemetry import metrics, statusz

_WINDOW: Final = 60.0  # seconds over which events are counted
_WITHIN: Final = 5.0  # seconds for an endpoint to answer
_LIST_WITHIN: Final = 120.0  # seconds for everything to be listed

Cache = store.Store[wire.Object]


class Rates:
    """What happened within the last minute, as the watch tells it."""

    def __init__(self, clock: clocks.Clock) -> None:
        """Begin to count."""
        self._clock = clock
        self._begun = clock.monotonic()
        self._ready: collections.deque[float] = collections.deque()
        self._gone: collections.deque[float] = collections.deque()

    def observe(self, change: store.Change[wire.Object]) -> None:
        """Take note of a change of the cache."""
        if change.key.kind is not keys.Kind.VOLUME_SNAPSHOT:
            return
        if change.new is None:
            self._gone.append(self._clock.monotonic())
        elif _ready(change.new) and not _ready(change.old):
            self._ready.append(self._clock.monotonic())

    def add_to(self, told: survey.Throughput) -> survey.Throughput:
        """Return the throughput with what was seen, scaled to a minute."""
        now = self._clock.monotonic()
        watched = min(_WINDOW, max(1.0, now - self._begun))
        for events in (self._ready, self._gone):
            while events and events[0] < now - _WINDOW:
                events.popleft()
        return msgspec.structs.replace(
            told,
            became_ready_per_minute=round(len(self._ready) * _WINDOW / watched, 1),
            gone_per_minute=round(len(self._gone) * _WINDOW / watched, 1),
        )


def _ready(obj: wire.Object | None) -> bool:
    return isinstance(obj, snapshots.VolumeSnapshot) and obj.ready


@asynccontextmanager
async def watched(kubeconfig: str, namespace: str, clock: clocks.Clock) -> AsyncIterator[Cache]:
    """Keep a cache of the snapshots and groups of a namespace, or of all; complete when given.

    Raises what the API server answers where snapshots cannot be listed.
    """
    meters = metrics.Metrics(version="status")
    options = connection.Options(kubeconfig)
    cache = Cache()
    async with (
        connection.Connection(options, clock=clock, meters=meters) as link,
        anyio.create_task_group() as group,
    ):
        await _permitted(link, namespace)
        watches = [
            reflector.Reflector(link, scope, store=cache, clock=clock, meters=meters)
            for scope in _scopes(namespace)
        ]
        for watch in watches:
            group.start_soon(watch.run)
        with anyio.move_on_after(_LIST_WITHIN) as patience:
            for watch in watches:
                await watch.synced.wait()
        if patience.cancelled_caught:
            missing = [told for watch in watches if (told := watch.check())]
            raise errors.Unavailable(f"not listed within {_LIST_WITHIN:g} s: {'; '.join(missing)}")
        yield cache
        group.cancel_scope.cancel()


def _scopes(namespace: str) -> Sequence[reflector.Scope]:
    kind = keys.Kind
    return (
        reflector.Scope(kind.VOLUME_SNAPSHOT, namespace=namespace, streaming=True),
        reflector.Scope(kind.VOLUME_SNAPSHOT_CONTENT, optional=True, streaming=True),
        reflector.Scope(kind.VOLUME_SNAPSHOT_CLASS, optional=True, streaming=True),
        reflector.Scope(
            kind.VOLUME_GROUP_SNAPSHOT, namespace=namespace, optional=True, streaming=True
        ),
        reflector.Scope(kind.VOLUME_GROUP_SNAPSHOT_CONTENT, optional=True, streaming=True),
        reflector.Scope(kind.VOLUME_GROUP_SNAPSHOT_CLASS, optional=True, streaming=True),
    )


async def _permitted(link: connection.Connection, namespace: str) -> None:
    """Ask for one snapshot: a reflector would try again for ever."""
    path = resources.of(keys.Kind.VOLUME_SNAPSHOT).collection(namespace)
    try:
        await link.request("GET", path, query={"limit": "1"})
    except errors.Gone:
        raise errors.Refused(
            f"{link.host} serves no VolumeSnapshots: are their definitions installed "
            "(kubectl apply -k config/crd), and is this the right cluster?"
        ) from None


async def asked(urls: Sequence[str]) -> list[survey.Endpoint]:
    """Return what the endpoints tell, in the order given; one that is away is told as a problem."""
    found: dict[str, survey.Endpoint] = {}
    if not urls:
        return []

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        try:
            found[url] = await _ask(session, url)
        except (aiohttp.ClientError, OSError, ValueError, msgspec.MsgspecError) as error:
            found[url] = survey.Endpoint(url, problem=str(error) or type(error).__name__)

    limit = aiohttp.ClientTimeout(total=_WITHIN)
    async with aiohttp.ClientSession(timeout=limit) as session, anyio.create_task_group() as group:
        for url in urls:
            group.start_soon(ask, session, url)
    return [found[url] for url in urls]


async def _ask(session: aiohttp.ClientSession, url: str) -> survey.Endpoint:
    """Ask for /statusz.json; where there is none (the reference's controller), for the metrics."""
    base = (url if "://" in url else f"http://{url}").rstrip("/")
    async with session.get(f"{base}/statusz.json") as answer:
        if answer.status == 200:
            status = msgspec.json.decode(await answer.read(), type=statusz.Status)
            return survey.Endpoint(url, roles=status.roles)
    async with session.get(f"{base}/metrics") as answer:
        answer.raise_for_status()
        return survey.Endpoint(url, queues=_depths(await answer.text()))


def _depths(text: str) -> list[survey.Depth]:
    families = parser.text_string_to_metric_families(text)
    return [
        survey.Depth(sample.labels.get("name", ""), sample.value)
        for family in families
        if family.name == "workqueue_depth"
        for sample in family.samples
    ]
