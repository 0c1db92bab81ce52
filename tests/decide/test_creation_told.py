"""Beside the driver, in full: the very words, targets and order of each decision about a cut."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import creation, intents, outcomes, views
from snapshotd.model import keys, meta, names, secrets, snapshots

CREATE = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
CHECK = intents.CheckSnapshot("handle")
KEY = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "", "snapcontent-uid-1")
EXACT = intents.Target(KEY, "uid-2", "8")
LOOSE = intents.Target(KEY, "uid-2")
MARKED = {names.BEING_CREATED_ANNOTATION: "yes"}
MARK = intents.UpdateMetadata(LOOSE, annotations={**MARKED})
UNMARK = intents.UpdateMetadata(LOOSE, annotations={names.BEING_CREATED_ANNOTATION: None})
CUT = objects.content(status=msgspec.structs.replace(objects.STATUS, ready_to_use=False))
ABOUT = meta.ObjectReference(
    api_version="snapshot.storage.k8s.io/v1",
    kind="VolumeSnapshotContent",
    name="snapcontent-uid-1",
    uid="uid-2",
    resource_version="8",
)


def decide(**fields: Any) -> intents.Decision:
    base = {"content": objects.content(), "snapshot_class": objects.class_()}
    view = views.ContentView(**{**base, **fields})
    return creation.decide(view, objects.DRIVER_POLICY, objects.NOW)


def refused(code: outcomes.Code, call: intents.Call = CREATE, **fields: Any) -> intents.Decision:
    return decide(call=call, answer=outcomes.Refusal(code, "why"), **fields)


def failure(
    message: str, *more: intents.Anything, failed: bool = True, cutting: bool = True
) -> intents.Decision:
    """Return the decision that tells a failure, with what follows it."""
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    change = intents.ContentStatusChange(error=error, ready_to_use=False)
    reason = "SnapshotCreationFailed" if cutting else "SnapshotContentCheckandUpdateFailed"
    told = intents.Announce(ABOUT, "Warning", reason, message)
    publish = intents.PublishStatus(EXACT, change)
    return intents.Decision(intents=(publish, told, *more), failed=failed, why=message)


def test_a_cut_is_one_call_with_all_it_needs() -> None:
    secret = {names.DELETION_SECRET_NAME: "s", names.DELETION_SECRET_NAMESPACE: "n"}
    content = objects.content(metadata__annotations=secret)
    policy = msgspec.structs.replace(objects.DRIVER_POLICY, mark_after=1.5)
    view = views.ContentView(content, objects.class_(parameters={"a": "b"}))
    call = intents.CreateSnapshot(
        name="snapshot-uid-1",
        source_volume="vol",
        parameters={"a": "b"},
        credentials=secrets.SecretReference(namespace="n", name="s"),
        mark=MARK,
        mark_after=1.5,
    )
    assert creation.decide(view, policy, objects.NOW) == intents.Decision(intents=(call,))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            objects.content(spec__volume_snapshot_ref__uid=""),
            "waits for the uid of its VolumeSnapshot",
        ),
        (objects.content(metadata__finalizers=("x/y",)), "waits for its finalizer"),
        (
            objects.content(spec__source=snapshots.VolumeSnapshotContentSource("v", "h")),
            "the controller reports its invalid source",
        ),
    ],
)
def test_what_a_cut_waits_for_is_said(content: snapshots.VolumeSnapshotContent, why: str) -> None:
    assert decide(content=content) == intents.Decision(why=why)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"snapshot_class": None},
            (
                "failed to take snapshot snapcontent-uid-1 without a snapshot class: "
                "VolumeSnapshotClass gold does not exist"
            ),
        ),
        (
            {
                "snapshot_class": None,
                "content": objects.content(spec__volume_snapshot_class_name=None),
            },
            "failed to take snapshot snapcontent-uid-1 without a snapshot class: it names none",
        ),
        (
            {"snapshot_class": objects.class_(parameters={"csi.storage.k8s.io/odd": "x"})},
            (
                "found unknown parameter key 'csi.storage.k8s.io/odd' with reserved prefix "
                "csi.storage.k8s.io/ in VolumeSnapshotClass gold"
            ),
        ),
    ],
)
def test_a_call_that_cannot_be_made_is_told_in_full(fields: dict[str, Any], problem: str) -> None:
    told = f"Failed to create snapshot: {problem}"
    assert decide(**fields) == failure(told, failed=False)


def test_what_is_told_already_still_says_why() -> None:
    message = "Failed to create snapshot: INTERNAL: why"
    error = snapshots.SnapshotError(time="earlier", message=message)
    told = objects.content(status=snapshots.VolumeSnapshotContentStatus(error=error))
    again = intents.Decision(failed=True, why=message)
    assert refused(outcomes.Code.INTERNAL, content=told) == again


def test_a_snapshot_that_is_not_ready_is_written_exactly_and_waited_for() -> None:
    info = msgspec.structs.replace(objects.INFO, ready=False)
    change = intents.ContentStatusChange(
        snapshot_handle="handle", creation_time=10**18, restore_size=1 << 30, ready_to_use=False
    )
    marked = objects.content(metadata__annotations=MARKED)
    assert decide(content=marked, call=CREATE, answer=info) == intents.Decision(
        intents=(intents.PublishStatus(EXACT, change), UNMARK),
        again=2.0,
        why="waits for the driver to make the snapshot ready",
    )


def test_a_snapshot_that_is_ready_is_written_exactly_and_done() -> None:
    change = intents.ContentStatusChange(ready_to_use=True)
    assert decide(content=CUT, call=CREATE, answer=objects.INFO) == intents.Decision(
        intents=(intents.PublishStatus(EXACT, change),)
    )


def test_a_mark_left_on_a_ready_snapshot_is_taken_away() -> None:
    left = objects.ready_content(metadata__annotations={**MARKED, "x": "y"})
    assert decide(content=left) == intents.Decision(intents=(UNMARK,))


def test_a_given_snapshot_that_nobody_can_be_asked_about_is_ready_as_of_now() -> None:
    given = objects.given_content()
    change = intents.ContentStatusChange(
        snapshot_handle="handle", creation_time=int(objects.NOW * 1e9), ready_to_use=True
    )
    target = intents.Target(given.key, "uid-2", "8")
    assert decide(content=given, snapshot_class=None) == intents.Decision(
        intents=(intents.PublishStatus(target, change),)
    )


@pytest.mark.parametrize(
    ("code", "marked", "more"),
    [
        (outcomes.Code.INVALID_ARGUMENT, False, ()),
        (outcomes.Code.INVALID_ARGUMENT, True, (UNMARK,)),
        (outcomes.Code.INTERNAL, True, (UNMARK,)),
        (outcomes.Code.UNAVAILABLE, False, (MARK,)),
        (outcomes.Code.UNAVAILABLE, True, ()),
    ],
)
def test_a_refused_cut_is_told_with_what_it_leaves_behind(
    code: outcomes.Code, more: tuple[intents.Anything, ...], *, marked: bool
) -> None:
    content = objects.content(metadata__annotations=MARKED if marked else {})
    told = f"Failed to create snapshot: {code}: why"
    assert refused(code, content=content) == failure(told, *more)


def test_a_busy_driver_is_not_told_of_but_marked() -> None:
    busy = intents.Decision(failed=True, why="ABORTED: why")
    marked = objects.content(metadata__annotations=MARKED)
    assert refused(outcomes.Code.ABORTED, content=marked) == busy
    assert refused(outcomes.Code.ABORTED) == msgspec.structs.replace(busy, intents=(MARK,))
    assert refused(outcomes.Code.ABORTED, CHECK, content=CUT) == busy


@pytest.mark.parametrize("code", [outcomes.Code.UNAVAILABLE, outcomes.Code.INTERNAL])
def test_a_refused_poll_is_told_as_a_poll(code: outcomes.Code) -> None:
    told = f"Failed to check and update snapshot content: {code}: why"
    marked = objects.changed(CUT, metadata__annotations=MARKED)
    assert refused(code, CHECK, content=marked) == failure(told, cutting=False)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (outcomes.NotListed(), "can not find snapshot for snapshotID handle"),
        (outcomes.NotSent("no secret"), "no secret"),
    ],
)
def test_a_poll_that_finds_nothing_is_told(answer: outcomes.Answer, problem: str) -> None:
    told = f"Failed to check and update snapshot content: {problem}"
    assert decide(content=CUT, call=CHECK, answer=answer) == failure(told, cutting=False)


@pytest.mark.parametrize("code", list(outcomes.Code))
def test_codes_are_shown_by_their_grpc_names(code: outcomes.Code) -> None:
    assert code.value == code.name
    assert f"{code}" == code.name
