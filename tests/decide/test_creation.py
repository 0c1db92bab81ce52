"""Beside the driver: cut, poll, tell; and what each answer leaves behind."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import creation, intents, outcomes, views
from snapshotd.model import names, snapshots

CREATE = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
MARKED = {names.BEING_CREATED_ANNOTATION: names.MARK}
LISTS = msgspec.structs.replace(objects.DRIVER_POLICY, can_check=True)


def decide(policy: views.DriverPolicy = objects.DRIVER_POLICY, **fields: Any) -> intents.Decision:
    base = {"content": objects.content(), "snapshot_class": objects.class_()}
    return creation.decide(views.ContentView(**{**base, **fields}), policy, objects.NOW)


def answered(
    answer: outcomes.Answer, call: intents.Call = CREATE, **fields: Any
) -> intents.Decision:
    return decide(call=call, answer=answer, **fields)


def refused(code: outcomes.Code, **fields: Any) -> intents.Decision:
    return answered(outcomes.Refusal(code, "why"), **fields)


def test_a_new_content_is_cut_under_a_name_that_never_changes() -> None:
    parameters = {"a": "b", names.SECRET_NAME_PARAMETER: "x"}
    (call,) = decide(snapshot_class=objects.class_(parameters=parameters)).intents
    assert isinstance(call, intents.CreateSnapshot)
    assert call.name == "snapshot-uid-1"
    assert call.source_volume == "vol"
    assert call.parameters == {"a": "b"}
    assert call.mark is not None
    assert call.mark.annotations == MARKED


def test_a_call_for_a_marked_content_does_not_mark_it_again() -> None:
    (call,) = decide(content=objects.content(metadata__annotations=MARKED)).intents
    assert isinstance(call, intents.CreateSnapshot)
    assert call.mark is None


def test_the_driver_is_told_names_if_asked_for() -> None:
    policy = msgspec.structs.replace(objects.DRIVER_POLICY, extra_create_metadata=True)
    (call,) = decide(policy).intents
    assert isinstance(call, intents.CreateSnapshot)
    assert call.parameters == {
        "csi.storage.k8s.io/volumesnapshot/name": "snap",
        "csi.storage.k8s.io/volumesnapshot/namespace": "ns",
        "csi.storage.k8s.io/volumesnapshotcontent/name": "snapcontent-uid-1",
    }


@pytest.mark.parametrize(
    "content",
    [
        objects.content(spec__volume_snapshot_ref__uid=""),
        objects.content(metadata__finalizers=()),
        objects.content(spec__source=snapshots.VolumeSnapshotContentSource()),
    ],
)
def test_nothing_is_cut_that_could_be_lost_sight_of(
    content: snapshots.VolumeSnapshotContent,
) -> None:
    decision = decide(content=content)
    assert decision.intents == ()
    assert decision.why


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"snapshot_class": None}, "VolumeSnapshotClass gold does not exist"),
        (
            {
                "snapshot_class": None,
                "content": objects.content(spec__volume_snapshot_class_name=None),
            },
            "it names none",
        ),
        (
            {"snapshot_class": objects.class_(parameters={"csi.storage.k8s.io/odd": "x"})},
            "unknown parameter key 'csi.storage.k8s.io/odd'",
        ),
        (
            {
                "content": objects.content(
                    metadata__annotations={
                        names.DELETION_SECRET_NAME: "",
                        names.DELETION_SECRET_NAMESPACE: "ns",
                    }
                )
            },
            "must not be empty",
        ),
    ],
)
def test_a_call_that_cannot_be_made_is_told_and_not_retried(
    fields: dict[str, Any], expected: str
) -> None:
    decision = decide(**fields)
    publish, announce = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(publish.status.error, snapshots.SnapshotError)
    assert expected in str(publish.status.error.message)
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotCreationFailed"
    assert not decision.failed  # the change that mends it wakes it


def test_a_ready_snapshot_is_published_and_done() -> None:
    decision = answered(objects.INFO)
    (publish,) = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.ContentStatusChange(
        snapshot_handle="handle",
        creation_time=10**18,
        restore_size=1 << 30,
        ready_to_use=True,
    )
    assert decision.again is None


def test_a_snapshot_that_is_not_ready_is_polled() -> None:
    waiting = msgspec.structs.replace(objects.INFO, ready=False)
    first = answered(waiting)
    assert first.again == 2.0
    cut = objects.content(status=msgspec.structs.replace(objects.STATUS, ready_to_use=False))
    again = answered(waiting, content=cut, polls=3)
    assert again.intents == ()  # a poll that learned nothing costs the API server nothing
    assert again.again is not None
    assert again.again > 2.0


def test_a_time_that_the_driver_does_not_tell_is_now() -> None:
    info = msgspec.structs.replace(objects.INFO, creation_time=None, group_handle="g", size=0)
    (publish,) = answered(info).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.ContentStatusChange(
        snapshot_handle="handle",
        creation_time=int(objects.NOW * 1e9),
        ready_to_use=True,
        volume_group_snapshot_handle="g",
    )


def test_a_mark_goes_once_the_answer_is_definite() -> None:
    marked = objects.content(metadata__annotations=MARKED)
    _, unmark = answered(objects.INFO, content=marked).intents
    assert isinstance(unmark, intents.UpdateMetadata)
    assert unmark.annotations == {names.BEING_CREATED_ANNOTATION: None}
    left = objects.ready_content(metadata__annotations=MARKED)
    (unmark,) = decide(content=left).intents
    assert isinstance(unmark, intents.UpdateMetadata)
    assert decide(content=objects.ready_content()) == intents.SETTLED


def test_an_error_is_cleared_by_success() -> None:
    failed = objects.content(status=snapshots.VolumeSnapshotContentStatus(error=objects.ERROR))
    (publish,) = answered(objects.INFO, content=failed).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status.error is None


@pytest.mark.parametrize("code", list(outcomes.Code))
def test_every_failure_is_retried_and_told_unless_the_driver_is_busy(code: outcomes.Code) -> None:
    decision = refused(code)
    assert decision.failed
    told = [each for each in decision.intents if isinstance(each, intents.PublishStatus)]
    busy = outcomes.meaning(code) is outcomes.Meaning.BUSY
    assert bool(told) is not busy
    marks = [each for each in decision.intents if isinstance(each, intents.UpdateMetadata)]
    in_doubt = outcomes.meaning(code) in {outcomes.Meaning.BUSY, outcomes.Meaning.UNKNOWN}
    assert bool(marks) is in_doubt


@pytest.mark.parametrize("code", [outcomes.Code.INVALID_ARGUMENT, outcomes.Code.INTERNAL])
def test_a_failure_that_is_answered_takes_the_mark_away(code: outcomes.Code) -> None:
    decision = refused(code, content=objects.content(metadata__annotations=MARKED))
    unmark = decision.intents[-1]
    assert isinstance(unmark, intents.UpdateMetadata)
    assert unmark.annotations == {names.BEING_CREATED_ANNOTATION: None}


def test_a_failure_that_is_told_is_not_written_again() -> None:
    first = refused(outcomes.Code.INTERNAL)
    publish = first.intents[0]
    assert isinstance(publish, intents.PublishStatus)
    told = publish.status.error
    assert isinstance(told, snapshots.SnapshotError)
    status = snapshots.VolumeSnapshotContentStatus(error=told, ready_to_use=False)
    again = refused(outcomes.Code.INTERNAL, content=objects.content(status=status))
    assert again.intents == ()
    assert again.failed


def test_a_poll_that_fails_leaves_no_mark() -> None:
    cut = objects.content(status=msgspec.structs.replace(objects.STATUS, ready_to_use=False))
    for code in (outcomes.Code.UNAVAILABLE, outcomes.Code.ABORTED, outcomes.Code.INTERNAL):
        decision = refused(code, content=cut)
        assert not any(isinstance(each, intents.UpdateMetadata) for each in decision.intents)


def test_a_cut_snapshot_is_asked_for_by_handle_where_the_driver_lists() -> None:
    cut = objects.content(status=msgspec.structs.replace(objects.STATUS, ready_to_use=False))
    assert decide(LISTS, content=cut).intents == (intents.CheckSnapshot("handle"),)
    (call,) = decide(content=cut).intents
    assert isinstance(call, intents.CreateSnapshot)
    assert call.mark is None


def test_a_given_snapshot_is_asked_for_or_taken_as_it_is() -> None:
    given = objects.given_content()
    parameters = {
        names.LIST_SECRET_NAME_PARAMETER: "s-${volumesnapshotcontent.name}",
        names.LIST_SECRET_NAMESPACE_PARAMETER: "ns",
    }
    (call,) = decide(
        LISTS, content=given, snapshot_class=objects.class_(parameters=parameters)
    ).intents
    assert isinstance(call, intents.CheckSnapshot)
    assert call.credentials is not None
    assert call.credentials.name == "s-content"
    (publish,) = decide(content=given, snapshot_class=None).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status.ready_to_use is True


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (outcomes.NotListed(), "can not find snapshot for snapshotID handle"),
        (outcomes.NotSent("secret ns/s does not exist"), "secret ns/s does not exist"),
    ],
)
def test_a_given_snapshot_that_is_not_found_is_told(answer: outcomes.Answer, expected: str) -> None:
    decision = answered(answer, intents.CheckSnapshot("handle"), content=objects.given_content())
    announce = decision.intents[1]
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotContentCheckandUpdateFailed"
    assert expected in announce.message
    assert decision.failed


def test_a_member_of_a_group_is_cut_with_its_group() -> None:
    """The reference makes its content first, and writes its status next."""
    annotations = {"groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle": "group-1"}
    member = objects.content(
        metadata__annotations=annotations, spec__volume_snapshot_class_name=None
    )
    decision = decide(content=member, snapshot_class=None)
    assert decision.intents == ()
    assert decision.why == "is cut with its group, whose content tells its state"


@pytest.mark.parametrize("code", list(outcomes.Code))
def test_a_ready_snapshot_stays_ready_whatever_a_late_answer_says(code: outcomes.Code) -> None:
    """Another call had made it ready while this one was under way."""
    call = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
    late = outcomes.Refusal(code, "too late")
    decision = decide(content=objects.ready_content(), call=call, answer=late)
    assert decision == intents.SETTLED
