"""A group goes: with all its members or not at all, and nothing is left behind on storage."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import deletion, intents, outcomes, views
from snapshotd.decide.outcomes import Attempt, Code
from snapshotd.model import groups, meta, names, secrets, snapshots

MARKED = {names.GROUP_BEING_DELETED_ANNOTATION: "yes"}
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
KEY = objects.group_content().key
EXACT = intents.Target(KEY, "uid-8", "8")
CREATE = intents.CreateGroupSnapshot("groupsnapshot-uid-7", ("vol-a", "vol-b"))
DELETE = intents.DeleteGroupSnapshot("group", ("handle-a", "handle-b"))
RELEASED = intents.Decision(intents=(intents.UpdateMetadata(EXACT, ()),))
LIST = objects.GROUP_STATUS.volume_snapshot_info_list
PART = objects.changed(objects.GROUP_STATUS, volume_snapshot_info_list=LIST[:1])
NAMELESS = objects.changed(objects.GROUP_STATUS, volume_snapshot_info_list=())
SECRET = {names.GROUP_DELETION_SECRET_NAME: "s", names.GROUP_DELETION_SECRET_NAMESPACE: "n"}
MISMATCH = outcomes.Refusal(Code.INVALID_ARGUMENT, "snapshot_ids")
FOUND = outcomes.GroupInfo(
    "group",
    members=(
        outcomes.SnapshotInfo("handle-a", "vol-a", creation_time=10**18),
        outcomes.SnapshotInfo("handle-b", "vol-b", creation_time=10**18),
    ),
)
LISTS = msgspec.structs.replace(objects.DRIVER_POLICY, can_list=True)


def going(**fields: Any) -> groups.VolumeGroupSnapshotContent:
    return objects.group_content(**{"metadata__annotations": MARKED, **GOING, **fields})


def given(*members: str, **fields: Any) -> groups.VolumeGroupSnapshotContent:
    handles = groups.GroupHandles("group", members)
    return going(spec__source=groups.GroupContentSource(group_snapshot_handles=handles), **fields)


def decide(policy: views.DriverPolicy = objects.DRIVER_POLICY, **fields: Any) -> intents.Decision:
    base = {"content": going(), "snapshot_class": objects.group_class()}
    return deletion.decide(views.ContentView(**{**base, **fields}), policy)


def failure(message: str, *, failed: bool = True) -> intents.Decision:
    about = meta.ObjectReference(
        api_version="groupsnapshot.storage.k8s.io/v1",
        kind="VolumeGroupSnapshotContent",
        name="groupsnapcontent-uid-7",
        uid="uid-8",
        resource_version="8",
    )
    told = intents.Announce(about, "Warning", "GroupSnapshotDeleteError", message)
    return intents.Decision(intents=(told,), failed=failed, why=message)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (going(metadata__finalizers=("x/y",)), "another controller's finalizer holds it"),
        (going(metadata__annotations={}), "waits for its VolumeGroupSnapshot to be deleted"),
        (
            going(metadata__annotations={names.BEING_DELETED_ANNOTATION: "yes"}),
            "waits for its VolumeGroupSnapshot to be deleted",
        ),
        (
            given("handle-a", metadata__annotations={}),
            "waits for its VolumeGroupSnapshot to be deleted",
        ),
    ],
)
def test_what_the_deletion_of_a_group_waits_for_is_said(
    content: groups.VolumeGroupSnapshotContent, why: str
) -> None:
    assert decide(content=content) == intents.Decision(why=why)


def test_a_group_is_deleted_with_the_handles_of_all_its_members_and_the_secret_of_its_cut() -> None:
    content = going(status=objects.GROUP_STATUS, metadata__annotations={**MARKED, **SECRET})
    where = secrets.SecretReference(namespace="n", name="s")
    call = msgspec.structs.replace(DELETE, credentials=where)
    assert decide(content=content) == intents.Decision(intents=(call,))


def test_a_given_group_is_deleted_with_what_was_given_and_what_was_told() -> None:
    assert decide(content=given("handle-a", "handle-b")).intents == (DELETE,)
    told = given("handle-b", status=objects.GROUP_STATUS)
    (call,) = decide(content=told).intents
    assert call == intents.DeleteGroupSnapshot("group", ("handle-b", "handle-a"))


@pytest.mark.parametrize("status", [None, objects.GROUP_STATUS])
def test_policy_retain_calls_nobody(status: groups.GroupContentStatus | None) -> None:
    assert decide(content=going(spec__deletion_policy=names.RETAIN, status=status)) == RELEASED


def test_a_given_group_that_was_never_bound_goes_unmarked_and_its_snapshots_stay() -> None:
    free = given("handle-a", metadata__annotations={}, spec__volume_group_snapshot_ref__uid="")
    assert decide(content=free) == RELEASED


@pytest.mark.parametrize("answer", [outcomes.Deleted(), outcomes.NotListed()])
def test_a_group_that_is_gone_lets_its_content_go(answer: outcomes.Answer) -> None:
    content = going(status=objects.GROUP_STATUS)
    assert decide(content=content, call=DELETE, answer=answer) == RELEASED


def test_what_is_not_found_may_be_a_member_so_the_group_is_asked_for() -> None:
    refusal = outcomes.Refusal(Code.NOT_FOUND, "handle-a")
    content = going(status=objects.GROUP_STATUS, metadata__annotations={**MARKED, **SECRET})
    where = secrets.SecretReference(namespace="n", name="s")
    check = intents.CheckGroupSnapshot("group", ("handle-a", "handle-b"), where)
    assert decide(content=content, call=DELETE, answer=refusal) == intents.Decision(
        intents=(check,), why="asks the driver whether the group is gone"
    )
    assert decide(content=content, call=check, answer=outcomes.NotListed()) == RELEASED
    assert decide(content=content, call=check, answer=FOUND) == failure(
        "Failed to delete group snapshot: NOT_FOUND, and the driver tells of it"
    )
    lost = outcomes.Refusal(Code.UNAVAILABLE, "why")
    assert decide(content=content, call=check, answer=lost) == failure(
        "Failed to delete group snapshot: UNAVAILABLE: why"
    )
    half = objects.group_class(parameters={names.GROUP_GET_SECRET_NAME_PARAMETER: "x"})
    told = decide(content=content, snapshot_class=half, call=DELETE, answer=refusal)
    assert told.why.startswith("Failed to get snapshot credentials: either name and namespace")


@pytest.mark.parametrize("code", [each for each in Code if each is not Code.NOT_FOUND])
def test_a_deletion_that_fails_is_told_in_the_words_of_groups(code: Code) -> None:
    content = going(status=objects.GROUP_STATUS)
    decision = decide(content=content, call=DELETE, answer=outcomes.Refusal(code, "why"))
    assert decision == failure(f"Failed to delete group snapshot: {code}: why")


def test_credentials_that_cannot_be_had_are_told() -> None:
    content = going(status=objects.GROUP_STATUS)
    decision = decide(content=content, call=DELETE, answer=outcomes.NotSent("no secret"))
    assert decision == failure("Failed to get snapshot credentials: no secret")
    empty = {**MARKED, **SECRET, names.GROUP_DELETION_SECRET_NAME: ""}
    told = decide(content=going(status=objects.GROUP_STATUS, metadata__annotations=empty))
    assert told.why.startswith("Failed to get snapshot credentials: cannot retrieve secrets")
    assert not told.failed


# What a lost call may have made


def test_a_lost_call_is_asked_about_by_name_and_needs_no_class() -> None:
    (call,) = decide(snapshot_class=None).intents
    assert isinstance(call, intents.CreateGroupSnapshot)
    assert (call.name, call.source_volumes) == (CREATE.name, CREATE.source_volumes)
    assert call.parameters == {}
    assert decide().why == "asks the driver what a lost call made"


@pytest.mark.parametrize("attempt", [Attempt.NEVER, Attempt.REFUSED])
def test_a_group_that_nobody_can_have_cut_is_let_go_unless_it_is_marked(attempt: Attempt) -> None:
    assert decide(attempt=attempt) == RELEASED
    marks = {**MARKED, names.GROUP_BEING_CREATED_ANNOTATION: "yes"}
    asked = decide(content=going(metadata__annotations=marks), attempt=attempt)
    assert isinstance(asked.intents[0], intents.CreateGroupSnapshot)


def test_what_a_lost_call_made_is_noted_before_it_is_deleted() -> None:
    noted = tuple(
        groups.MemberInfo(f"vol-{name}", f"handle-{name}", 10**18, ready_to_use=False)
        for name in ("a", "b")
    )
    change = intents.GroupContentStatusChange(
        volume_group_snapshot_handle="group", volume_snapshot_info_list=noted
    )
    assert decide(call=CREATE, answer=FOUND) == intents.Decision(
        intents=(intents.PublishStatus(EXACT, change),), again=0.0
    )


def test_a_call_that_cannot_be_made_keeps_the_group() -> None:
    unbound = going(spec__volume_group_snapshot_ref__uid="")
    assert decide(content=unbound) == failure(
        "cannot create group snapshot for content groupsnapcontent-uid-7: it needs volumeHandles "
        "and the uid of its VolumeGroupSnapshot",
        failed=False,
    )


@pytest.mark.parametrize("attempt", [Attempt.REFUSED, Attempt.DOUBTFUL])
def test_a_driver_that_never_lost_a_call_is_taken_at_its_word(attempt: Attempt) -> None:
    refusal = outcomes.Refusal(Code.INTERNAL, "why")
    assert decide(call=CREATE, answer=refusal, attempt=attempt) == RELEASED


def test_a_refusal_that_says_nothing_keeps_the_group() -> None:
    refusal = outcomes.Refusal(Code.UNAVAILABLE, "why")
    message = "Failed to find out whether a group snapshot was made: UNAVAILABLE: why"
    assert decide(call=CREATE, answer=refusal) == failure(message)


def test_a_refusal_after_a_lost_call_sends_us_to_the_lists_of_all_volumes() -> None:
    """A volume that is gone by now may be looked for before the name is."""
    refusal = outcomes.Refusal(Code.NOT_FOUND, "no volume vol-a")
    assert decide(call=CREATE, answer=refusal) == RELEASED  # there is no list to look at
    where = secrets.SecretReference(namespace="n", name="s")
    content = going(metadata__annotations={**MARKED, **SECRET})
    assert decide(LISTS, content=content, call=CREATE, answer=refusal) == intents.Decision(
        intents=(
            intents.FindSnapshots("vol-a", where),
            intents.FindSnapshots("vol-b", where),
        ),
        why="asks the driver which snapshots of the volume there are",
    )


def test_a_snapshot_that_nobody_knows_keeps_the_group() -> None:
    strays = outcomes.Found(
        (
            outcomes.SnapshotInfo("theirs", "vol-a"),
            outcomes.SnapshotInfo("stray", "vol-b"),
            outcomes.SnapshotInfo("other", "vol-c"),
        )
    )
    call = intents.FindSnapshots("vol-b")
    known = frozenset({"theirs"})
    assert decide(LISTS, call=call, answer=strays, handles=known) == failure(
        "Failed to find out whether a group snapshot was made: the driver refuses the call, and "
        "has snapshots of volume vol-a, vol-b that belong to no VolumeSnapshotContent: stray. "
        "Delete what is not needed on the storage system, or make a VolumeSnapshotContent for it"
    )
    assert decide(LISTS, call=call, answer=strays, handles=known | {"stray"}) == RELEASED


# Members that are not known


def test_a_group_whose_members_nobody_noted_is_asked_for_them() -> None:
    decision = decide(content=going(status=NAMELESS), attempt=Attempt.NEVER)
    assert isinstance(decision.intents[0], intents.CreateGroupSnapshot)
    assert decision.intents[0].mark is None
    assert decision.why == "asks the driver which snapshots the group has"


@pytest.mark.parametrize("attempt", list(Attempt))
@pytest.mark.parametrize("code", list(Code))
def test_a_group_that_was_made_is_not_let_go_for_a_refusal_of_that_question(
    code: Code, attempt: Attempt
) -> None:
    content = going(status=NAMELESS)
    refusal = outcomes.Refusal(code, "why")
    decision = decide(LISTS, content=content, call=CREATE, answer=refusal, attempt=attempt)
    assert decision == failure(f"Failed to delete group snapshot: {code}: why")


@pytest.mark.parametrize("status", [NAMELESS, PART])
def test_members_that_are_found_are_added_to_those_that_are_noted(
    status: groups.GroupContentStatus,
) -> None:
    (note,) = decide(content=going(status=status), call=CREATE, answer=FOUND).intents
    assert isinstance(note, intents.PublishStatus)
    change = note.status
    assert isinstance(change, intents.GroupContentStatusChange)
    assert change.volume_group_snapshot_handle is msgspec.UNSET
    assert isinstance(change.volume_snapshot_info_list, tuple)
    found = [each.snapshot_handle for each in change.volume_snapshot_info_list]
    assert found == ["handle-a", "handle-b"]


def test_a_group_noted_in_part_is_deleted_by_what_is_noted() -> None:
    (call,) = decide(content=going(status=PART)).intents
    assert call == intents.DeleteGroupSnapshot("group", ("handle-a",))


def test_a_list_that_is_refused_as_too_short_is_asked_for() -> None:
    call = intents.DeleteGroupSnapshot("group", ("handle-a",))
    decision = decide(content=going(status=PART), call=call, answer=MISMATCH)
    assert isinstance(decision.intents[0], intents.CreateGroupSnapshot)
    assert decision.why == "asks the driver which snapshots the group has"


@pytest.mark.parametrize(
    "answer",
    [
        objects.changed(FOUND, members=FOUND.members[:1]),
        objects.changed(FOUND, members=()),
        objects.changed(FOUND, handle="another"),
    ],
)
def test_an_answer_that_names_no_other_members_keeps_the_group(answer: outcomes.GroupInfo) -> None:
    decision = decide(content=going(status=PART), call=CREATE, answer=answer)
    assert decision == failure(
        "Failed to delete group snapshot: the driver does not tell which snapshots group has"
    )


def test_a_given_group_without_members_is_told_and_kept() -> None:
    assert decide(content=given()) == failure(
        "Failed to delete group snapshot: No snapshots found in the group snapshot: "
        "groupsnapcontent-uid-7 names none in status.volumeSnapshotInfoList, nor in "
        "spec.source.groupSnapshotHandles",
        failed=False,
    )


# Members by themselves


@pytest.mark.parametrize("policy", [objects.DRIVER_POLICY, LISTS])
@pytest.mark.parametrize(
    "source",
    [
        snapshots.VolumeSnapshotContentSource("vol-a"),
        snapshots.VolumeSnapshotContentSource(snapshot_handle="handle-a"),
    ],
)
@pytest.mark.parametrize("status", [None, objects.STATUS])
def test_a_member_is_let_go_and_never_deleted_by_itself(
    source: snapshots.VolumeSnapshotContentSource,
    status: snapshots.VolumeSnapshotContentStatus | None,
    policy: views.DriverPolicy,
) -> None:
    marks = {names.BEING_DELETED_ANNOTATION: "yes", names.GROUP_HANDLE_ANNOTATION: "group"}
    member = objects.content(
        metadata__annotations=marks, spec__source=source, status=status, **GOING
    )
    target = intents.Target(member.key, "uid-2", "8")
    released = intents.Decision(intents=(intents.UpdateMetadata(target, ()),))
    assert decide(policy, content=member, snapshot_class=None) == released
