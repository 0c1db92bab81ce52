"""What a content's status is to say of a driver's answer, where it does not say it yet.

Handle, time and size are facts of the cut and are never changed once written; a missing time
becomes `now`. A status that tells the answer is not written again.
"""

import msgspec

from snapshotd.decide import intents, outcomes
from snapshotd.model import groups, snapshots, times

_UNSET = msgspec.UNSET
_NO_CHANGE = intents.ContentStatusChange()
_NO_GROUP_CHANGE = intents.GroupContentStatusChange()


def of_snapshot(
    content: snapshots.VolumeSnapshotContent, info: outcomes.SnapshotInfo, now: float
) -> intents.ContentStatusChange | None:
    """Return what to write so that status tells the driver's answer, None if it does."""
    said = content.status or snapshots.VolumeSnapshotContentStatus()
    created = int(now * 1e9) if info.creation_time is None else info.creation_time
    change = intents.ContentStatusChange(
        snapshot_handle=_UNSET if said.snapshot_handle else info.handle,
        creation_time=_UNSET if said.creation_time is not None else created,
        restore_size=_UNSET if said.restore_size or not info.size else info.size,
        ready_to_use=_UNSET if said.ready_to_use is info.ready else info.ready,
        error=_UNSET if said.error is None else None,
        volume_group_snapshot_handle=_UNSET
        if said.volume_group_snapshot_handle or not info.group_handle
        else info.group_handle,
    )
    return None if change == _NO_CHANGE else change


def of_group(
    content: groups.VolumeGroupSnapshotContent,
    info: outcomes.GroupInfo,
    now: float,
    *,
    problem: str = "",
) -> intents.GroupContentStatusChange | None:
    """Return what to write so that status tells the driver's answer, None if it does.

    With a `problem` the group is not ready, whatever the driver says, and its error tells why.
    """
    said = content.status or groups.GroupContentStatus()
    created = int(now * 1e9) if info.creation_time is None else info.creation_time
    ready = info.ready and not problem
    told = said.error.message if said.error else ""
    members = _members(said.volume_snapshot_info_list, info, now, ready=ready)
    change = intents.GroupContentStatusChange(
        volume_group_snapshot_handle=_UNSET if said.volume_group_snapshot_handle else info.handle,
        creation_time=_UNSET if said.creation_time else times.rfc3339_of_nanoseconds(created),
        ready_to_use=_UNSET if said.ready_to_use is ready else ready,
        error=_UNSET if (told or "") == problem else _error(problem, now),
        volume_snapshot_info_list=_UNSET if members == said.volume_snapshot_info_list else members,
    )
    return None if change == _NO_GROUP_CHANGE else change


def of_found_group(
    content: groups.AnyContent, info: outcomes.GroupInfo
) -> intents.GroupContentStatusChange | None:
    """Return what to write so that status names the group and all its members, None if it does.

    Members that status names under no handle are none of this group's: the reference clears the
    handle alone once it has deleted a group.
    """
    noted: tuple[groups.MemberInfo, ...] = ()
    if isinstance(content, groups.VolumeGroupSnapshotContent) and content.handle:
        noted = content.members
    members = _members(noted, info, None, ready=False)
    change = intents.GroupContentStatusChange(
        volume_group_snapshot_handle=_UNSET if content.handle else info.handle,
        volume_snapshot_info_list=_UNSET if members == noted else members,
    )
    return None if change == _NO_GROUP_CHANGE else change


def missing(content: groups.VolumeGroupSnapshotContent, info: outcomes.GroupInfo) -> str:
    """Return which volumes the driver's group has no snapshot of, though it was asked to, or ''."""
    noted = {each.snapshot_handle: each.volume_handle for each in content.members}
    cut = {each.source_volume or noted.get(each.handle) for each in info.members}
    lacking = [each for each in content.cut_from if each not in cut]
    if not lacking:
        return ""
    return (
        f"the driver's group snapshot {info.handle} is not whole: it has no snapshot of volume "
        f"{', '.join(lacking)}; delete the VolumeGroupSnapshot, and take another"
    )


def of_member(
    content: snapshots.VolumeSnapshotContent,
    cut: groups.VolumeGroupSnapshotContent,
    info: groups.MemberInfo,
) -> intents.ContentStatusChange | None:
    """Return what to write so that a member's status tells what its group's content says of it.

    All members are ready once their group is (CSI spec, VolumeGroupSnapshot.ready_to_use).
    """
    said = content.status or snapshots.VolumeSnapshotContentStatus()
    ready = cut.ready or info.ready_to_use is True or said.ready_to_use is True
    change = intents.ContentStatusChange(
        snapshot_handle=_UNSET
        if said.snapshot_handle or not info.snapshot_handle
        else info.snapshot_handle,
        creation_time=_UNSET
        if said.creation_time is not None or info.creation_time is None
        else info.creation_time,
        restore_size=_UNSET if said.restore_size or not info.restore_size else info.restore_size,
        ready_to_use=_UNSET if said.ready_to_use is ready else ready,
        error=_UNSET if said.error is None else None,
        volume_group_snapshot_handle=_UNSET
        if said.volume_group_snapshot_handle or not cut.handle
        else cut.handle,
    )
    return None if change == _NO_CHANGE else change


def _error(message: str, now: float) -> snapshots.SnapshotError | None:
    return snapshots.SnapshotError(time=times.rfc3339(now), message=message) if message else None


def _members(
    noted: tuple[groups.MemberInfo, ...],
    info: outcomes.GroupInfo,
    now: float | None,
    *,
    ready: bool,
) -> tuple[groups.MemberInfo, ...]:
    """Return the list with what the driver says now: a time is kept, a size and readiness too.

    A member that it leaves out for once stays: deletion is refused unless it names all of them. The
    order stays as well, so that an answer in another one is nothing to write.
    """
    told = {each.handle: each for each in info.members}
    known = {each.snapshot_handle for each in noted}
    kept = (_member(each, told.get(each.snapshot_handle or ""), now, ready=ready) for each in noted)
    new = (each for handle, each in told.items() if handle not in known)
    return (*kept, *(_member(groups.MemberInfo(), each, now, ready=ready) for each in new))


def _member(
    noted: groups.MemberInfo,
    info: outcomes.SnapshotInfo | None,
    now: float | None,
    *,
    ready: bool,
) -> groups.MemberInfo:
    """Return one member with what the driver says now; all are `ready` once their group is."""
    if info is None:
        return noted
    created = info.creation_time
    if created is None and now is not None:
        created = int(now * 1e9)
    return groups.MemberInfo(
        volume_handle=info.source_volume or noted.volume_handle,
        snapshot_handle=info.handle,
        creation_time=created if noted.creation_time is None else noted.creation_time,
        ready_to_use=ready or info.ready or noted.ready_to_use is True,
        restore_size=noted.restore_size or info.size or None,
    )
