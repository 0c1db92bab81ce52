"""Reads what an explanation needs, and never writes: lists of one namespace, and single objects.

What may not be read is left out and said to be unknown: an explanation of less is better than none.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from snapshotd import errors
from snapshotd.actors import looking
from snapshotd.app.explain import facts
from snapshotd.decide import indexes, publishing, validation, views
from snapshotd.kube import connection, resources
from snapshotd.model import (
    families,
    groups,
    keys,
    leases,
    meta,
    names,
    snapshots,
    volumes,
    wire,
)
from snapshotd.runtime import clock
from snapshotd.telemetry import metrics

_PAGE: Final = "500"  # objects
_EVERYWHERE: Final = ""
_DRIVERS: Final = "/apis/storage.k8s.io/v1/csidrivers"


class _Event(meta.Model, frozen=True):
    type: str = ""
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
    involved_object: meta.ObjectReference = meta.ObjectReference()


class _Named(meta.Model, frozen=True):
    metadata: meta.ObjectReference = meta.ObjectReference()


class Reader:
    """One connection of a person's own, and the facts read over it."""

    def __init__(self, link: connection.Connection, now: float) -> None:
        """Read over this connection."""
        self._link = link
        self.known = facts.empty(now)

    async def about(self, key: keys.Key) -> None:
        """Read all that bears on one object."""
        namespace = key.namespace
        if not namespace:
            await self._events("default", f"involvedObject.name={key.name}")
            content = await self._one(key)
            if isinstance(content, groups.AnyContent):
                namespace = content.ref.namespace
        if namespace:
            await self._namespace(namespace)
        await self._classes()
        claim = self.known.cache.find(volumes.PersistentVolumeClaim, key)
        if claim is not None and claim.spec.volume_name:
            await self._one(volumes.volume_key(claim.spec.volume_name))
        for snapshot in self._concerned(key):
            await self._around(snapshot)
        await self._others()

    async def everything(self, namespace: str = _EVERYWHERE) -> None:
        """Read all snapshots of a namespace, or of all, and all contents and volumes."""
        await self._namespace(namespace)
        await self._classes()
        await self._list(keys.Kind.VOLUME_SNAPSHOT_CONTENT)
        await self._optional(keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, _EVERYWHERE)
        await self._list(keys.Kind.VOLUME)
        for where in {namespace, "default"} if namespace else {_EVERYWHERE}:
            await self._events(where, f"type={names.WARNING}")
        await self._others()

    async def _namespace(self, namespace: str) -> None:
        await self._list(keys.Kind.VOLUME_SNAPSHOT, namespace)
        await self._list(keys.Kind.CLAIM, namespace)
        await self._optional(keys.Kind.VOLUME_GROUP_SNAPSHOT, namespace)

    async def _classes(self) -> None:
        await self._list(keys.Kind.VOLUME_SNAPSHOT_CLASS)
        await self._optional(keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS, _EVERYWHERE)

    def _concerned(self, key: keys.Key) -> list[groups.AnySnapshot]:
        """Return the snapshots and groups whose contents and volumes are looked at, too."""
        cache = self.known.cache
        match cache.get(key):
            case snapshots.VolumeSnapshot() as one:
                return self._with_its_group(one)
            case snapshots.VolumeSnapshotContent() as content if validation.follows_group(content):
                owner = keys.Key(keys.Kind.VOLUME_SNAPSHOT, content.ref.namespace, content.ref.name)
                member = cache.find(snapshots.VolumeSnapshot, owner)
                return [] if member is None else self._with_its_group(member)
            case volumes.PersistentVolumeClaim():
                users: list[wire.Object] = cache.by_index(indexes.SNAPSHOTS_BY_CLAIM, key)
                users += cache.by_index(indexes.GROUPS_BY_NAMESPACE, key.namespace)
                return [each for each in users if isinstance(each, groups.AnySnapshot)]
            case groups.VolumeGroupSnapshot() as group:
                members = cache.by_index(indexes.MEMBERS_BY_GROUP, key)
                return [group, *(each for each in members if isinstance(each, groups.AnySnapshot))]
            case _:
                return []

    def _with_its_group(self, one: snapshots.VolumeSnapshot) -> list[groups.AnySnapshot]:
        key = indexes.group_of(one)
        group = self.known.cache.find(groups.VolumeGroupSnapshot, key) if key else None
        return [one] if group is None else [one, group]

    async def _around(self, snapshot: groups.AnySnapshot) -> None:
        """Read a snapshot's content and volume, and what was told about both."""
        cache = self.known.cache
        view = looking.Eyes(cache, views.ClusterPolicy()).source(snapshot, content_absent=False)
        name = publishing.bound_name(snapshot)
        await self._one(snapshot.family.content_key(name))
        for source in view.sources:
            if source.claim is not None and source.claim.spec.volume_name:
                await self._one(volumes.volume_key(source.claim.spec.volume_name))
        of_snapshot = f"involvedObject.name={snapshot.metadata.name}"
        await self._events(snapshot.metadata.namespace, of_snapshot)
        await self._events("default", f"involvedObject.name={name}")

    async def _others(self) -> None:
        """Read who is at work: leases, and the drivers that have introduced themselves."""
        found: dict[str, leases.Lease] | None = {}
        for name in {names.CONTROLLER_LEASE, *map(names.sidecar_lease, self._drivers())}:
            try:
                query = {"fieldSelector": f"metadata.name={name}"}
                async for lease in self._pages(keys.Kind.LEASE, _EVERYWHERE, query):
                    if isinstance(lease, leases.Lease) and found is not None:
                        found[name] = lease
            except (errors.Refused, errors.Gone):
                found = None
                break
        self.known.held = found
        self.known.drivers = await self._registered()

    def _drivers(self) -> Iterable[str]:
        for family in (families.SINGLE, families.GROUP):
            for obj in self.known.cache.of_kind(family.content_kind):
                if isinstance(obj, groups.AnyContent):
                    yield obj.spec.driver
            for obj in self.known.cache.of_kind(family.class_kind):
                if isinstance(obj, groups.AnyClass):
                    yield obj.driver

    async def _registered(self) -> frozenset[str] | None:
        try:
            response = await self._link.request("GET", _DRIVERS)
        except (errors.Refused, errors.Gone):
            return None
        items = wire.decode_list(response.body).items
        return frozenset(msgspec.json.decode(item, type=_Named).metadata.name for item in items)

    async def _events(self, namespace: str, selector: str) -> None:
        path = resources.of(keys.Kind.EVENT).collection(namespace)
        query = {"fieldSelector": selector}
        try:
            response = await self._link.request("GET", path, query=query)
        except (errors.Refused, errors.Gone):
            return
        items = wire.decode_list(response.body).items
        events = sorted(
            (msgspec.json.decode(item, type=_Event) for item in items),
            key=lambda each: each.last_timestamp or each.event_time or "",
        )
        for event in events:
            self._told(event)

    def _told(self, event: _Event) -> None:
        about = event.involved_object
        if about.kind not in set(keys.Kind):
            return
        key = keys.Key(keys.Kind(about.kind), about.namespace, about.name)
        last = event.last_timestamp or event.event_time or ""
        told = facts.Told(event.type, event.reason, event.message, last)
        self.known.told[key] = (*self.known.told.get(key, ()), told)

    async def _one(self, key: keys.Key) -> wire.Object | None:
        try:
            response = await self._link.request("GET", resources.path_of(key))
        except (errors.Gone, errors.Refused):
            return None
        obj = wire.decode(key.kind, response.body)
        self.known.cache.put(obj)
        return obj

    async def _optional(self, kind: keys.Kind, namespace: str) -> None:
        """Read what not every server has, and not everybody may read."""
        try:
            await self._list(kind, namespace)
        except errors.Gone:
            kinds = resources.of(kind).plural
            self.known.unread[kind] = f"this API server does not serve {kinds}"
        except errors.Refused as error:
            self.known.unread[kind] = str(error)

    async def _list(self, kind: keys.Kind, namespace: str = _EVERYWHERE) -> None:
        async for obj in self._pages(kind, namespace):
            self.known.cache.put(obj)

    async def _pages(
        self, kind: keys.Kind, namespace: str, query: dict[str, str] | None = None
    ) -> AsyncIterator[wire.Object]:
        path = resources.of(kind).collection(namespace)
        asked = {"limit": _PAGE, **(query or {})}
        while True:
            response = await self._link.request("GET", path, query=asked)
            page = wire.decode_list(response.body)
            for item in page.items:
                try:
                    yield wire.decode(kind, item)
                except errors.Invalid:
                    continue  # the roles skip it, too, and say so in their logs
            if not page.metadata.continue_:
                return
            asked["continue"] = page.metadata.continue_


def connect(kubeconfig: str) -> connection.Connection:
    """Return a connection of a person's own, to be opened with `async with`."""
    options = connection.Options(kubeconfig)
    meters = metrics.Metrics(version="explain")
    return connection.Connection(options, clock=clock.SystemClock(), meters=meters)
