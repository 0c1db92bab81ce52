"""CSI side: delete the snapshot, or group, on storage, then release the content.

The invariant: storage is touched only with policy Delete *and* the being-deleted mark *and* a
deletionTimestamp; and a content whose cut is *unknown* is released only after the driver was asked
once more under the same name, and where it can list its snapshots is not taken at its word that
there is none, so that nothing is left behind.
"""

from typing import assert_never

from snapshotd import errors
from snapshotd.decide import calls, intents, outcomes, reports, telling, views
from snapshotd.model import groups, names, times

_CREATING = (intents.CreateSnapshot, intents.CreateGroupSnapshot)
_SKEW = 300.0  # seconds by which the storage's clock may be behind the API server's


def decide(view: views.ContentView, policy: views.DriverPolicy) -> intents.Decision:
    """Decide for one content of our driver that is being deleted."""
    content = view.content
    if content.family.content_finalizer not in content.metadata.finalizers:
        return intents.Decision(why="another controller's finalizer holds it")
    if not _meant(content):
        return intents.Decision(why=f"waits for its {content.family.snapshot_kind} to be deleted")
    if not _touches_storage(content):
        return _release(content)
    try:
        if view.answer is not None:
            return _conclude(view, view.answer, policy)
        return _ask(view, policy)
    except errors.Invalid as error:
        return _failed(content, f"Failed to get snapshot credentials: {error}", backs_off=False)


def ends_doubt(view: views.ContentView, decision: intents.Decision) -> bool:
    """Say whether a content is let go upon the driver's answer, which so is not asked for again."""
    answered = view.answer is not None and _touches_storage(view.content)
    return answered and any(
        isinstance(each, intents.UpdateMetadata) and each.finalizers is not None
        for each in decision.intents
    )


def _meant(content: groups.AnyContent) -> bool:
    """Say whether this deletion is meant: the snapshot goes too, or there never was one."""
    if content.deletion_meant:
        return True
    never_bound = not content.ref.uid
    return never_bound and bool(content.given_handle)


def _touches_storage(content: groups.AnyContent) -> bool:
    if not content.deletion_meant or content.spec.deletion_policy != names.DELETE:
        return False
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        return True
    # A member is deleted on storage with its group, and never by itself, whoever made its content.
    grouped = content.status is not None and content.status.volume_group_snapshot_handle
    return not grouped and names.GROUP_HANDLE_ANNOTATION not in content.metadata.annotations


def _ask(view: views.ContentView, policy: views.DriverPolicy) -> intents.Decision:
    content = view.content
    handle = content.handle or content.given_handle
    nameless = isinstance(content, groups.VolumeGroupSnapshotContent) and not content.member_handles
    if handle and not nameless:
        return intents.Decision(intents=(calls.delete(content, handle),))
    if content.given_handle:
        return _failed(content, f"{_undone(content)}: {calls.no_members(content)}", backs_off=False)
    nothing_made = view.attempt in {outcomes.Attempt.NEVER, outcomes.Attempt.REFUSED}
    # The content may be gone by now: the driver, if it is asked again, would cut anew.
    settled = view.attempt is outcomes.Attempt.NOTHING
    if not handle and (settled or (nothing_made and not content.being_created)):
        return _release(content)
    return _ask_by_name(view, policy)


def _ask_by_name(view: views.ContentView, policy: views.DriverPolicy) -> intents.Decision:
    """Ask with the name alone, which is all the driver needs to find what a lost call made."""
    lost = "which snapshots the group has" if view.content.handle else "what a lost call made"
    try:
        call = calls.create(view, policy)
    except errors.Invalid as error:
        return _failed(view.content, str(error), backs_off=False)
    return intents.Decision(intents=(call,), why=f"asks the driver {lost}")


def _conclude(
    view: views.ContentView, answer: outcomes.Answer, policy: views.DriverPolicy
) -> intents.Decision:
    content = view.content
    match answer:
        case outcomes.Deleted() | outcomes.NotListed():
            return _release(content)
        case outcomes.GroupInfo() if isinstance(view.call, intents.CheckGroupSnapshot):
            return _failed(content, f"{_undone(content)}: NOT_FOUND, and the driver tells of it")
        case outcomes.SnapshotInfo() | outcomes.GroupInfo():
            return _note(content, answer)
        case outcomes.Found():
            return _search(view, answer)
        case outcomes.NotSent():
            return _failed(content, f"Failed to get snapshot credentials: {answer.message}")
        case outcomes.Refusal() if calls.names_too_few(view):
            return _ask_by_name(view, policy)
        case outcomes.Refusal() if isinstance(view.call, _CREATING):
            return _refused(view, answer, policy)
        case outcomes.Refusal() if isinstance(view.call, intents.FindSnapshots):
            return _in_doubt(view, answer)
        case outcomes.Refusal():
            return _not_deleted(view, answer)
        case _:
            assert_never(answer)


def _note(
    content: groups.AnyContent, info: outcomes.SnapshotInfo | outcomes.GroupInfo
) -> intents.Decision:
    """Write down what a lost call made, and look again: its handle is all that counts from now on.

    Asked by its name again (after a release whose answer was lost), the driver would cut another
    for a content that is gone. And whether it is still to be deleted is decided as of then.
    """
    change: intents.StatusChange | None
    if isinstance(info, outcomes.SnapshotInfo):
        if content.handle == info.handle:  # a write whose answer was lost had told it
            return intents.Decision(again=0.0)
        change = intents.ContentStatusChange(snapshot_handle=info.handle)
    else:
        change = reports.of_found_group(content, info)
    if change is None or content.handle not in {"", info.handle}:
        return _failed(
            content,
            f"{_undone(content)}: the driver does not tell which snapshots {content.handle} has",
        )
    note = intents.PublishStatus(telling.target(content, exact=True), change)
    return intents.Decision(intents=(note,), again=0.0)


def _refused(
    view: views.ContentView, refusal: outcomes.Refusal, policy: views.DriverPolicy
) -> intents.Decision:
    """Release a content whose snapshot does not exist; keep it while a lost call is in doubt.

    A driver that fails every call, and never lost one, was asked once more now: enough. Where one
    may have been lost, and the driver can list, it is not taken at its word alone.
    """
    if view.content.handle:  # there is a group, whose members we were not told of
        return _failed(view.content, f"{_undone(view.content)}: {_words(refusal)}")
    if view.attempt in {outcomes.Attempt.REFUSED, outcomes.Attempt.DOUBTFUL}:
        return _release(view.content)
    if not outcomes.speaks_of_earlier_calls(refusal.code):
        return _in_doubt(view, refusal)
    if policy.can_list:
        why = "asks the driver which snapshots of the volume there are"
        return intents.Decision(intents=calls.find(view.content), why=why)
    return _release(view.content)


def _in_doubt(view: views.ContentView, refusal: outcomes.Refusal) -> intents.Decision:
    return _failed(view.content, f"{_unknown(view.content)}: {_words(refusal)}")


def _search(view: views.ContentView, found: outcomes.Found) -> intents.Decision:
    """Release a content unless a snapshot that nobody knows may be the one a lost call made."""
    content = view.content
    began = content.metadata.creation_timestamp
    since = 0 if began is None else int((times.seconds(began) - _SKEW) * 1e9)
    strays = [
        each.handle
        for each in found.snapshots
        if each.handle not in view.handles
        and each.source_volume in {"", *content.cut_from}  # some drivers list whatever they have
        and (each.creation_time is None or each.creation_time >= since)
    ]
    if not strays:
        return _release(content)
    return _failed(
        content,
        f"{_unknown(content)}: the driver refuses the call, and has "
        f"snapshots of volume {', '.join(content.cut_from)} that belong to no "
        f"VolumeSnapshotContent: {', '.join(sorted(strays))}. Delete what is not needed on the "
        "storage system, or make a VolumeSnapshotContent for it",
    )


def _not_deleted(view: views.ContentView, refusal: outcomes.Refusal) -> intents.Decision:
    """Tell of a deletion that failed; what is not found is gone, but a group must be said to be.

    A driver may miss a member of it that is gone, and leave the others.
    """
    content = view.content
    if refusal.code is outcomes.Code.NOT_FOUND:
        if not isinstance(content, groups.VolumeGroupSnapshotContent):
            return _release(content)
        call = calls.check(view, content.handle or content.given_handle)
        return intents.Decision(intents=(call,), why="asks the driver whether the group is gone")
    return _failed(content, f"{_undone(content)}: {_words(refusal)}")


def _undone(content: groups.AnyContent) -> str:
    return f"Failed to delete {content.family.noun}"


def _unknown(content: groups.AnyContent) -> str:
    return f"Failed to find out whether a {content.family.noun} was made"


def _words(refusal: outcomes.Refusal) -> str:
    return f"{refusal.code}: {refusal.message}"


def _release(content: groups.AnyContent) -> intents.Decision:
    ours = content.family.content_finalizer
    kept = tuple(each for each in content.metadata.finalizers if each != ours)
    target = telling.target(content, exact=True)
    return intents.Decision(intents=(intents.UpdateMetadata(target, kept),))


def _failed(
    content: groups.AnyContent, message: str, *, backs_off: bool = True
) -> intents.Decision:
    told = telling.warning(content, reason="SnapshotDeleteError", message=message)
    return intents.Decision(intents=(told,), failed=backs_off, why=message)
