"""What a snapshot's, or group's, status says: its content's, repeated, and nothing of its own.

A field that is missing or stale is corrected; a field that is right is not written again.
"""

from typing import TypeVar

import msgspec

from snapshotd import errors
from snapshotd.decide import intents, members, telling, validation, views
from snapshotd.model import groups, names, quantity, snapshots, times

_T = TypeVar("_T", str, bool)
_EMPTY = snapshots.VolumeSnapshotStatus()
_UNKNOWN = snapshots.VolumeSnapshotContentStatus()
_NO_CHANGE = intents.SnapshotStatusChange()
_NO_GROUP = groups.GroupStatus()
_UNKNOWN_GROUP = groups.GroupContentStatus()
_NO_GROUP_CHANGE = intents.GroupStatusChange()

_Change = intents.SnapshotStatusChange | intents.GroupStatusChange


def publish(
    view: views.BindingView,
    content: groups.AnyContent,
    policy: views.ClusterPolicy,
    now: float,
) -> intents.Decision:
    """Bring the status of a bound snapshot up to its content's.

    Ready is for good: a content that seems not to be is one that our watch of contents tells late.
    """
    if view.snapshot.ready and not content.ready:
        return intents.Decision(why=f"waits for {content.key} to be seen ready, which it was")
    waiting = members.unready(view)
    change = _difference(view, content, now, waiting)
    why = "" if content.ready else "waits for the driver to make the snapshot ready"
    if content.ready and not view.snapshot.ready:
        why = waiting
    if change is None:
        return intents.Decision(why=why)
    held = _held_back(view, content, policy, waiting)
    if held > 0.0:
        return intents.Decision(again=held, why=why)
    write = intents.PublishStatus(telling.target(view.snapshot, exact=True), change)
    return intents.Decision(intents=(write, *_events(view.snapshot, change)), why=why)


def _difference(
    view: views.BindingView, content: groups.AnyContent, now: float, waiting: str
) -> _Change | None:
    match view.snapshot, content:
        case (groups.VolumeGroupSnapshot() as group, groups.VolumeGroupSnapshotContent() as cut):
            unready = "" if group.ready else waiting
            return _group_difference(view, group, cut, now=now, waiting=unready)
        case (snapshots.VolumeSnapshot() as snapshot, snapshots.VolumeSnapshotContent() as cut):
            home = view.home.group if view.home is not None else None
            return difference(snapshot, cut, now, group=home.metadata.name if home else "")
        case _:
            raise TypeError(f"{content.key} is no content for {view.snapshot.key}")


def difference(
    snapshot: snapshots.VolumeSnapshot,
    content: snapshots.VolumeSnapshotContent,
    now: float,
    *,
    group: str = "",
) -> intents.SnapshotStatusChange | None:
    """Return what to write so that the snapshot's status tells the content's, None if it does.

    `group` is the name of the group that it is a member of, if any.
    """
    said = snapshot.status or _EMPTY
    known = content.status or _UNKNOWN
    created = known.creation_time
    ready = known.ready_to_use is True
    change = intents.SnapshotStatusChange(
        bound_volume_snapshot_content_name=_new(
            content.metadata.name, said.bound_volume_snapshot_content_name
        ),
        creation_time=msgspec.UNSET
        if created is None
        else _new(times.rfc3339_of_nanoseconds(created), said.creation_time),
        ready_to_use=_new(ready, said.ready_to_use),
        restore_size=_new_size(known.restore_size, said.restore_size),
        error=_new_error(None if ready else known.error, said.error, now),
        volume_group_snapshot_name=msgspec.UNSET
        if not group
        else _new(group, said.volume_group_snapshot_name),
    )
    return None if change == _NO_CHANGE else change


def _group_difference(
    view: views.BindingView,
    group: groups.VolumeGroupSnapshot,
    content: groups.VolumeGroupSnapshotContent,
    *,
    now: float,
    waiting: str,
) -> intents.GroupStatusChange | None:
    """Return what to write so that the group's status tells the content's, None if it does.

    A group is ready once the driver says so and it is not `waiting` for members; one that fails is
    told.
    """
    said = group.status or _NO_GROUP
    known = content.status or _UNKNOWN_GROUP
    ready = known.ready_to_use is True and not waiting
    error = known.error
    if error is None and members.failed(view) and waiting:
        error = snapshots.SnapshotError(message=waiting)
    change = intents.GroupStatusChange(
        bound_volume_group_snapshot_content_name=_new(
            content.metadata.name, said.bound_volume_group_snapshot_content_name
        ),
        # With the members' readiness, in one write: they are made in a moment.
        creation_time=msgspec.UNSET
        if known.creation_time is None or (waiting and known.ready_to_use)
        else _new(known.creation_time, said.creation_time),
        ready_to_use=_new(ready, said.ready_to_use),
        error=_new_error(None if ready else error, said.error, now),
    )
    return None if change == _NO_GROUP_CHANGE else change


def _new(wanted: _T, said: _T | None) -> _T | msgspec.UnsetType:
    return msgspec.UNSET if said == wanted else wanted


def _new_size(wanted: int | None, said: str | int | None) -> str | msgspec.UnsetType:
    if not wanted or (said is not None and _same_size(said, wanted)):
        return msgspec.UNSET
    return quantity.from_bytes(wanted)


def _new_error(
    wanted: snapshots.SnapshotError | None, said: snapshots.SnapshotError | None, now: float
) -> snapshots.SnapshotError | msgspec.UnsetType | None:
    message = wanted.message if wanted else None
    if message == (said.message if said else None):
        return msgspec.UNSET
    return snapshots.SnapshotError(time=times.rfc3339(now), message=message) if message else None


def _same_size(said: str | int, size: int) -> bool:
    try:
        return quantity.to_bytes(said) == size
    except errors.Invalid:
        return False


def _held_back(
    view: views.BindingView,
    content: groups.AnyContent,
    policy: views.ClusterPolicy,
    waiting: str,
) -> float:
    """Return the seconds to wait with a bound-but-not-ready status, 0 to write it now."""
    fresh = view.content_age is not None and not view.snapshot.bound_content
    soon = not content.ready or (waiting and not members.failed(view))
    if not fresh or not soon or content.error is not None:
        return 0.0
    return max(0.0, policy.status_hold - (view.content_age or 0.0))


def _events(snapshot: groups.AnySnapshot, change: _Change) -> tuple[intents.Announce, ...]:
    """Return the news in a change; of members none, since their group's is theirs."""
    if validation.is_member(snapshot):
        return ()
    told: list[intents.Announce] = []
    word = snapshot.family.noun.capitalize()
    name = f"{snapshot.metadata.namespace}/{snapshot.metadata.name}"
    before = snapshot.status.creation_time if snapshot.status else None
    if change.creation_time is not msgspec.UNSET and before is None:
        message = f"{word} {name} was successfully created by the CSI driver."
        told.append(telling.news(snapshot, reason="SnapshotCreated", message=message))
    if change.ready_to_use is True:
        message = f"{word} {name} is ready to use."
        told.append(telling.news(snapshot, reason="SnapshotReady", message=message))
    return tuple(told)


def bound_name(snapshot: groups.AnySnapshot) -> str:
    """Return the name of the content a snapshot has, is to have, or names as its source."""
    if given := snapshot.given_content:
        return given
    if bound := snapshot.bound_content:
        return bound
    if validation.is_member(snapshot):
        return names.member_content(snapshot.metadata.name)
    return snapshot.family.dynamic_content(snapshot.metadata.uid)
