"""The members of a group snapshot: a VolumeSnapshot and a content for each of its volumes.

The group makes the snapshots, one for each entry of its content's list. From there on a member is a
snapshot like any other, bound, published and released by the same rules; but its content is drafted
from its group's, and tells what that says of it (`contents`). Names are derived from the group's
uid and the volume's handle (as the reference's), so that no crash makes one twice.
"""

from snapshotd import errors
from snapshotd.decide import intents, secret_refs, telling, validation, views
from snapshotd.model import groups, meta, names, snapshots

_GUARDS = (
    names.SNAPSHOT_GROUP_FINALIZER,
    names.SNAPSHOT_SOURCE_FINALIZER,
)


def decide(
    view: views.BindingView, content: groups.VolumeGroupSnapshotContent, now: float
) -> intents.Decision | None:
    """Return what makes the members of a group that was cut; None if all of them are there.

    Only while the group is not ready: a member that somebody deleted later stays away.
    """
    group = view.snapshot
    if not isinstance(group, groups.VolumeGroupSnapshot) or group.given_content or group.ready:
        return None
    found = (each.snapshot for each in view.members if each.snapshot is not None)
    foreign = [each.key for each in found if not _is_of(each, group)]
    if foreign:
        return telling.snapshot_error(
            group,
            reason="SnapshotContentCreationFailed",
            message=f"{foreign[0]} is in the way: it is not a member of this group; delete it",
            now=now,
        )
    drafts = [_draft(group, content, each) for each in view.members if each.snapshot is None]
    if not drafts:
        return None
    made = tuple(intents.CreateMember(each) for each in drafts)
    return intents.Decision(intents=made, again=0.0, why="makes a snapshot for each volume")


def owner(group: groups.VolumeGroupSnapshot) -> meta.OwnerReference:
    """Return the reference by which a member names its group."""
    return meta.OwnerReference(
        api_version=group.family.api_version,
        kind=group.family.snapshot_kind,
        name=group.metadata.name,
        uid=group.metadata.uid,
    )


def names_of(content: groups.VolumeGroupSnapshotContent) -> dict[str, groups.MemberInfo]:
    """Return what the driver said of each member, by the name of the member's snapshot.

    None before the group has a handle, and so can be deleted again with all of them; and none of a
    group that lacks a volume: half a point in time is nothing to restore from.
    """
    uid = content.ref.uid
    if not uid or not content.handle or not content.cut_from:
        return {}
    told = {
        each.volume_handle: each
        for each in content.members
        if each.volume_handle and each.snapshot_handle
    }
    if not told.keys() >= set(content.cut_from):
        return {}
    return {names.member_snapshot(uid, volume): each for volume, each in told.items()}


def draft_content(
    member: snapshots.VolumeSnapshot, home: views.Home
) -> snapshots.VolumeSnapshotContent:
    """Return the content to create for a member; raises `Invalid` saying what is missing."""
    group, cut = home.group, home.content
    if group is None or cut is None or not validation.points_back(cut, group):
        raise errors.Invalid("its group snapshot, or that one's content, is not there")
    info = names_of(cut).get(member.metadata.name)
    if info is None:
        raise errors.Invalid(f"{cut.key} tells of no snapshot for it yet")
    where = secret_refs.of_annotations(cut.family, cut.metadata.annotations)
    return snapshots.VolumeSnapshotContent(
        metadata=meta.ObjectMeta(
            name=names.member_content(member.metadata.name),
            finalizers=(names.CONTENT_FINALIZER,),
            annotations={
                names.GROUP_HANDLE_ANNOTATION: cut.handle,
                **secret_refs.annotations(member.family, where),
            },
            labels={
                key: value
                for key, value in cut.metadata.labels.items()
                if key == names.MANAGED_BY_LABEL
            },
        ),
        spec=snapshots.VolumeSnapshotContentSpec(
            deletion_policy=cut.spec.deletion_policy,
            driver=cut.spec.driver,
            source=snapshots.VolumeSnapshotContentSource(volume_handle=info.volume_handle),
            volume_snapshot_ref=telling.reference(member),
            source_volume_mode=home.volume.spec.volume_mode if home.volume else None,
        ),
    )


def unready(view: views.BindingView) -> str:
    """Return which members of a dynamic group are not ready, and why, or ''."""
    content = view.content
    if not isinstance(content, groups.VolumeGroupSnapshotContent):
        return ""
    if content.cut_from and not view.members:
        return f"{content.key} does not tell of a snapshot for each of its volumes"
    waiting = [each for each in view.members if each.snapshot is None or not each.snapshot.ready]
    if not waiting:
        return ""
    told = f"{len(waiting)} of {len(view.members)} members are not ready"
    problem = next(filter(None, map(_problem, waiting)), "")
    return f"{told}; {problem}" if problem else told


def failed(view: views.BindingView) -> bool:
    """Say whether a member tells of an error, or will never be there, or goes unready."""
    torn = view.content is not None and view.content.ready and not view.members
    return torn or any(_problem(each) for each in view.members)


def _problem(member: views.Member) -> str:
    snapshot = member.snapshot
    if snapshot is None or snapshot.ready:
        return ""
    if snapshot.metadata.deleting:
        return f"{snapshot.metadata.name} is being deleted: delete the group, and take another"
    return f"{snapshot.metadata.name}: {snapshot.error.message}" if snapshot.error else ""


def _is_of(snapshot: snapshots.VolumeSnapshot, group: groups.VolumeGroupSnapshot) -> bool:
    owning = validation.owner_group(snapshot)
    return owning is not None and owning.uid == group.metadata.uid


def _draft(
    group: groups.VolumeGroupSnapshot,
    content: groups.VolumeGroupSnapshotContent,
    member: views.Member,
) -> snapshots.VolumeSnapshot:
    bound = names.SNAPSHOT_BOUND_FINALIZER
    kept = (bound,) if content.spec.deletion_policy == names.DELETE else ()
    return snapshots.VolumeSnapshot(
        metadata=meta.ObjectMeta(
            name=names.member_snapshot(group.metadata.uid, member.info.volume_handle or ""),
            namespace=group.metadata.namespace,
            finalizers=(*_GUARDS, *kept),
            owner_references=(owner(group),),
        ),
        spec=snapshots.VolumeSnapshotSpec(
            snapshots.VolumeSnapshotSource(persistent_volume_claim_name=member.claim)
        ),
    )
