"""Is this spec sound? The checks that the API server's own may have let through.

Old objects, v1beta1 without rules and other API servers exist, so nothing here is taken on trust.
"""

from snapshotd.model import names, snapshots


def snapshot_problem(snapshot: snapshots.VolumeSnapshot) -> str:
    """Return what is wrong with a VolumeSnapshot's source in the reference's words, or ''."""
    source = snapshot.spec.source
    if bool(source.persistent_volume_claim_name) == bool(source.volume_snapshot_content_name):
        return (
            "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName "
            "should be specified"
        )
    return ""


def content_problem(content: snapshots.VolumeSnapshotContent) -> str:
    """Return what is wrong with a content's source in the reference's words, or ''."""
    source = content.spec.source
    if bool(source.volume_handle) == bool(source.snapshot_handle):
        return "Exactly one of VolumeHandle and SnapshotHandle should be specified"
    return ""


def points_back(
    content: snapshots.VolumeSnapshotContent, snapshot: snapshots.VolumeSnapshot
) -> bool:
    """Say whether the content is this very VolumeSnapshot's: name, namespace and uid."""
    ref = content.spec.volume_snapshot_ref
    meta = snapshot.metadata
    return (ref.namespace, ref.name, ref.uid) == (meta.namespace, meta.name, meta.uid)


def may_point_back(
    content: snapshots.VolumeSnapshotContent, snapshot: snapshots.VolumeSnapshot
) -> bool:
    """Say whether a pre-provisioned content is this snapshot's, or free and meant for it."""
    ref = content.spec.volume_snapshot_ref
    meta = snapshot.metadata
    named = (ref.namespace, ref.name) == (meta.namespace, meta.name)
    return named and ref.uid in {"", meta.uid}


def is_member(snapshot: snapshots.VolumeSnapshot) -> bool:
    """Say whether a VolumeSnapshot is one of a group's: its group makes its content."""
    return any(
        owner.kind == "VolumeGroupSnapshot"
        and owner.api_version.partition("/")[0] == names.GROUP_GROUP
        for owner in snapshot.metadata.owner_references
    )


def is_for_driver(
    content: snapshots.VolumeSnapshotContent,
    snapshot_class: snapshots.VolumeSnapshotClass | None,
    driver: str,
) -> bool:
    """Say whether a content is this driver's: its own word, and its class's where there is one."""
    if content.spec.driver != driver:
        return False
    return snapshot_class is None or snapshot_class.driver == driver
