"""A new content, complete: its finalizer, labels and annotations are on it from the beginning.

So there is no moment at which it could be lost. A snapshot's is cut from one volume, a group's from
several; a member's is no draft of a cut, and made in `members`.
"""

from snapshotd import errors
from snapshotd.decide import placement, secret_refs, telling, views
from snapshotd.model import groups, meta, names, snapshots, volumes


def draft(
    view: views.BindingView,
    chosen: groups.AnyClass,
    cut_from: tuple[volumes.PersistentVolume, ...],
    policy: views.ClusterPolicy,
) -> groups.AnyContent:
    """Return the content to create for a dynamic snapshot or group; raises `Invalid`."""
    sources = tuple(_csi(volume) for volume in cut_from)
    metadata = _metadata(view, chosen, cut_from, policy)
    if isinstance(view.snapshot, groups.VolumeGroupSnapshot):
        of_group = groups.GroupContentSpec(
            deletion_policy=chosen.deletion_policy,
            driver=sources[0].driver,
            source=groups.GroupContentSource(tuple(each.volume_handle for each in sources)),
            volume_group_snapshot_ref=telling.reference(view.snapshot),
            volume_group_snapshot_class_name=chosen.metadata.name,
        )
        return groups.VolumeGroupSnapshotContent(metadata, of_group)
    [source], [volume] = sources, cut_from
    mode = volume.spec.volume_mode if policy.prevent_volume_mode_conversion else None
    spec = snapshots.VolumeSnapshotContentSpec(
        deletion_policy=chosen.deletion_policy,
        driver=source.driver,
        source=snapshots.VolumeSnapshotContentSource(volume_handle=source.volume_handle),
        volume_snapshot_ref=telling.reference(view.snapshot),
        volume_snapshot_class_name=chosen.metadata.name,
        source_volume_mode=mode,
    )
    return snapshots.VolumeSnapshotContent(metadata, spec)


def _metadata(
    view: views.BindingView,
    chosen: groups.AnyClass,
    cut_from: tuple[volumes.PersistentVolume, ...],
    policy: views.ClusterPolicy,
) -> meta.ObjectMeta:
    snapshot = view.snapshot
    family = snapshot.family
    name = family.dynamic_content(snapshot.metadata.uid)
    where = secret_refs.snapshotter(
        family,
        chosen.parameters,
        content=name,
        namespace=snapshot.metadata.namespace,
        snapshot=snapshot.metadata.name,
    )
    return meta.ObjectMeta(
        name=name,
        finalizers=(family.content_finalizer,),
        annotations=secret_refs.annotations(family, where),
        labels=labels(cut_from, view.nodes) if policy.distributed else {},
    )


def _csi(volume: volumes.PersistentVolume) -> volumes.CsiVolumeSource:
    if volume.spec.csi is None:
        raise errors.Invalid(
            f"cannot find CSI PersistentVolumeSource for volume {volume.metadata.name}: only "
            "volumes of CSI drivers can be snapshotted"
        )
    return volume.spec.csi


def labels(
    cut_from: tuple[volumes.PersistentVolume, ...], nodes: tuple[volumes.Node, ...]
) -> dict[str, str]:
    """Return the label that names the node whose sidecar is to cut; raises `Invalid`."""
    homes = {placement.node_of(volume, nodes) for volume in cut_from}
    if len(homes) > 1:
        listed = ", ".join(sorted(each or "(none)" for each in homes))
        raise errors.Invalid(
            f"the volumes belong to different nodes ({listed}): with distributed snapshotting a "
            "group is cut by the driver of one node"
        )
    node = "".join(homes)
    return {names.MANAGED_BY_LABEL: node} if node else {}
