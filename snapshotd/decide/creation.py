"""CSI side: cut the snapshot, poll until it is ready, publish what the driver says.

Decided in two looks: the first ends in a call, the second has the driver's answer in its view. An
answer that is not definite leaves the being-created mark behind, which deletion and a successor
read as *unknown*.
"""

from typing import assert_never

import msgspec

from snapshotd import errors
from snapshotd.decide import backoff, calls, intents, outcomes, telling, validation, views
from snapshotd.model import names, snapshots, times


def decide(view: views.ContentView, policy: views.DriverPolicy, now: float) -> intents.Decision:
    """Decide for one VolumeSnapshotContent of our driver that is not being deleted."""
    content = view.content
    if validation.content_problem(content):
        return intents.Decision(why="the controller reports its invalid source")
    if content.ready:  # for good: a late answer to another call does not change that
        return _only(calls.not_being_created(content))
    if view.answer is not None:
        return _conclude(view, view.answer, policy, now)
    if names.GROUP_HANDLE_ANNOTATION in content.metadata.annotations and not content.handle:
        return intents.Decision(why="is cut with its group, whose content has its handle")
    if content.spec.source.volume_handle and not content.spec.volume_snapshot_ref.uid:
        return intents.Decision(why="waits for the uid of its VolumeSnapshot")
    if content.spec.source.volume_handle and (
        names.CONTENT_FINALIZER not in content.metadata.finalizers
    ):
        # Nothing is cut that could be lost sight of: the controller adds it to every bound content.
        return intents.Decision(why="waits for its finalizer")
    try:
        return _ask(view, policy, now)
    except errors.Invalid as error:
        return _failed(view, str(error), now, backs_off=False)


def _ask(view: views.ContentView, policy: views.DriverPolicy, now: float) -> intents.Decision:
    content = view.content
    given = content.spec.source.snapshot_handle
    handle = given or content.handle
    if handle and policy.can_check:
        return intents.Decision(intents=(calls.check(view, handle),))
    if given:
        # Nobody can be asked: what was given is taken as it is (reference, GetSnapshotStatus).
        taken = outcomes.SnapshotInfo(given, creation_time=int(now * 1e9), ready=True)
        return _publish(view, taken, policy, now)
    return intents.Decision(intents=(calls.create(view, policy),))


def _conclude(
    view: views.ContentView, answer: outcomes.Answer, policy: views.DriverPolicy, now: float
) -> intents.Decision:
    match answer:
        case outcomes.SnapshotInfo():
            return _publish(view, answer, policy, now)
        case outcomes.Refusal():
            return _refused(view, answer, now)
        case outcomes.NotListed() | outcomes.Deleted() | outcomes.Found():
            handle = view.content.spec.source.snapshot_handle or view.content.handle
            return _failed(view, f"can not find snapshot for snapshotID {handle}", now)
        case outcomes.NotSent():
            return _failed(view, answer.message, now)
        case _:
            assert_never(answer)


def _publish(
    view: views.ContentView,
    info: outcomes.SnapshotInfo,
    policy: views.DriverPolicy,
    now: float,
) -> intents.Decision:
    """Write what the driver said, as far as it is news; poll on while it is not ready."""
    change = difference(view.content, info, now)
    wanted: list[intents.Anything] = []
    if change is not None:
        wanted.append(intents.PublishStatus(telling.target(view.content, exact=True), change))
    unmark = calls.not_being_created(view.content)
    if unmark is not None:
        wanted.append(unmark)
    if info.ready:
        return intents.Decision(intents=tuple(wanted))
    return intents.Decision(
        intents=tuple(wanted),
        again=backoff.poll_delay(view.polls, start=policy.poll_interval),
        why="waits for the driver to make the snapshot ready",
    )


def difference(
    content: snapshots.VolumeSnapshotContent, info: outcomes.SnapshotInfo, now: float
) -> intents.ContentStatusChange | None:
    """Return what to write so that status tells the driver's answer, None if it does.

    Handle, time and size are facts of the cut and are never changed once written; a missing time
    becomes `now`.
    """
    said = content.status or snapshots.VolumeSnapshotContentStatus()
    unset = msgspec.UNSET
    created = int(now * 1e9) if info.creation_time is None else info.creation_time
    change = intents.ContentStatusChange(
        snapshot_handle=unset if said.snapshot_handle else info.handle,
        creation_time=unset if said.creation_time is not None else created,
        restore_size=unset if said.restore_size or not info.size else info.size,
        ready_to_use=unset if said.ready_to_use is info.ready else info.ready,
        error=unset if said.error is None else None,
        volume_group_snapshot_handle=unset
        if said.volume_group_snapshot_handle or not info.group_handle
        else info.group_handle,
    )
    return None if change == _NO_CHANGE else change


_NO_CHANGE = intents.ContentStatusChange()


def _refused(view: views.ContentView, refusal: outcomes.Refusal, now: float) -> intents.Decision:
    meaning = outcomes.meaning(refusal.code)
    cutting = bool(view.content.spec.source.volume_handle) and not view.content.handle
    message = f"{refusal.code}: {refusal.message}"
    match meaning:
        case outcomes.Meaning.FINAL | outcomes.Meaning.DOUBTFUL:
            settled = calls.not_being_created(view.content) if cutting else None
            return _then(_failed(view, message, now), settled)
        case outcomes.Meaning.BUSY:
            mark = calls.being_created(view.content) if cutting else None
            return _then(intents.Decision(failed=True, why=message), mark)
        case outcomes.Meaning.UNKNOWN:
            mark = calls.being_created(view.content) if cutting else None
            return _then(_failed(view, message, now), mark)
        case _:
            assert_never(meaning)


def _failed(
    view: views.ContentView, message: str, now: float, *, backs_off: bool = True
) -> intents.Decision:
    """Tell what went wrong, once, on the content; try again after a growing delay.

    Without `backs_off` an event ends the wait: a class or a content that is mended.
    """
    content = view.content
    cutting = bool(content.spec.source.volume_handle) and not content.handle
    reason = "SnapshotCreationFailed" if cutting else "SnapshotContentCheckandUpdateFailed"
    prefix = (
        "Failed to create snapshot" if cutting else "Failed to check and update snapshot content"
    )
    told = f"{prefix}: {message}"
    said = content.status.error if content.status else None
    if said is not None and said.message == told:
        return intents.Decision(failed=backs_off, why=told)
    error = snapshots.SnapshotError(time=times.rfc3339(now), message=told)
    change = intents.ContentStatusChange(error=error, ready_to_use=False)
    return intents.Decision(
        intents=(
            intents.PublishStatus(telling.target(content, exact=True), change),
            telling.warning(content, reason=reason, message=told),
        ),
        failed=backs_off,
        why=told,
    )


def _only(intent: intents.Anything | None) -> intents.Decision:
    return intents.SETTLED if intent is None else intents.Decision(intents=(intent,))


def _then(first: intents.Decision, more: intents.Anything | None) -> intents.Decision:
    """Return the decision with one more intent behind: a mark would change the version before."""
    if more is None:
        return first
    return msgspec.structs.replace(first, intents=(*first.intents, more))
