"""Claims to volumes: the job that csi-provisioner and the volume binder have in a real cluster.

A claim of a StorageClass of our driver gets a volume, empty or from a snapshot; a volume made by
hand for a claim is bound to it; a volume whose claim is gone is reclaimed. Every name derives from
the claim's uid, so that a killed provisioner goes on where it was.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import structlog

from snapshotd import errors
from snapshotd.decide import indexes, intents, validation
from snapshotd.model import keys, meta, names, quantity, snapshots, volumes, wire
from snapshotd.runtime import actor
from snapshotd.runtime import store as caches

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

KINDS = (keys.Kind.CLAIM, keys.Kind.VOLUME)
WATCHED = (
    keys.Kind.CLAIM,
    keys.Kind.VOLUME,
    keys.Kind.STORAGE_CLASS,
    keys.Kind.VOLUME_SNAPSHOT,
    keys.Kind.VOLUME_SNAPSHOT_CONTENT,
)
COMPONENT = "snapshotd-dev-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _pending_by_class(claim: volumes.PersistentVolumeClaim) -> Iterator[str]:
    if claim.status.phase != names.BOUND:
        yield claim.spec.storage_class_name or ""


def _by_claim(volume: volumes.PersistentVolume) -> Iterator[keys.Key]:
    ref = volume.spec.claim_ref
    if ref is not None:
        yield volumes.claim_key(ref.namespace, ref.name)


INDEXES: Mapping[str, caches.Index] = {
    "pending by class": caches.Index(keys.Kind.CLAIM, _pending_by_class),
    "volumes by claim": caches.Index(keys.Kind.VOLUME, _by_claim),
    indexes.CLAIMS_BY_SNAPSHOT: caches.Index(keys.Kind.CLAIM, indexes.restore_of),
}


class Volume(Protocol):
    """A volume as the driver describes it."""

    @property
    def handle(self) -> str:
        """The driver's name for it."""

    @property
    def capacity(self) -> int:
        """Its size in bytes."""

    @property
    def context(self) -> dict[str, str]:
        """What the driver wants to be told of it."""


class Maker(Protocol):
    """The driver: every failure is one of `snapshotd.errors`."""

    async def create_volume(
        self, name: str, capacity: int, *, parameters: Mapping[str, str], snapshot: str = ""
    ) -> Volume:
        """Make a volume, or find the one made before under this name."""

    async def delete_volume(self, handle: str) -> None:
        """Remove a volume, if it is there."""


class Cluster(Protocol):
    """Writes to the API server: every failure is one of `snapshotd.errors`."""

    async def create(self, key: keys.Key, body: Mapping[str, object]) -> wire.Object:
        """Create an object."""

    async def patch(
        self, key: keys.Key, change: Mapping[str, object], *, subresource: str = ""
    ) -> wire.Object | None:
        """Merge a change into an object."""

    async def delete(self, key: keys.Key, uid: str) -> wire.Object | None:
        """Ask for a deletion."""


class Recorder(Protocol):
    """Kubernetes Events."""

    def announce(self, event: intents.Announce) -> None:
        """Tell people."""


class Queue(Protocol):
    """Where keys wait."""

    def add(self, key: keys.Key) -> object:
        """Have a key served."""


class Provisioner:
    """One provisioner, for one driver."""

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        queues: Mapping[keys.Kind, Queue],
        *,
        driver: str,
        maker: Maker,
        cluster: Cluster,
        recorder: Recorder,
    ) -> None:
        """Have changes wake keys; the cache needs `INDEXES`."""
        self._cache = cache
        self._queues = queues
        self._driver = driver
        self._maker = maker
        self._cluster = cluster
        self._recorder = recorder
        cache.subscribe(self._route)

    def start(self) -> None:
        """Begin: there is nothing to prepare."""

    def reconciles(self) -> Iterator[tuple[keys.Kind, object]]:
        """Yield each kind with the reconcile of its keys."""
        yield keys.Kind.CLAIM, self.reconcile_claim
        yield keys.Kind.VOLUME, self.reconcile_volume

    def wake_all(self) -> None:
        """Have every claim and volume looked at."""
        for kind in KINDS:
            for obj in self._cache.of_kind(kind):
                self._queues[kind].add(obj.key)

    def _route(self, change: caches.Change[wire.Object]) -> None:
        for obj in (change.old, change.new):
            for key in self._woken(obj):
                if key.kind in self._queues:
                    self._queues[key.kind].add(key)

    def _woken(self, obj: wire.Object | None) -> Iterator[keys.Key]:
        match obj:
            case volumes.PersistentVolumeClaim():
                yield obj.key
                for volume in self._cache.by_index("volumes by claim", obj.key):
                    yield volume.key
            case volumes.PersistentVolume():
                yield obj.key
                yield from _by_claim(obj)
            case volumes.StorageClass():
                for name in (obj.metadata.name, ""):
                    for claim in self._cache.by_index("pending by class", name):
                        yield claim.key
            case snapshots.VolumeSnapshot():
                for claim in self._cache.by_index(indexes.CLAIMS_BY_SNAPSHOT, obj.key):
                    yield claim.key
            case snapshots.VolumeSnapshotContent():
                ref = obj.spec.volume_snapshot_ref
                key = keys.Key(keys.Kind.VOLUME_SNAPSHOT, ref.namespace, ref.name)
                for claim in self._cache.by_index(indexes.CLAIMS_BY_SNAPSHOT, key):
                    yield claim.key
            case _:
                pass

    async def reconcile_claim(self, key: keys.Key) -> actor.Verdict:
        """Bring one claim to its volume."""
        claim = self._cache.find(volumes.PersistentVolumeClaim, key)
        if claim is None or claim.metadata.deleting:
            return actor.Verdict()
        try:
            await self._bring(claim)
        except errors.Terminal as error:
            self._tell(claim, names.WARNING, "ProvisioningFailed", str(error))
            raise errors.Unsuccessful(str(error)) from None
        return actor.Verdict()

    async def _bring(self, claim: volumes.PersistentVolumeClaim) -> None:
        volume = self._volume_for(claim)
        if volume is None and not claim.spec.volume_name:
            volume = await self._provision(claim)
        if volume is None:
            return
        if not claim.spec.volume_name:
            change = {"spec": {"volumeName": volume.metadata.name}}
            await self._write(claim.key, change)
        if volume.spec.claim_ref is None or volume.spec.claim_ref.uid != claim.metadata.uid:
            await self._write(volume.key, {"spec": {"claimRef": _reference(claim)}})
        if volume.status.phase != names.BOUND:
            await self._write(volume.key, {"status": {"phase": names.BOUND}}, subresource="status")
        if claim.status.phase != names.BOUND:
            status = {
                "phase": names.BOUND,
                "accessModes": list(claim.spec.access_modes),
                "capacity": dict(volume.spec.capacity),
            }
            await self._write(claim.key, {"status": status}, subresource="status")

    def _volume_for(self, claim: volumes.PersistentVolumeClaim) -> volumes.PersistentVolume | None:
        """Return the volume a claim names, or one that was made for it."""
        if claim.spec.volume_name:
            key = volumes.volume_key(claim.spec.volume_name)
            return self._cache.find(volumes.PersistentVolume, key)
        for volume in self._cache.by_index("volumes by claim", claim.key):
            if not isinstance(volume, volumes.PersistentVolume):
                continue
            ref = volume.spec.claim_ref
            if ref is not None and ref.uid in {"", claim.metadata.uid}:
                return volume
        return None

    async def _provision(
        self, claim: volumes.PersistentVolumeClaim
    ) -> volumes.PersistentVolume | None:
        """Make a volume; None where that is not ours, or has to wait. Raises `Terminal`."""
        class_ = self._class_of(claim)
        if class_ is None or class_.provisioner != self._driver:
            return None
        handle = self._source(claim)
        if handle is None:
            return None
        await self._say_that_it_begins(claim)
        size = quantity.to_bytes(claim.spec.resources.requests.get("storage", "1Gi"))
        name = f"pvc-{claim.metadata.uid}"
        made = await self._maker.create_volume(
            name, size, parameters=class_.parameters, snapshot=handle
        )
        stored = await self._keep(claim, class_, name=name, made=made)
        told = f"Successfully provisioned volume {name}"
        self._tell(claim, names.NORMAL, "ProvisioningSucceeded", told)
        return stored

    async def _say_that_it_begins(self, claim: volumes.PersistentVolumeClaim) -> None:
        """Leave the sign by which a snapshot's deletion knows that it is being restored."""
        if names.PROVISIONER_ANNOTATIONS.isdisjoint(claim.metadata.annotations):
            sign = dict.fromkeys(names.PROVISIONER_ANNOTATIONS, self._driver)
            await self._write(claim.key, {"metadata": {"annotations": sign}})

    async def _keep(
        self,
        claim: volumes.PersistentVolumeClaim,
        class_: volumes.StorageClass,
        *,
        name: str,
        made: Volume,
    ) -> volumes.PersistentVolume:
        key = volumes.volume_key(name)
        csi = {
            "driver": self._driver,
            "volumeHandle": made.handle,
            "volumeAttributes": made.context,
        }
        body = {
            "metadata": {"name": name, "annotations": {PROVISIONED_BY: self._driver}},
            "spec": {
                "capacity": {"storage": quantity.from_bytes(made.capacity)},
                "accessModes": list(claim.spec.access_modes),
                "claimRef": _reference(claim),
                "persistentVolumeReclaimPolicy": class_.reclaim_policy,
                "storageClassName": class_.metadata.name,
                "volumeMode": claim.spec.volume_mode or "Filesystem",
                "csi": csi,
            },
        }
        stored = await self._cluster.create(key, body)
        self._cache.put(stored)
        log.info("provisioned", claim=str(claim.key), volume=name, handle=made.handle)
        if not isinstance(stored, volumes.PersistentVolume):
            raise errors.Invalid(f"{key} came back as something else")
        return stored

    def _class_of(self, claim: volumes.PersistentVolumeClaim) -> volumes.StorageClass | None:
        if claim.spec.storage_class_name is not None:
            key = keys.Key(keys.Kind.STORAGE_CLASS, "", claim.spec.storage_class_name)
            return self._cache.find(volumes.StorageClass, key)
        for class_ in self._cache.of_kind(keys.Kind.STORAGE_CLASS):
            is_default = class_.metadata.annotations.get(_DEFAULT_CLASS) == "true"
            if isinstance(class_, volumes.StorageClass) and is_default:
                return class_
        return None

    def _source(self, claim: volumes.PersistentVolumeClaim) -> str | None:
        """Return the snapshot to fill a volume from, '' for none, None where it must wait."""
        source = claim.spec.data_source_ref or claim.spec.data_source
        if source is None:
            return ""
        if source.kind != keys.Kind.VOLUME_SNAPSHOT or source.api_group != names.SNAPSHOT_GROUP:
            raise errors.Refused(
                f"cannot fill a volume from a {source.kind}: only from a VolumeSnapshot"
            )
        if source.namespace not in {None, claim.metadata.namespace}:
            raise errors.Refused("cannot restore from a snapshot of another namespace")
        key = keys.Key(keys.Kind.VOLUME_SNAPSHOT, claim.metadata.namespace, source.name)
        return self._ready_handle(claim, key)

    def _ready_handle(self, claim: volumes.PersistentVolumeClaim, key: keys.Key) -> str | None:
        snapshot = self._cache.find(snapshots.VolumeSnapshot, key)
        if snapshot is None:
            self._wait(claim, f"snapshot {key.name} does not exist")
            return None
        content = self._cache.find(
            snapshots.VolumeSnapshotContent, snapshots.content_key(snapshot.bound_content)
        )
        if snapshot.metadata.deleting:
            self._wait(claim, f"snapshot {key.name} is currently being deleted")
            return None
        if not snapshot.ready or content is None or not content.handle:
            self._wait(claim, f"snapshot {key.name} is not ready to use")
            return None
        if not validation.points_back(content, snapshot):
            raise errors.Refused(f"snapshot {key.name} and its content do not belong together")
        if content.spec.driver != self._driver:
            raise errors.Refused(
                f"snapshot {key.name} belongs to driver {content.spec.driver}, not {self._driver}"
            )
        return content.handle

    def _wait(self, claim: volumes.PersistentVolumeClaim, why: str) -> None:
        """Tell why a claim waits; the change that ends the wait wakes it."""
        told = f"error getting handle for DataSource Type VolumeSnapshot: {why}"
        self._tell(claim, names.WARNING, "ProvisioningFailed", told)

    async def reconcile_volume(self, key: keys.Key) -> actor.Verdict:
        """Reclaim a volume whose claim is gone."""
        volume = self._cache.find(volumes.PersistentVolume, key)
        if volume is None or volume.spec.claim_ref is None or not volume.spec.claim_ref.uid:
            return actor.Verdict()
        ref = volume.spec.claim_ref
        claim = self._cache.get(volumes.claim_key(ref.namespace, ref.name))
        if claim is not None and claim.metadata.uid == ref.uid:
            return actor.Verdict()
        ours = volume.metadata.annotations.get(PROVISIONED_BY) == self._driver
        if volume.spec.persistent_volume_reclaim_policy == names.DELETE and ours:
            if volume.spec.csi is not None:
                await self._maker.delete_volume(volume.spec.csi.volume_handle)
            await self._cluster.delete(volume.key, volume.metadata.uid)
            log.info("reclaimed", volume=volume.metadata.name)
        elif volume.status.phase != "Released":
            await self._write(volume.key, {"status": {"phase": "Released"}}, subresource="status")
        return actor.Verdict()

    async def _write(
        self, key: keys.Key, change: Mapping[str, object], *, subresource: str = ""
    ) -> None:
        stored = await self._cluster.patch(key, change, subresource=subresource)
        if stored is not None:
            self._cache.put(stored)

    def _tell(
        self, claim: volumes.PersistentVolumeClaim, type_: str, reason: str, message: str
    ) -> None:
        about = meta.ObjectReference(**_reference(claim))
        self._recorder.announce(intents.Announce(about, type_, reason, message))


def _reference(claim: volumes.PersistentVolumeClaim) -> dict[str, str]:
    metadata = claim.metadata
    return {
        "kind": "PersistentVolumeClaim",
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
    }
