"""What a VolumeSnapshot's status says: the content's status, repeated, and nothing of its own.

A field that is missing or stale is corrected; a field that is right is not written again.
"""

from typing import TypeVar

import msgspec

from snapshotd import errors
from snapshotd.decide import intents, telling, views
from snapshotd.model import names, quantity, snapshots, times

_T = TypeVar("_T", str, bool)
_EMPTY = snapshots.VolumeSnapshotStatus()
_UNKNOWN = snapshots.VolumeSnapshotContentStatus()
_NO_CHANGE = intents.SnapshotStatusChange()


def publish(
    view: views.BindingView,
    content: snapshots.VolumeSnapshotContent,
    policy: views.ClusterPolicy,
    now: float,
) -> intents.Decision:
    """Bring the status of a bound snapshot up to its content's."""
    snapshot = view.snapshot
    change = difference(snapshot, content, now)
    why = "" if content.ready else "waits for the driver to make the snapshot ready"
    if change is None:
        return intents.Decision(why=why)
    held = _held_back(view, content, policy)
    if held > 0.0:
        return intents.Decision(again=held, why=why)
    write = intents.PublishStatus(telling.target(snapshot, exact=True), change)
    return intents.Decision(intents=(write, *_events(snapshot, change)), why=why)


def difference(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent, now: float
) -> intents.SnapshotStatusChange | None:
    """Return what to write so that the snapshot's status tells the content's, None if it does."""
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
    )
    return None if change == _NO_CHANGE else change


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
    content: snapshots.VolumeSnapshotContent,
    policy: views.ClusterPolicy,
) -> float:
    """Return the seconds to wait with a bound-but-not-ready status, 0 to write it now."""
    fresh = view.content_age is not None and not view.snapshot.bound_content
    failed = content.status is not None and content.status.error is not None
    if not fresh or content.ready or failed:
        return 0.0
    return max(0.0, policy.status_hold - (view.content_age or 0.0))


def _events(
    snapshot: snapshots.VolumeSnapshot, change: intents.SnapshotStatusChange
) -> tuple[intents.Announce, ...]:
    told: list[intents.Announce] = []
    name = f"{snapshot.metadata.namespace}/{snapshot.metadata.name}"
    said = snapshot.status or _EMPTY
    if change.creation_time is not msgspec.UNSET and said.creation_time is None:
        message = f"Snapshot {name} was successfully created by the CSI driver."
        told.append(telling.news(snapshot, reason="SnapshotCreated", message=message))
    if change.ready_to_use is True:
        message = f"Snapshot {name} is ready to use."
        told.append(telling.news(snapshot, reason="SnapshotReady", message=message))
    return tuple(told)


def bound_name(snapshot: snapshots.VolumeSnapshot) -> str:
    """Return the name of the content a snapshot has, is to have, or names as its source."""
    source = snapshot.spec.source
    if source.volume_snapshot_content_name:
        return source.volume_snapshot_content_name
    return snapshot.bound_content or names.dynamic_content(snapshot.metadata.uid)
