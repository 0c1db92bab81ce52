"""Objects for tests of the rules: whole and sound, but for what a test changes."""

from typing import Any

import msgspec

from snapshotd.decide import outcomes, views
from snapshotd.model import groups, meta, names, snapshots, volumes

DRIVER = "hostpath.csi.k8s.io"
NOW = 1_767_225_600.0
NOW_TEXT = "2026-01-01T00:00:00Z"
POLICY = views.ClusterPolicy()
DRIVER_POLICY = views.DriverPolicy(DRIVER)
BOTH = (names.SNAPSHOT_SOURCE_FINALIZER, names.SNAPSHOT_BOUND_FINALIZER)
ERROR = snapshots.SnapshotError(time=NOW_TEXT, message="it went wrong")
# What Events about `snapshot()` are about, and contents made for it refer to
ABOUT = meta.ObjectReference(
    api_version="snapshot.storage.k8s.io/v1",
    kind="VolumeSnapshot",
    namespace="ns",
    name="snap",
    uid="uid-1",
    resource_version="7",
)
INFO = outcomes.SnapshotInfo("handle", "vol", creation_time=10**18, size=1 << 30, ready=True)


def changed(obj: Any, **fields: Any) -> Any:
    """Return a copy with other values; `metadata__x` reaches into `metadata`, and so on."""
    plain: dict[str, Any] = {}
    deep: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        head, _, rest = name.partition("__")
        if rest:
            deep.setdefault(head, {})[rest] = value
        else:
            plain[head] = value
    for head, below in deep.items():
        plain[head] = changed(getattr(obj, head), **below)
    return msgspec.structs.replace(obj, **plain)


def snapshot(**fields: Any) -> snapshots.VolumeSnapshot:
    """Return a dynamic VolumeSnapshot of class `gold`, prepared for its content."""
    made = snapshots.VolumeSnapshot(
        meta.ObjectMeta(
            name="snap",
            namespace="ns",
            uid="uid-1",
            resource_version="7",
            creation_timestamp="2026-01-01T00:00:00Z",
            finalizers=BOTH,
        ),
        snapshots.VolumeSnapshotSpec(
            snapshots.VolumeSnapshotSource(persistent_volume_claim_name="claim"), "gold"
        ),
    )
    result: snapshots.VolumeSnapshot = changed(made, **fields)
    return result


def given_snapshot(**fields: Any) -> snapshots.VolumeSnapshot:
    """Return a pre-provisioned VolumeSnapshot."""
    source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name="content")
    return snapshot(
        **{"spec": snapshots.VolumeSnapshotSpec(source), **fields},
    )


def ready_snapshot(**fields: Any) -> snapshots.VolumeSnapshot:
    """Return a VolumeSnapshot that tells all of `ready_content`."""
    status = snapshots.VolumeSnapshotStatus(
        bound_volume_snapshot_content_name="snapcontent-uid-1",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        restore_size="1Gi",
    )
    return snapshot(**{"status": status, **fields})


def content(**fields: Any) -> snapshots.VolumeSnapshotContent:
    """Return the content made for `snapshot`, not cut yet."""
    made = snapshots.VolumeSnapshotContent(
        meta.ObjectMeta(
            name="snapcontent-uid-1",
            uid="uid-2",
            resource_version="8",
            finalizers=(names.CONTENT_FINALIZER,),
        ),
        snapshots.VolumeSnapshotContentSpec(
            names.DELETE,
            DRIVER,
            snapshots.VolumeSnapshotContentSource(volume_handle="vol"),
            meta.ObjectReference(namespace="ns", name="snap", uid="uid-1"),
            volume_snapshot_class_name="gold",
        ),
    )
    result: snapshots.VolumeSnapshotContent = changed(made, **fields)
    return result


def given_content(**fields: Any) -> snapshots.VolumeSnapshotContent:
    """Return a content made by hand for `given_snapshot`, not bound yet."""
    made = content(
        metadata__name="content",
        metadata__finalizers=(),
        spec__source=snapshots.VolumeSnapshotContentSource(snapshot_handle="handle"),
        spec__volume_snapshot_ref=meta.ObjectReference(namespace="ns", name="snap"),
        spec__volume_snapshot_class_name=None,
    )
    result: snapshots.VolumeSnapshotContent = changed(made, **fields)
    return result


STATUS = snapshots.VolumeSnapshotContentStatus(
    snapshot_handle="handle", creation_time=10**18, restore_size=1 << 30, ready_to_use=True
)


def ready_content(**fields: Any) -> snapshots.VolumeSnapshotContent:
    """Return the content of a snapshot that is ready."""
    return content(**{"status": STATUS, **fields})


def class_(name: str = "gold", **fields: Any) -> snapshots.VolumeSnapshotClass:
    """Return a class of the driver."""
    made = snapshots.VolumeSnapshotClass(meta.ObjectMeta(name=name), DRIVER, names.DELETE)
    result: snapshots.VolumeSnapshotClass = changed(made, **fields)
    return result


def claim(**fields: Any) -> volumes.PersistentVolumeClaim:
    """Return the source claim: bound, and protected."""
    made = volumes.PersistentVolumeClaim(
        meta.ObjectMeta(
            name="claim",
            namespace="ns",
            uid="uid-3",
            resource_version="9",
            finalizers=(names.CLAIM_FINALIZER,),
        ),
        volumes.ClaimSpec(volume_name="pv"),
        volumes.ClaimStatus(names.BOUND),
    )
    result: volumes.PersistentVolumeClaim = changed(made, **fields)
    return result


def volume(**fields: Any) -> volumes.PersistentVolume:
    """Return the volume of `claim`."""
    made = volumes.PersistentVolume(
        meta.ObjectMeta(name="pv"),
        volumes.VolumeSpec(
            csi=volumes.CsiVolumeSource(DRIVER, "vol"),
            claim_ref=meta.ObjectReference(namespace="ns", name="claim", uid="uid-3"),
            volume_mode="Filesystem",
        ),
    )
    result: volumes.PersistentVolume = changed(made, **fields)
    return result


def group(**fields: Any) -> groups.VolumeGroupSnapshot:
    """Return a dynamic group of class `grouped`, of the claims labelled app=db, not cut yet."""
    made = groups.VolumeGroupSnapshot(
        meta.ObjectMeta(
            name="all",
            namespace="ns",
            uid="uid-7",
            resource_version="7",
            creation_timestamp="2026-01-01T00:00:00Z",
            finalizers=(names.GROUP_BOUND_FINALIZER,),
        ),
        groups.GroupSpec(groups.GroupSource(groups.LabelSelector({"app": "db"})), "grouped"),
    )
    result: groups.VolumeGroupSnapshot = changed(made, **fields)
    return result


def group_content(**fields: Any) -> groups.VolumeGroupSnapshotContent:
    """Return the content made for `group`, not cut yet."""
    made = groups.VolumeGroupSnapshotContent(
        meta.ObjectMeta(
            name="groupsnapcontent-uid-7",
            uid="uid-8",
            resource_version="8",
            finalizers=(names.GROUP_CONTENT_FINALIZER,),
        ),
        groups.GroupContentSpec(
            names.DELETE,
            DRIVER,
            groups.GroupContentSource(("vol-a", "vol-b")),
            meta.ObjectReference(namespace="ns", name="all", uid="uid-7"),
            volume_group_snapshot_class_name="grouped",
        ),
    )
    result: groups.VolumeGroupSnapshotContent = changed(made, **fields)
    return result


GROUP_STATUS = groups.GroupContentStatus(
    volume_group_snapshot_handle="group",
    creation_time="2001-09-09T01:46:40Z",
    ready_to_use=True,
    volume_snapshot_info_list=(
        groups.MemberInfo("vol-a", "handle-a", 10**18, ready_to_use=True, restore_size=1 << 30),
        groups.MemberInfo("vol-b", "handle-b", 10**18, ready_to_use=True, restore_size=1 << 30),
    ),
)


def cut_group_content(**fields: Any) -> groups.VolumeGroupSnapshotContent:
    """Return the content of a group that the driver cut, and made ready."""
    return group_content(**{"status": GROUP_STATUS, **fields})


def group_class(name: str = "grouped", **fields: Any) -> groups.VolumeGroupSnapshotClass:
    """Return a group class of the driver."""
    made = groups.VolumeGroupSnapshotClass(meta.ObjectMeta(name=name), DRIVER, names.DELETE)
    result: groups.VolumeGroupSnapshotClass = changed(made, **fields)
    return result


def binding_view(**fields: Any) -> views.BindingView:
    """Return all that a dynamic snapshot needs, but for its content."""
    source = views.Source("claim", fields.pop("claim", claim()), fields.pop("volume", volume()))
    base = {"snapshot": snapshot(), "sources": (source,), "snapshot_class": class_()}
    return views.BindingView(**{**base, **fields})
