"""CSI side: cut the snapshot or group, poll until it is ready, publish what the driver says.

Decided in two looks: the first ends in a call, the second has the driver's answer in its view. An
answer that is not definite leaves the being-created mark behind, which deletion and a successor
read as *unknown*.
"""

from typing import assert_never

import msgspec

from snapshotd import errors
from snapshotd.decide import backoff, calls, intents, outcomes, reports, telling, validation, views
from snapshotd.model import groups, snapshots, times


def decide(view: views.ContentView, policy: views.DriverPolicy, now: float) -> intents.Decision:
    """Decide for one content of our driver that is not being deleted."""
    content = view.content
    if validation.content_problem(content):
        return intents.Decision(why="the controller reports its invalid source")
    if content.ready:  # for good: a late answer to another call does not change that
        return _only(calls.not_being_created(content))
    if validation.follows_group(content):
        # Cut by itself it would be another point in time, or nobody's copy.
        return intents.Decision(why="is cut with its group, whose content tells its state")
    try:
        if view.answer is not None:
            return _conclude(view, view.answer, policy, now)
        return _begin(view, policy, now)
    except errors.Invalid as error:
        return _failed(view, str(error), now, backs_off=False)


def _begin(view: views.ContentView, policy: views.DriverPolicy, now: float) -> intents.Decision:
    content = view.content
    if content.cut_from and not content.ref.uid:
        return intents.Decision(why=f"waits for the uid of its {content.family.snapshot_kind}")
    if content.cut_from and content.family.content_finalizer not in content.metadata.finalizers:
        # Nothing is cut that could be lost sight of: the controller adds it to every bound content.
        return intents.Decision(why="waits for its finalizer")
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        return _ask_for_group(view, content, policy)
    handle = content.given_handle or content.handle
    if handle and policy.can_check:
        return intents.Decision(intents=(calls.check(view, handle),))
    if content.given_handle:
        # Nobody can be asked: what was given is taken as it is (reference, GetSnapshotStatus).
        taken = outcomes.SnapshotInfo(handle, creation_time=int(now * 1e9), ready=True)
        return _publish(view, reports.of_snapshot(content, taken, now), policy, ready=True)
    return intents.Decision(intents=(calls.create(view, policy),))


def _ask_for_group(
    view: views.ContentView,
    content: groups.VolumeGroupSnapshotContent,
    policy: views.DriverPolicy,
) -> intents.Decision:
    """Ask for a group by its handle and its members'; by its name while we know neither."""
    if not policy.can_group:
        raise errors.Invalid(
            f"the driver {policy.driver} cannot take snapshots of groups: it does not tell the "
            "capability CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"
        )
    handle = content.given_handle or content.handle
    if content.given_handle or (handle and content.member_handles):
        return intents.Decision(intents=(calls.check(view, handle),))
    return intents.Decision(intents=(calls.create(view, policy),))


def _conclude(
    view: views.ContentView, answer: outcomes.Answer, policy: views.DriverPolicy, now: float
) -> intents.Decision:
    content = view.content
    match answer:
        case outcomes.SnapshotInfo() if isinstance(content, snapshots.VolumeSnapshotContent):
            change = reports.of_snapshot(content, answer, now)
            return _publish(view, change, policy, ready=answer.ready)
        case outcomes.GroupInfo() if isinstance(content, groups.VolumeGroupSnapshotContent):
            return _publish_group(view, content, answer, policy, now)
        case outcomes.Refusal() if calls.names_too_few(view):
            why = "asks the driver for all members of the group"
            return intents.Decision(intents=(calls.create(view, policy),), why=why)
        case outcomes.Refusal():
            return _refused(view, answer, now)
        case outcomes.NotSent():
            return _failed(view, answer.message, now)
        case (
            outcomes.NotListed()
            | outcomes.Deleted()
            | outcomes.Found()
            | outcomes.SnapshotInfo()
            | outcomes.GroupInfo()
        ):
            handle = content.given_handle or content.handle
            family = content.family
            what = f"{family.named[0].lower()}{family.named[1:]}ID"
            return _failed(view, f"can not find {family.noun} for {what} {handle}", now)
        case _:
            assert_never(answer)


def _publish(
    view: views.ContentView,
    change: intents.StatusChange | None,
    policy: views.DriverPolicy,
    *,
    ready: bool,
) -> intents.Decision:
    """Write what the driver said, as far as it is news; poll on while it is not ready."""
    content = view.content
    wanted: list[intents.Anything] = []
    if change is not None:
        wanted.append(intents.PublishStatus(telling.target(content, exact=True), change))
    unmark = calls.not_being_created(content)
    if unmark is not None:
        wanted.append(unmark)
    if ready:
        return intents.Decision(intents=tuple(wanted))
    return intents.Decision(
        intents=tuple(wanted),
        again=backoff.poll_delay(view.polls, start=policy.poll_interval),
        why=f"waits for the driver to make the {content.family.noun} ready",
    )


def _publish_group(
    view: views.ContentView,
    content: groups.VolumeGroupSnapshotContent,
    info: outcomes.GroupInfo,
    policy: views.DriverPolicy,
    now: float,
) -> intents.Decision:
    """Write what the driver said of a group; one that is not whole has failed, and is told of."""
    missing = reports.missing(content, info)
    problem = f"Failed to create group snapshot: {missing}" if missing else ""
    change = reports.of_group(content, info, now, problem=problem)
    published = _publish(view, change, policy, ready=info.ready)
    if not problem:
        return published
    failed = msgspec.structs.replace(published, again=None, failed=True, why=problem)
    if change is None or change.error is msgspec.UNSET:
        return failed
    told = telling.warning(content, reason="SnapshotCreationFailed", message=problem)
    return _then(failed, told)


def _refused(view: views.ContentView, refusal: outcomes.Refusal, now: float) -> intents.Decision:
    meaning = outcomes.meaning(refusal.code)
    cutting = _is_cutting(view.content)
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


def _is_cutting(content: groups.AnyContent) -> bool:
    return bool(content.cut_from) and not content.handle


def _failed(
    view: views.ContentView, message: str, now: float, *, backs_off: bool = True
) -> intents.Decision:
    """Tell what went wrong, once, on the content; try again after a growing delay.

    Without `backs_off` an event ends the wait: a class or a content that is mended.
    """
    content = view.content
    cutting = _is_cutting(content)
    reason = "SnapshotCreationFailed" if cutting else "SnapshotContentCheckandUpdateFailed"
    what = content.family.noun
    prefix = f"Failed to create {what}" if cutting else f"Failed to check and update {what} content"
    told = f"{prefix}: {message}"
    said = content.error
    if said is not None and said.message == told:
        return intents.Decision(failed=backs_off, why=told)
    error = snapshots.SnapshotError(time=times.rfc3339(now), message=told)
    change: intents.StatusChange
    if isinstance(content, snapshots.VolumeSnapshotContent):
        change = intents.ContentStatusChange(error=error, ready_to_use=False)
    else:
        change = intents.GroupContentStatusChange(error=error, ready_to_use=False)
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
