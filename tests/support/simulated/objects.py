"""What people and other controllers bring into the simulated world, ready to be put there."""

from simulated import process
from snapshotd.model import groups, keys, meta, names, snapshots, volumes, wire

NAMESPACE = "default"
NODE = "node-1"
_LOCAL = volumes.VolumeNodeAffinity(
    volumes.NodeSelector(
        (volumes.NodeSelectorTerm((volumes.NodeSelectorRequirement("host", "In", (NODE,)),)),)
    )
)


def snapshot_class(name: str, policy: str, *, default: bool = False) -> wire.Object:
    """Return a class of the driver."""
    annotations = {names.DEFAULT_CLASS_ANNOTATION: "true"} if default else {}
    return snapshots.VolumeSnapshotClass(
        meta.ObjectMeta(name=name, annotations=annotations), process.DRIVER, policy
    )


def group_class(name: str, policy: str, *, default: bool = False) -> wire.Object:
    """Return a class of the driver for groups."""
    annotations = {names.GROUP_DEFAULT_CLASS_ANNOTATION: "true"} if default else {}
    return groups.VolumeGroupSnapshotClass(
        meta.ObjectMeta(name=name, annotations=annotations), process.DRIVER, policy
    )


def bound_claim(
    name: str, *, local: bool = False, labels: dict[str, str] | None = None
) -> tuple[volumes.PersistentVolumeClaim, volumes.PersistentVolume]:
    """Return a claim and its volume, each bound to the other; `local` to a node."""
    claim = volumes.PersistentVolumeClaim(
        meta.ObjectMeta(name=name, namespace=NAMESPACE, labels=labels or {}),
        volumes.ClaimSpec(volume_name=f"pv-{name}"),
        volumes.ClaimStatus(phase=names.BOUND),
    )
    volume = volumes.PersistentVolume(
        meta.ObjectMeta(name=f"pv-{name}"),
        volumes.VolumeSpec(
            csi=volumes.CsiVolumeSource(process.DRIVER, f"handle-{name}"),
            claim_ref=meta.ObjectReference(namespace=NAMESPACE, name=name),
            node_affinity=_LOCAL if local else None,
        ),
    )
    return claim, volume


def node() -> volumes.Node:
    """Return the node that local volumes are on."""
    return volumes.Node(meta.ObjectMeta(name=NODE, labels={"host": NODE}))


def snapshot(
    name: str, *, claim: str | None = None, content: str | None = None, of: str | None = None
) -> snapshots.VolumeSnapshot:
    """Return a snapshot of a claim, or for a content; `of` is its class."""
    source = snapshots.VolumeSnapshotSource(claim, content)
    metadata = meta.ObjectMeta(name=name, namespace=NAMESPACE)
    return snapshots.VolumeSnapshot(metadata, snapshots.VolumeSnapshotSpec(source, of))


def content(
    name: str, *, policy: str, handle: str, snapshot: str
) -> snapshots.VolumeSnapshotContent:
    """Return a content made by hand for a snapshot that is on storage already."""
    # An administrator labels it for the node by hand: there is no volume to tell by.
    metadata = meta.ObjectMeta(name=name, labels={names.MANAGED_BY_LABEL: NODE})
    source = snapshots.VolumeSnapshotContentSource(snapshot_handle=handle)
    ref = meta.ObjectReference(name=snapshot, namespace=NAMESPACE)
    spec = snapshots.VolumeSnapshotContentSpec(policy, process.DRIVER, source, ref)
    return snapshots.VolumeSnapshotContent(metadata, spec)


def group(
    name: str, *, labels: dict[str, str] | None = None, content: str | None = None, of: str | None
) -> groups.VolumeGroupSnapshot:
    """Return a group snapshot of the claims with these labels, or for a content; `of`: class."""
    selector = None if labels is None else groups.LabelSelector(labels)
    return groups.VolumeGroupSnapshot(
        meta.ObjectMeta(name=name, namespace=NAMESPACE),
        groups.GroupSpec(groups.GroupSource(selector, content), of),
    )


def group_content(
    name: str, *, policy: str, handles: groups.GroupHandles, group: str
) -> groups.VolumeGroupSnapshotContent:
    """Return a content made by hand for a group that is on storage already."""
    metadata = meta.ObjectMeta(name=name, labels={names.MANAGED_BY_LABEL: NODE})
    source = groups.GroupContentSource(group_snapshot_handles=handles)
    ref = meta.ObjectReference(name=group, namespace=NAMESPACE)
    spec = groups.GroupContentSpec(policy, process.DRIVER, source, ref)
    return groups.VolumeGroupSnapshotContent(metadata, spec)


def restore(name: str, snapshot: str, *, told: bool, by_ref: bool) -> volumes.PersistentVolumeClaim:
    """Return a claim that is to be filled from a snapshot; `told`: a provisioner knows of it."""
    source = meta.TypedReference(keys.Kind.VOLUME_SNAPSHOT, snapshot, names.SNAPSHOT_GROUP)
    annotation = min(names.PROVISIONER_ANNOTATIONS)
    return volumes.PersistentVolumeClaim(
        meta.ObjectMeta(
            name=name,
            namespace=NAMESPACE,
            annotations={annotation: process.DRIVER} if told else {},
        ),
        volumes.ClaimSpec(
            data_source=None if by_ref else source, data_source_ref=source if by_ref else None
        ),
        volumes.ClaimStatus(phase=names.PENDING),
    )
