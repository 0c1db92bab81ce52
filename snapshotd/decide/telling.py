"""Saying what is wrong: an error in an object's status and a Warning about it, once.

Shared by the deciders so that all report alike: the same message is never written twice, and the
Event follows the write it speaks of.
"""

from snapshotd.decide import intents
from snapshotd.model import meta, names, snapshots, times


def target(
    obj: snapshots.VolumeSnapshot | snapshots.VolumeSnapshotContent, *, exact: bool = False
) -> intents.Target:
    """Return the target of a write; `exact` makes it fail if the object changed since."""
    metadata = obj.metadata
    version = metadata.resource_version if exact else ""
    return intents.Target(obj.key, metadata.uid, version)


def reference(
    obj: snapshots.VolumeSnapshot | snapshots.VolumeSnapshotContent,
) -> meta.ObjectReference:
    """Return a reference to the object, as Events and contents carry it."""
    metadata = obj.metadata
    return meta.ObjectReference(
        api_version=names.SNAPSHOT_API,
        kind=obj.key.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )


def warning(
    obj: snapshots.VolumeSnapshot | snapshots.VolumeSnapshotContent, *, reason: str, message: str
) -> intents.Announce:
    """Return a Warning about the object."""
    return intents.Announce(reference(obj), names.WARNING, reason, message)


def news(
    obj: snapshots.VolumeSnapshot | snapshots.VolumeSnapshotContent, *, reason: str, message: str
) -> intents.Announce:
    """Return a Normal event about the object."""
    return intents.Announce(reference(obj), names.NORMAL, reason, message)


def snapshot_error(
    snapshot: snapshots.VolumeSnapshot, *, reason: str, message: str, now: float
) -> intents.Decision:
    """Report why this snapshot does not go on; what ends the wait wakes it."""
    told = problem(snapshot, reason=reason, message=message, now=now)
    return intents.Decision(intents=told, why=message)


def problem(
    snapshot: snapshots.VolumeSnapshot, *, reason: str, message: str, now: float
) -> tuple[intents.PublishStatus | intents.Announce, ...]:
    """Return the error in the status and the Warning about it; none where the status tells it."""
    error = snapshot.status.error if snapshot.status else None
    if error is not None and error.message == message and not snapshot.ready:
        return ()
    change = intents.SnapshotStatusChange(
        error=snapshots.SnapshotError(time=times.rfc3339(now), message=message), ready_to_use=False
    )
    return (
        intents.PublishStatus(target(snapshot, exact=True), change),
        warning(snapshot, reason=reason, message=message),
    )
