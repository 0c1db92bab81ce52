"""Is this spec sound? The checks that the API server's own may have let through.

Old objects, v1beta1 without rules and other API servers exist, so nothing here is taken on trust.
"""

from snapshotd.model import groups, meta, names, snapshots


def snapshot_problem(snapshot: groups.AnySnapshot) -> str:
    """Return what is wrong with a snapshot's source in the reference's words, or ''.

    A member's claim is what its group knows of it, which may be nothing.
    """
    given = bool(snapshot.given_content)
    if isinstance(snapshot, groups.VolumeGroupSnapshot):
        if (snapshot.spec.source.selector is not None) == given:
            return "Exactly one of Selector and VolumeGroupSnapshotContentName should be specified"
    elif bool(snapshot.spec.source.persistent_volume_claim_name) == given and (
        given or not is_member(snapshot)
    ):
        return (
            "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName "
            "should be specified"
        )
    return ""


def content_problem(content: groups.AnyContent) -> str:
    """Return what is wrong with a content's source in the reference's words, or ''."""
    if bool(content.cut_from) != bool(content.given_handle):
        return ""
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        return "Exactly one of GroupSnapshotHandles and VolumeHandles should be specified"
    return "Exactly one of VolumeHandle and SnapshotHandle should be specified"


def points_back(content: groups.AnyContent, snapshot: groups.AnySnapshot) -> bool:
    """Say whether the content is this very snapshot's: name, namespace and uid."""
    ref, own = content.ref, snapshot.metadata
    return (ref.namespace, ref.name, ref.uid) == (own.namespace, own.name, own.uid)


def may_point_back(content: groups.AnyContent, snapshot: groups.AnySnapshot) -> bool:
    """Say whether a pre-provisioned content is this snapshot's, or free and meant for it."""
    ref, own = content.ref, snapshot.metadata
    named = (ref.namespace, ref.name) == (own.namespace, own.name)
    return named and ref.uid in {"", own.uid}


def is_member(snapshot: groups.AnySnapshot) -> bool:
    """Say whether a VolumeSnapshot is one of a group's: its group makes its content."""
    return bool(snapshot.metadata.owner_references) and owner_group(snapshot) is not None


def owner_group(snapshot: groups.AnySnapshot) -> meta.OwnerReference | None:
    """Return the group that owns a VolumeSnapshot, None where none does."""
    for owner in snapshot.metadata.owner_references:
        group = owner.api_version.partition("/")[0] == names.GROUP_GROUP
        if group and owner.kind == "VolumeGroupSnapshot":
            return owner
    return None


def follows_group(content: groups.AnyContent) -> bool:
    """Say whether a content is a member's that was cut with its group, and never by itself."""
    return (
        isinstance(content, snapshots.VolumeSnapshotContent)
        and bool(content.cut_from)
        and names.GROUP_HANDLE_ANNOTATION in content.metadata.annotations
    )


def is_for_driver(
    content: groups.AnyContent, snapshot_class: groups.AnyClass | None, driver: str
) -> bool:
    """Say whether a content is this driver's: its own word, and its class's where there is one."""
    if content.spec.driver != driver:
        return False
    return snapshot_class is None or snapshot_class.driver == driver
