"""The VolumeSnapshotContent from the cluster's side: what a new one holds, and what is added later.

A content is created complete, finalizer included, so that there is no moment at which it could be
lost; a pre-provisioned one gets the same finalizer in the patch that binds it.
"""

from snapshotd import errors
from snapshotd.decide import intents, placement, release, secret_refs, telling, validation, views
from snapshotd.model import meta, names, snapshots, volumes


def draft(
    view: views.BindingView,
    chosen: snapshots.VolumeSnapshotClass,
    volume: volumes.PersistentVolume,
    policy: views.ClusterPolicy,
) -> snapshots.VolumeSnapshotContent:
    """Return the content to create for a dynamic snapshot; raises `Invalid` saying why not."""
    snapshot = view.snapshot
    csi = volume.spec.csi
    if csi is None:
        raise errors.Invalid(
            f"cannot find CSI PersistentVolumeSource for volume {volume.metadata.name}: only "
            "volumes of CSI drivers can be snapshotted"
        )
    name = names.dynamic_content(snapshot.metadata.uid)
    mode = volume.spec.volume_mode if policy.prevent_volume_mode_conversion else None
    spec = snapshots.VolumeSnapshotContentSpec(
        deletion_policy=chosen.deletion_policy,
        driver=csi.driver,
        source=snapshots.VolumeSnapshotContentSource(volume_handle=csi.volume_handle),
        volume_snapshot_ref=telling.reference(snapshot),
        volume_snapshot_class_name=chosen.metadata.name,
        source_volume_mode=mode,
    )
    metadata = meta.ObjectMeta(
        name=name,
        finalizers=(names.CONTENT_FINALIZER,),
        annotations=_secret_annotations(chosen, name=name, snapshot=snapshot),
        labels=_labels(volume, view.nodes) if policy.distributed else {},
    )
    return snapshots.VolumeSnapshotContent(metadata=metadata, spec=spec)


def bind(
    content: snapshots.VolumeSnapshotContent, snapshot: snapshots.VolumeSnapshot
) -> intents.BindContent | None:
    """Return the patch that completes a pre-provisioned pair, None where nothing is missing."""
    wanted_class = snapshot.spec.volume_snapshot_class_name
    lacks_class = wanted_class is not None and content.spec.volume_snapshot_class_name is None
    guarded = names.CONTENT_FINALIZER in content.metadata.finalizers
    if content.spec.volume_snapshot_ref.uid and guarded and not lacks_class:
        return None
    if content.metadata.deleting:
        return None
    finalizers = content.metadata.finalizers
    return intents.BindContent(
        telling.target(content, exact=True),
        snapshot_uid=snapshot.metadata.uid,
        finalizers=finalizers if guarded else (*finalizers, names.CONTENT_FINALIZER),
        class_name=wanted_class if lacks_class else None,
    )


def unplaced(content: snapshots.VolumeSnapshotContent) -> bool:
    """Say whether a content may still wait for the node that is to cut it, or to let it go."""
    return content.status is None and names.MANAGED_BY_LABEL not in content.metadata.labels


def decide(view: views.ContentHalfView) -> intents.Decision:
    """Decide the controller's own part in a content: its node, and its finalizer once it is bound.

    All else about it is decided for its VolumeSnapshot, which every change of the content wakes.
    One whose snapshot this process itself let go when there was no content (a former leader's last
    request) is nobody's, and was not ready when it was found: it is let go as well.
    """
    content = view.content
    late = view.came_too_late and (not content.ready or content.deletion_meant)
    if late and not content.deletion_meant:
        return release.give_up(content, None)  # the mark comes first: it may be ready any moment
    labels = _labels(view.volume, view.nodes) if view.volume is not None else {}
    if labels and unplaced(content):
        placed = intents.UpdateMetadata(telling.target(content), labels=labels)
        return intents.Decision(intents=(placed,), again=0.0)
    if late:
        return release.give_up(content, None)
    if problem := validation.content_problem(content):
        told = telling.warning(content, reason="ContentValidationError", message=problem)
        return intents.Decision(intents=(told,), why=problem)
    guarded = names.CONTENT_FINALIZER in content.metadata.finalizers
    if guarded or content.metadata.deleting or not content.spec.volume_snapshot_ref.uid:
        return intents.SETTLED
    finalizers = (*content.metadata.finalizers, names.CONTENT_FINALIZER)
    target = telling.target(content, exact=True)
    return intents.Decision(intents=(intents.UpdateMetadata(target, finalizers),))


def _labels(volume: volumes.PersistentVolume, nodes: tuple[volumes.Node, ...]) -> dict[str, str]:
    node = placement.node_of(volume, nodes)
    return {names.MANAGED_BY_LABEL: node} if node else {}


def _secret_annotations(
    chosen: snapshots.VolumeSnapshotClass, *, name: str, snapshot: snapshots.VolumeSnapshot
) -> dict[str, str]:
    where = secret_refs.snapshotter(
        chosen.parameters,
        content=name,
        namespace=snapshot.metadata.namespace,
        snapshot=snapshot.metadata.name,
    )
    if where is None:
        return {}
    return {
        names.DELETION_SECRET_NAME: where.name,
        names.DELETION_SECRET_NAMESPACE: where.namespace,
    }
