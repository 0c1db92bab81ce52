"""Single snapshots and groups side by side, as the simulated world sees both; and their members."""

from simulated import api as apis
from snapshotd.model import groups, keys, names, snapshots, volumes

CONTENTS = (snapshots.VolumeSnapshotContent, groups.VolumeGroupSnapshotContent)
SNAPSHOTS = (snapshots.VolumeSnapshot, groups.VolumeGroupSnapshot)


def contents(api: apis.Api) -> list[groups.AnyContent]:
    """Return the contents of snapshots and groups."""
    return [each for each in api.objects.values() if isinstance(each, CONTENTS)]


def both(api: apis.Api) -> list[groups.AnySnapshot]:
    """Return the snapshots and the groups."""
    return [each for each in api.objects.values() if isinstance(each, SNAPSHOTS)]


def content_of(api: apis.Api, snapshot: groups.AnySnapshot) -> groups.AnyContent | None:
    """Return the content that a snapshot or group is bound to, names, or is to have."""
    name = snapshot.bound_content or snapshot.given_content
    if not name and isinstance(snapshot, snapshots.VolumeSnapshot) and group_uid(snapshot):
        name = names.member_content(snapshot.metadata.name)
    dynamic = snapshot.family.dynamic_content(snapshot.metadata.uid)
    found = api.objects.get(snapshot.family.content_key(name or dynamic))
    return found if isinstance(found, CONTENTS) else None


def group_uid(snapshot: groups.AnySnapshot) -> str:
    """Return the uid of the group that owns a snapshot, or ''."""
    owners = snapshot.metadata.owner_references
    kind = keys.Kind.VOLUME_GROUP_SNAPSHOT
    return next((each.uid for each in owners if each.kind == kind), "")


def members_of(api: apis.Api, uid: str) -> list[snapshots.VolumeSnapshot]:
    """Return the snapshots that a group owns."""
    return [each for each in api.all_of(snapshots.VolumeSnapshot) if group_uid(each) == uid]


def group_of(api: apis.Api, snapshot: groups.AnySnapshot) -> groups.VolumeGroupSnapshot | None:
    """Return the group that a snapshot is a member of, while it is there."""
    if not isinstance(snapshot, snapshots.VolumeSnapshot):
        return None
    owner = group_uid(snapshot)
    name = snapshot.status.volume_group_snapshot_name if snapshot.status else None
    for each in api.all_of(groups.VolumeGroupSnapshot):
        if each.metadata.uid == owner if owner else each.metadata.name == name:
            return each
    return None


def is_cut_with_group(content: groups.AnyContent) -> bool:
    """Say whether a content's snapshot is part of a group's."""
    if not isinstance(content, snapshots.VolumeSnapshotContent):
        return False
    told = content.status is not None and bool(content.status.volume_group_snapshot_handle)
    made = names.GROUP_HANDLE_ANNOTATION in content.metadata.annotations
    return told or (made and bool(content.cut_from))


def volume_of(api: apis.Api, claim: volumes.PersistentVolumeClaim) -> str:
    """Return the driver's name for the volume of a claim, or ''."""
    key = volumes.volume_key(claim.spec.volume_name)
    volume = api.find(volumes.PersistentVolume, key)
    return volume.spec.csi.volume_handle if volume is not None and volume.spec.csi else ""


def is_unfinished_use(
    api: apis.Api, snapshot: groups.AnySnapshot, claim: volumes.PersistentVolumeClaim
) -> bool:
    """Say whether a snapshot, or group, is cut or is to be cut from a claim, and is not done."""
    if snapshot.ready or snapshot.metadata.deleting:
        return False
    if isinstance(snapshot, snapshots.VolumeSnapshot):
        return snapshot.spec.source.persistent_volume_claim_name == claim.metadata.name
    content = content_of(api, snapshot)
    if content is not None:
        return not snapshot.given_content and volume_of(api, claim) in content.cut_from
    selector = snapshot.spec.source.selector
    if selector is None or snapshot.bound_content:
        return False
    return selector.match_labels.items() <= claim.metadata.labels.items()
