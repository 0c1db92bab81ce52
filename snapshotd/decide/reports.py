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
    content: groups.VolumeGroupSnapshotContent, info: outcomes.GroupInfo, now: float
) -> intents.GroupContentStatusChange | None:
    """Return what to write so that status tells the driver's answer, None if it does."""
    said = content.status or groups.GroupContentStatus()
    created = int(now * 1e9) if info.creation_time is None else info.creation_time
    lacking = missing(content, info)
    ready = info.ready and not lacking
    told = said.error.message if said.error else ""
    members = _members(said.volume_snapshot_info_list, info, now)
    change = intents.GroupContentStatusChange(
        volume_group_snapshot_handle=_UNSET if said.volume_group_snapshot_handle else info.handle,
        creation_time=_UNSET if said.creation_time else times.rfc3339_of_nanoseconds(created),
        ready_to_use=_UNSET if said.ready_to_use is ready else ready,
        error=_UNSET if (told or "") == lacking else _error(lacking, now),
        volume_snapshot_info_list=_UNSET if members == said.volume_snapshot_info_list else members,
    )
    return None if change == _NO_GROUP_CHANGE else change


def missing(content: groups.VolumeGroupSnapshotContent, info: outcomes.GroupInfo) -> str:
    """Return which volumes the driver's group has no snapshot of, though it was asked to, or ''."""
    cut = {each.source_volume for each in info.members}
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
    said: tuple[groups.MemberInfo, ...], info: outcomes.GroupInfo, now: float
) -> tuple[groups.MemberInfo, ...]:
    """Return the list with what the driver says now: a time is kept, a size and readiness too."""
    known = {each.snapshot_handle: each for each in said}
    return tuple(_member(known.get(each.handle), each, now) for each in info.members)


def _member(
    said: groups.MemberInfo | None, info: outcomes.SnapshotInfo, now: float
) -> groups.MemberInfo:
    before = said or groups.MemberInfo()
    created = int(now * 1e9) if info.creation_time is None else info.creation_time
    return groups.MemberInfo(
        volume_handle=info.source_volume or before.volume_handle,
        snapshot_handle=info.handle,
        creation_time=created if before.creation_time is None else before.creation_time,
        ready_to_use=info.ready or before.ready_to_use is True,
        restore_size=before.restore_size or info.size or None,
    )
