"""Saying what is wrong: an error in an object's status and a Warning about it, once.

Shared by the deciders so that all report alike: the same message is never written twice, and the
Event follows the write it speaks of. Reasons are given in the words of single snapshots; a group's
are the reference's for groups.
"""

from snapshotd.decide import intents
from snapshotd.model import families, groups, meta, names, snapshots, times

Subject = groups.AnySnapshot | groups.AnyContent


def target(obj: Subject, *, exact: bool = False) -> intents.Target:
    """Return the target of a write; `exact` makes it fail if the object changed since."""
    metadata = obj.metadata
    version = metadata.resource_version if exact else ""
    return intents.Target(obj.key, metadata.uid, version)


def reference(obj: Subject) -> meta.ObjectReference:
    """Return a reference to the object, as Events and contents carry it."""
    metadata = obj.metadata
    return meta.ObjectReference(
        api_version=obj.family.api_version,
        kind=obj.key.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )


def warning(obj: Subject, *, reason: str, message: str) -> intents.Announce:
    """Return a Warning about the object."""
    return intents.Announce(reference(obj), names.WARNING, _in_words_of(obj, reason), message)


def news(obj: Subject, *, reason: str, message: str) -> intents.Announce:
    """Return a Normal event about the object."""
    return intents.Announce(reference(obj), names.NORMAL, _in_words_of(obj, reason), message)


def snapshot_error(
    snapshot: groups.AnySnapshot, *, reason: str, message: str, now: float
) -> intents.Decision:
    """Report why this snapshot does not go on; what ends the wait wakes it."""
    told = problem(snapshot, reason=reason, message=message, now=now)
    return intents.Decision(intents=told, why=message)


def problem(
    snapshot: groups.AnySnapshot, *, reason: str, message: str, now: float
) -> tuple[intents.PublishStatus | intents.Announce, ...]:
    """Return the error in the status and the Warning about it; none where the status tells it."""
    error = snapshot.error
    if error is not None and error.message == message and not snapshot.ready:
        return ()
    said = snapshots.SnapshotError(time=times.rfc3339(now), message=message)
    change: intents.StatusChange
    if isinstance(snapshot, snapshots.VolumeSnapshot):
        change = intents.SnapshotStatusChange(error=said, ready_to_use=False)
    else:
        change = intents.GroupStatusChange(error=said, ready_to_use=False)
    return (
        intents.PublishStatus(target(snapshot, exact=True), change),
        warning(snapshot, reason=reason, message=message),
    )


# What is said of a group in the words of single snapshots, and what has other words altogether
_OF_MEMBERS = {"SnapshotDeletePending", "SnapshotDeleteError"}
_IRREGULAR = {"ContentValidationError": "GroupContentValidationError"}


def _in_words_of(obj: Subject, reason: str) -> str:
    """Return the reason as the reference has it for this object's family."""
    if obj.family is families.SINGLE:
        return reason
    if isinstance(obj, groups.VolumeGroupSnapshot) and reason in _OF_MEMBERS:
        return reason
    return _IRREGULAR.get(reason) or reason.replace("Snapshot", obj.family.named, 1)
