"""Objects by the thousand for the micro-benchmarks: a settled cluster of any size."""

import msgspec

from snapshotd.actors import roles
from snapshotd.decide import views
from snapshotd.model import keys, meta, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

SIZES = (1_000, 10_000, 100_000)
DRIVER = "benchmark.csi.example.com"
_UID = "{:08x}-0000-4000-8000-000000000000"
_TENANTS = 20


def _meta(number: int, name: str, namespace: str, *finalizers: str) -> meta.ObjectMeta:
    return meta.ObjectMeta(
        name=name,
        namespace=namespace,
        uid=_UID.format(number),
        resource_version=str(number + 1),
        creation_timestamp="2026-11-24T11:20:04Z",
        finalizers=finalizers,
    )


def namespace(number: int) -> str:
    """Return the namespace of an object: twenty share them all."""
    return f"tenant-{number % _TENANTS}"


def snapshot(number: int, *, ready: bool = True) -> snapshots.VolumeSnapshot:
    """Return a snapshot, prepared for its content or ready."""
    content = names.dynamic_content(_UID.format(number))
    return snapshots.VolumeSnapshot(
        _meta(
            number,
            f"snap-{number}",
            namespace(number),
            names.SNAPSHOT_SOURCE_FINALIZER,
            names.SNAPSHOT_BOUND_FINALIZER,
        ),
        snapshots.VolumeSnapshotSpec(
            snapshots.VolumeSnapshotSource(persistent_volume_claim_name=f"claim-{number}"), "gold"
        ),
        snapshots.VolumeSnapshotStatus(
            bound_volume_snapshot_content_name=content,
            creation_time="2023-11-14T22:13:20Z",
            ready_to_use=True,
            restore_size="1Gi",
        )
        if ready
        else None,
    )


def content(number: int) -> snapshots.VolumeSnapshotContent:
    """Return the ready content of a snapshot."""
    uid = _UID.format(number)
    return snapshots.VolumeSnapshotContent(
        _meta(number, names.dynamic_content(uid), "", names.CONTENT_FINALIZER),
        snapshots.VolumeSnapshotContentSpec(
            names.DELETE,
            DRIVER,
            snapshots.VolumeSnapshotContentSource(volume_handle=f"volume-{number}"),
            meta.ObjectReference(namespace=namespace(number), name=f"snap-{number}", uid=uid),
            volume_snapshot_class_name="gold",
        ),
        snapshots.VolumeSnapshotContentStatus(
            snapshot_handle=uid,
            creation_time=1_700_000_000_000_000_000,
            restore_size=1 << 30,
            ready_to_use=True,
        ),
    )


def claim(number: int) -> volumes.PersistentVolumeClaim:
    """Return a bound claim."""
    return volumes.PersistentVolumeClaim(
        _meta(number, f"claim-{number}", namespace(number), names.CLAIM_FINALIZER),
        volumes.ClaimSpec(volume_name=f"volume-{number}"),
        volumes.ClaimStatus(names.BOUND),
    )


def volume(number: int) -> volumes.PersistentVolume:
    """Return a claim's volume."""
    return volumes.PersistentVolume(
        _meta(number, f"volume-{number}", ""),
        volumes.VolumeSpec(
            csi=volumes.CsiVolumeSource(DRIVER, f"volume-{number}"),
            claim_ref=meta.ObjectReference(
                namespace=namespace(number), name=f"claim-{number}", uid=_UID.format(number)
            ),
        ),
    )


def key(number: int) -> keys.Key:
    """Return a snapshot's key."""
    return snapshot(number).key


def newer(obj: snapshots.VolumeSnapshot, version: int) -> snapshots.VolumeSnapshot:
    """Return a later version of a snapshot."""
    later = msgspec.structs.replace(obj.metadata, resource_version=str(version))
    return msgspec.structs.replace(obj, metadata=later)


def cache(size: int) -> caches.Store[wire.Object]:
    """Return the controller's cache with this many settled snapshots and contents."""
    made: caches.Store[wire.Object] = caches.Store(roles.CLUSTER_INDEXES)
    for number in range(size):
        made.put(snapshot(number))
        made.put(content(number))
    return made


def view() -> views.BindingView:
    """Return all that the decision on a fresh snapshot sees."""
    return views.BindingView(
        snapshot=snapshot(1, ready=False),
        sources=(views.Source("claim", claim(1), volume(1)),),
        snapshot_class=snapshots.VolumeSnapshotClass(
            meta.ObjectMeta(name="gold"), DRIVER, names.DELETE
        ),
    )
