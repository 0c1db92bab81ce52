"""Beside the driver: groups are cut, polled and told of as snapshots are, whole or not at all."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import creation, intents, outcomes, views
from snapshotd.model import groups, meta, names, snapshots
from snapshotd.model.secrets import SecretReference

CAN = msgspec.structs.replace(objects.DRIVER_POLICY, can_group=True)
CONTENT = objects.group_content()
EXACT = intents.Target(CONTENT.key, "uid-8", "8")
LOOSE = intents.Target(CONTENT.key, "uid-8")
MARKED = {names.GROUP_BEING_CREATED_ANNOTATION: "yes"}
MARK = intents.UpdateMetadata(LOOSE, annotations={**MARKED})
UNMARK = intents.UpdateMetadata(LOOSE, annotations={names.GROUP_BEING_CREATED_ANNOTATION: None})
CREATE = intents.CreateGroupSnapshot("groupsnapshot-uid-7", ("vol-a", "vol-b"), mark=MARK)
CHECK = intents.CheckGroupSnapshot("group", ("handle-a", "handle-b"))
SECRET = {
    names.GROUP_DELETION_SECRET_NAME: "creds",
    names.GROUP_DELETION_SECRET_NAMESPACE: "vault",
}
GET_SECRET = {
    names.GROUP_GET_SECRET_NAME_PARAMETER: "get-${volumegroupsnapshotcontent.name}",
    names.GROUP_GET_SECRET_NAMESPACE_PARAMETER: "vault",
}
UNREADY = objects.changed(objects.GROUP_STATUS, ready_to_use=False)
CUT = objects.group_content(status=UNREADY)
PART = objects.changed(
    UNREADY, volume_snapshot_info_list=objects.GROUP_STATUS.volume_snapshot_info_list[:1]
)
ABOUT = meta.ObjectReference(
    api_version="groupsnapshot.storage.k8s.io/v1",
    kind="VolumeGroupSnapshotContent",
    name="groupsnapcontent-uid-7",
    uid="uid-8",
    resource_version="8",
)


def decide(policy: views.DriverPolicy = CAN, **fields: Any) -> intents.Decision:
    base = {"content": CONTENT, "snapshot_class": objects.group_class()}
    return creation.decide(views.ContentView(**{**base, **fields}), policy, objects.NOW)


def answered(answer: outcomes.Answer, call: intents.Call = CREATE, **fields: Any) -> Any:
    return decide(call=call, answer=answer, **fields)


def member(name: str, **fields: Any) -> outcomes.SnapshotInfo:
    info = outcomes.SnapshotInfo(
        f"handle-{name}", f"vol-{name}", creation_time=10**18, size=1 << 30, ready=True
    )
    made: outcomes.SnapshotInfo = objects.changed(info, **fields)
    return made


def told(*members: outcomes.SnapshotInfo, **fields: Any) -> outcomes.GroupInfo:
    info = outcomes.GroupInfo(
        "group", creation_time=10**18, ready=True, members=members or (member("a"), member("b"))
    )
    made: outcomes.GroupInfo = objects.changed(info, **fields)
    return made


def given(**fields: Any) -> groups.VolumeGroupSnapshotContent:
    handles = groups.GroupHandles("group", ("handle-a", "handle-b"))
    made: groups.VolumeGroupSnapshotContent = objects.group_content(
        **{
            "metadata__finalizers": (),
            "spec__source": groups.GroupContentSource(group_snapshot_handles=handles),
            "spec__volume_group_snapshot_class_name": None,
            **fields,
        }
    )
    return made


def failure(
    message: str, *more: intents.Anything, failed: bool = True, cutting: bool = True
) -> intents.Decision:
    """Return the decision that tells a failure, with what follows it."""
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    change = intents.GroupContentStatusChange(error=error, ready_to_use=False)
    which = "GroupSnapshotCreationFailed" if cutting else "GroupSnapshotContentCheckandUpdateFailed"
    said = intents.Announce(ABOUT, "Warning", which, message)
    publish = intents.PublishStatus(EXACT, change)
    return intents.Decision(intents=(publish, said, *more), failed=failed, why=message)


def test_a_group_is_one_call_with_all_its_volumes() -> None:
    content = objects.group_content(metadata__annotations=SECRET)
    policy = msgspec.structs.replace(CAN, mark_after=1.5, extra_create_metadata=True)
    parameters = {"a": "b", names.GROUP_SECRET_NAME_PARAMETER: "x"}
    call = intents.CreateGroupSnapshot(
        name="groupsnapshot-uid-7",
        source_volumes=("vol-a", "vol-b"),
        parameters={
            "a": "b",
            "csi.storage.k8s.io/volumegroupsnapshot/name": "all",
            "csi.storage.k8s.io/volumegroupsnapshot/namespace": "ns",
            "csi.storage.k8s.io/volumegroupsnapshotcontent/name": "groupsnapcontent-uid-7",
        },
        credentials=SecretReference(namespace="vault", name="creds"),
        mark=MARK,
        mark_after=1.5,
    )
    class_ = objects.group_class(parameters=parameters)
    decision = decide(policy, content=content, snapshot_class=class_)
    assert decision == intents.Decision(intents=(call,))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            objects.group_content(spec__volume_group_snapshot_ref__uid=""),
            "waits for the uid of its VolumeGroupSnapshot",
        ),
        (objects.group_content(metadata__finalizers=("x/y",)), "waits for its finalizer"),
        (
            objects.group_content(spec__source=groups.GroupContentSource(())),
            "the controller reports its invalid source",
        ),
    ],
)
def test_what_a_group_waits_for_is_said(
    content: groups.VolumeGroupSnapshotContent, why: str
) -> None:
    assert decide(content=content) == intents.Decision(why=why)


@pytest.mark.parametrize(
    ("policy", "fields", "problem"),
    [
        (
            objects.DRIVER_POLICY,
            {},
            (
                f"the driver {objects.DRIVER} cannot take snapshots of groups: it does not tell "
                "the capability CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"
            ),
        ),
        (
            CAN,
            {"snapshot_class": None},
            (
                "failed to take group snapshot groupsnapcontent-uid-7 without a group snapshot "
                "class: VolumeGroupSnapshotClass grouped does not exist"
            ),
        ),
        (
            CAN,
            {"snapshot_class": objects.group_class(parameters={"csi.storage.k8s.io/odd": "x"})},
            (
                "found unknown parameter key 'csi.storage.k8s.io/odd' with reserved prefix "
                "csi.storage.k8s.io/ in VolumeGroupSnapshotClass grouped"
            ),
        ),
    ],
)
def test_a_group_that_cannot_be_asked_for_is_told_and_no_timer_asks_again(
    policy: views.DriverPolicy, fields: dict[str, Any], problem: str
) -> None:
    message = f"Failed to create group snapshot: {problem}"
    assert decide(policy, **fields) == failure(message, failed=False)


def test_a_group_that_is_ready_is_written_with_all_its_members_and_done() -> None:
    change = intents.GroupContentStatusChange(
        volume_group_snapshot_handle="group",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        volume_snapshot_info_list=objects.GROUP_STATUS.volume_snapshot_info_list,
    )
    marked = objects.group_content(metadata__annotations=MARKED)
    assert answered(told(), content=marked) == intents.Decision(
        intents=(intents.PublishStatus(EXACT, change), UNMARK)
    )
    assert decide(content=objects.cut_group_content()) == intents.SETTLED


def test_a_group_that_is_not_ready_is_polled_by_its_handles() -> None:
    waiting = intents.Decision(
        again=2.0, why="waits for the driver to make the group snapshot ready"
    )
    first = answered(told(ready=False))
    assert msgspec.structs.replace(first, intents=()) == waiting
    assert decide(content=CUT) == intents.Decision(intents=(CHECK,))
    assert answered(told(ready=False), CHECK, content=CUT) == waiting
    change = intents.GroupContentStatusChange(ready_to_use=True)
    assert answered(told(), CHECK, content=CUT) == intents.Decision(
        intents=(intents.PublishStatus(EXACT, change),)
    )


@pytest.mark.parametrize("noted", [UNREADY, PART])
def test_a_group_told_of_in_part_is_never_ready_and_told_once(
    noted: groups.GroupContentStatus,
) -> None:
    message = (
        "Failed to create group snapshot: the driver's group snapshot group is not whole: it has "
        "no snapshot of volume vol-b; delete the VolumeGroupSnapshot, and take another"
    )
    part = told(member("a"))
    first = answered(part, CHECK, content=objects.group_content(status=noted))
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    publish = intents.PublishStatus(EXACT, intents.GroupContentStatusChange(error=error))
    said = intents.Announce(ABOUT, "Warning", "GroupSnapshotCreationFailed", message)
    assert first == intents.Decision(intents=(publish, said), failed=True, why=message)
    failed = objects.group_content(status=objects.changed(noted, error=error))
    again = answered(part, CHECK, content=failed)
    assert again == intents.Decision(failed=True, why=message)


def test_what_a_group_in_part_learns_is_written_and_not_told_again() -> None:
    first = answered(told(member("a", size=0)))
    assert first.intents[0].status.ready_to_use is False
    error = first.intents[0].status.error
    noted = (groups.MemberInfo("vol-a", "handle-a", 10**18, ready_to_use=True),)
    status = objects.changed(UNREADY, error=error, volume_snapshot_info_list=noted)
    (publish,) = answered(
        told(member("a")), CHECK, content=objects.group_content(status=status)
    ).intents
    assert publish.status == intents.GroupContentStatusChange(
        volume_snapshot_info_list=objects.GROUP_STATUS.volume_snapshot_info_list[:1]
    )


def test_a_group_that_turns_out_whole_has_no_error_any_more() -> None:
    failed = objects.changed(PART, error=objects.ERROR)
    (publish,) = answered(told(), CREATE, content=objects.group_content(status=failed)).intents
    assert publish.status == intents.GroupContentStatusChange(
        ready_to_use=True,
        error=None,
        volume_snapshot_info_list=objects.GROUP_STATUS.volume_snapshot_info_list,
    )


def test_a_group_without_known_members_is_asked_for_by_its_name() -> None:
    """A list of no members would be refused for ever."""
    nameless = objects.group_content(status=objects.changed(UNREADY, volume_snapshot_info_list=()))
    (call,) = decide(content=nameless).intents
    assert call == msgspec.structs.replace(CREATE, mark=None)


def test_a_list_of_members_that_is_refused_is_asked_for_if_it_may_be_too_short() -> None:
    """CSI spec, "Snapshot list mismatch": "caller SHOULD use different snapshot_ids"."""
    mismatch = outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, "snapshot_ids")
    content = objects.group_content(status=PART)
    asked = answered(mismatch, intents.CheckGroupSnapshot("group", ("handle-a",)), content=content)
    assert asked == intents.Decision(
        intents=(msgspec.structs.replace(CREATE, mark=None),),
        why="asks the driver for all members of the group",
    )
    message = "Failed to check and update group snapshot content: INVALID_ARGUMENT: snapshot_ids"
    whole = answered(mismatch, CHECK, content=CUT)
    assert whole == failure(message, cutting=False)
    other = outcomes.Refusal(outcomes.Code.FAILED_PRECONDITION, "snapshot_ids")
    assert answered(other, CHECK, content=content).failed
    assert answered(mismatch, CREATE, content=content) == whole  # it is no list that is refused


def test_a_class_that_is_gone_ends_that_question_without_a_timer() -> None:
    mismatch = outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, "snapshot_ids")
    content = objects.group_content(status=PART)
    decision = answered(mismatch, CHECK, content=content, snapshot_class=None)
    assert not decision.failed
    assert "without a group snapshot class" in decision.why


@pytest.mark.parametrize(
    ("code", "marked", "more"),
    [
        (outcomes.Code.INVALID_ARGUMENT, False, ()),
        (outcomes.Code.FAILED_PRECONDITION, True, (UNMARK,)),
        (outcomes.Code.INTERNAL, True, (UNMARK,)),
        (outcomes.Code.DEADLINE_EXCEEDED, False, (MARK,)),
        (outcomes.Code.UNAVAILABLE, True, ()),
    ],
)
def test_a_refused_cut_of_a_group_is_told_with_what_it_leaves_behind(
    code: outcomes.Code, more: tuple[intents.Anything, ...], *, marked: bool
) -> None:
    content = objects.group_content(metadata__annotations=MARKED if marked else {})
    message = f"Failed to create group snapshot: {code}: why"
    assert answered(outcomes.Refusal(code, "why"), content=content) == failure(message, *more)


def test_a_busy_driver_is_not_told_of_but_the_group_is_marked() -> None:
    busy = answered(outcomes.Refusal(outcomes.Code.ABORTED, "why"))
    assert busy == intents.Decision(intents=(MARK,), failed=True, why="ABORTED: why")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (outcomes.NotListed(), "can not find group snapshot for groupSnapshotID group"),
        (outcomes.NotSent("no secret"), "no secret"),
        (outcomes.Refusal(outcomes.Code.UNAVAILABLE, "why"), "UNAVAILABLE: why"),
        (objects.INFO, "can not find group snapshot for groupSnapshotID group"),
    ],
)
def test_a_poll_that_does_not_find_the_group_is_told_as_a_poll(
    answer: outcomes.Answer, problem: str
) -> None:
    message = f"Failed to check and update group snapshot content: {problem}"
    assert answered(answer, CHECK, content=CUT) == failure(message, cutting=False)


def test_an_answer_about_a_group_says_nothing_of_a_snapshot() -> None:
    given_one = objects.given_content()
    decision = answered(told(), intents.CheckSnapshot("handle"), content=given_one)
    assert decision.failed
    assert "can not find snapshot for snapshotID handle" in decision.why


def test_a_given_group_is_asked_for_by_what_was_given_with_the_get_secret() -> None:
    assert decide(content=given(), snapshot_class=None) == intents.Decision(intents=(CHECK,))
    class_ = objects.group_class(parameters=GET_SECRET)
    (call,) = decide(content=given(metadata__annotations=SECRET), snapshot_class=class_).intents
    assert isinstance(call, intents.CheckGroupSnapshot)
    assert call.credentials == SecretReference("vault", "get-groupsnapcontent-uid-7")
    half = objects.group_class(parameters={names.GROUP_GET_SECRET_NAME_PARAMETER: "x"})
    assert "Both must be specified" in decide(content=given(), snapshot_class=half).why


def test_only_a_group_that_was_cut_is_asked_for_with_the_secret_of_its_cut() -> None:
    """The reference polls it with CreateVolumeGroupSnapshot, and that secret."""
    where = SecretReference("vault", "creds")
    cut = objects.changed(CUT, metadata__annotations=SECRET)
    for class_ in (objects.group_class(), None):
        (call,) = decide(content=cut, snapshot_class=class_).intents
        assert call == msgspec.structs.replace(CHECK, credentials=where)
    (call,) = decide(content=given(metadata__annotations=SECRET)).intents
    assert call == CHECK


def test_a_given_group_that_names_no_members_is_told() -> None:
    handles = groups.GroupHandles("group", ())
    source = groups.GroupContentSource(group_snapshot_handles=handles)
    decision = decide(content=given(spec__source=source))
    assert decision == failure(
        "Failed to check and update group snapshot content: No snapshots found in the group "
        "snapshot: groupsnapcontent-uid-7 names none in status.volumeSnapshotInfoList, nor in "
        "spec.source.groupSnapshotHandles",
        failed=False,
        cutting=False,
    )


def test_a_given_group_without_a_driver_for_groups_is_told() -> None:
    decision = decide(objects.DRIVER_POLICY, content=given())
    assert decision.why.startswith(
        f"Failed to check and update group snapshot content: the driver {objects.DRIVER} cannot"
    )


@pytest.mark.parametrize("can_check", [True, False])
@pytest.mark.parametrize("status", [None, objects.changed(objects.STATUS, ready_to_use=False)])
def test_a_member_is_neither_cut_nor_asked_for_by_itself(
    *, status: snapshots.VolumeSnapshotContentStatus | None, can_check: bool
) -> None:
    annotations = {names.GROUP_HANDLE_ANNOTATION: "group"}
    content = objects.content(metadata__annotations=annotations, status=status)
    policy = msgspec.structs.replace(CAN, can_check=can_check)
    decision = decide(policy, content=content, snapshot_class=objects.class_())
    assert decision == intents.Decision(why="is cut with its group, whose content tells its state")
