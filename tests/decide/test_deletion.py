"""Beside the driver: storage is touched only when it is meant, and nothing is left behind."""

from typing import Any

import objects
import pytest
from hypothesis import given, strategies

from snapshotd.decide import deletion, intents, outcomes, views
from snapshotd.model import names, snapshots

MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}
CREATE = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
DELETE = intents.DeleteSnapshot("handle")
Attempt = outcomes.Attempt


def going(**fields: Any) -> snapshots.VolumeSnapshotContent:
    base = {
        "metadata__deletion_timestamp": objects.NOW_TEXT,
        "metadata__annotations": MARKED,
    }
    return objects.content(**{**base, **fields})


def decide(**fields: Any) -> intents.Decision:
    base = {"content": going(), "snapshot_class": objects.class_()}
    return deletion.decide(views.ContentView(**{**base, **fields}), objects.DRIVER_POLICY)


def released(decision: intents.Decision) -> bool:
    """Say whether the content is let go."""
    return any(
        isinstance(each, intents.UpdateMetadata) and each.finalizers == ()
        for each in decision.intents
    )


def test_a_snapshot_is_deleted_then_its_content_let_go() -> None:
    cut = going(status=objects.STATUS)
    assert decide(content=cut).intents == (DELETE,)
    assert released(decide(content=cut, call=DELETE, answer=outcomes.Deleted()))


def test_a_handle_that_does_not_exist_counts_as_deleted() -> None:
    gone = outcomes.Refusal(outcomes.Code.NOT_FOUND, "no such snapshot")
    assert released(decide(content=going(status=objects.STATUS), call=DELETE, answer=gone))


@pytest.mark.parametrize("code", [each for each in outcomes.Code if each != "NOT_FOUND"])
def test_a_deletion_that_fails_keeps_the_content(code: outcomes.Code) -> None:
    decision = decide(
        content=going(status=objects.STATUS), call=DELETE, answer=outcomes.Refusal(code, "why")
    )
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotDeleteError"
    assert decision.failed


@pytest.mark.parametrize(
    ("attempt", "code", "expected"),
    [
        (Attempt.REFUSED, outcomes.Code.INVALID_ARGUMENT, True),
        (Attempt.DOUBTFUL, outcomes.Code.INTERNAL, True),
        (Attempt.UNKNOWN, outcomes.Code.INTERNAL, False),
        (Attempt.UNKNOWN, outcomes.Code.UNAVAILABLE, False),
        (Attempt.UNKNOWN, outcomes.Code.ABORTED, False),
    ],
)
def test_a_content_is_kept_while_a_lost_call_is_in_doubt(
    *, attempt: Attempt, code: outcomes.Code, expected: bool
) -> None:
    decision = decide(attempt=attempt, call=CREATE, answer=outcomes.Refusal(code, "why"))
    assert released(decision) is expected
    assert decision.failed is not expected


def test_what_a_lost_call_made_is_found_written_down_and_deleted() -> None:
    """Written down first: asked by its name again, the driver might cut another."""
    (call,) = decide().intents
    assert isinstance(call, intents.CreateSnapshot)
    decision = decide(call=call, answer=objects.INFO)
    (note,) = decision.intents
    assert isinstance(note, intents.PublishStatus)
    assert note.target.version
    assert note.status == intents.ContentStatusChange(snapshot_handle=objects.INFO.handle)
    assert decision.again == 0.0
    known = snapshots.VolumeSnapshotContentStatus(snapshot_handle=objects.INFO.handle)
    assert decide(content=going(status=known)).intents == (DELETE,)


def test_the_driver_is_asked_even_when_the_class_is_gone() -> None:
    (call,) = decide(snapshot_class=None).intents
    assert isinstance(call, intents.CreateSnapshot)
    assert call.parameters == {}


def test_nothing_is_asked_when_nothing_was_made() -> None:
    assert released(decide(attempt=Attempt.NEVER))
    assert released(decide(attempt=Attempt.REFUSED))
    marked = going(metadata__annotations={**MARKED, names.BEING_CREATED_ANNOTATION: names.MARK})
    assert not released(decide(content=marked, attempt=Attempt.NEVER))


def test_a_given_snapshot_is_deleted_by_its_own_handle() -> None:
    given = objects.given_content(
        metadata__deletion_timestamp=objects.NOW_TEXT,
        metadata__annotations=MARKED,
        metadata__finalizers=(names.CONTENT_FINALIZER,),
        spec__volume_snapshot_ref__uid="uid-1",
    )
    assert decide(content=given).intents == (DELETE,)


@pytest.mark.parametrize(
    "fields",
    [
        {"spec__deletion_policy": names.RETAIN, "status": objects.STATUS},
        {"status": objects.changed(objects.STATUS, volume_group_snapshot_handle="g")},
    ],
)
def test_storage_that_is_to_be_kept_is_not_touched(fields: dict[str, Any]) -> None:
    assert released(decide(content=going(**fields)))


def test_a_content_nobody_marked_waits() -> None:
    assert decide(content=going(metadata__annotations={})).intents == ()


def test_a_given_content_that_was_never_bound_is_let_go_and_storage_is_not_touched() -> None:
    free = objects.given_content(
        metadata__deletion_timestamp=objects.NOW_TEXT,
        metadata__finalizers=(names.CONTENT_FINALIZER,),
        status=objects.STATUS,
    )
    assert released(decide(content=free))


def test_what_others_hold_is_not_ours_to_let_go() -> None:
    assert decide(content=going(metadata__finalizers=("x/y",))).intents == ()


def test_credentials_that_cannot_be_had_are_told() -> None:
    decision = decide(
        content=going(status=objects.STATUS), call=DELETE, answer=outcomes.NotSent("no secret")
    )
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert "no secret" in announce.message
    empty = {names.DELETION_SECRET_NAME: "", names.DELETION_SECRET_NAMESPACE: ""}
    broken = going(status=objects.STATUS, metadata__annotations={**MARKED, **empty})
    (announce,) = decide(content=broken).intents
    assert isinstance(announce, intents.Announce)
    assert not decide(content=broken).failed


def test_a_call_that_cannot_be_built_is_told() -> None:
    odd = objects.class_(parameters={"csi.storage.k8s.io/odd": "x"})
    (announce,) = decide(snapshot_class=odd).intents
    assert isinstance(announce, intents.Announce)
    assert "unknown parameter" in announce.message


contents = strategies.builds(
    lambda policy, marks, status, finalizers, uid: objects.content(
        metadata__deletion_timestamp=objects.NOW_TEXT,
        metadata__annotations=dict.fromkeys(marks, names.MARK),
        metadata__finalizers=finalizers,
        spec__deletion_policy=policy,
        spec__volume_snapshot_ref__uid=uid,
        status=status,
    ),
    strategies.sampled_from([names.DELETE, names.RETAIN]),
    strategies.sets(
        strategies.sampled_from([names.BEING_DELETED_ANNOTATION, names.BEING_CREATED_ANNOTATION])
    ),
    strategies.sampled_from([None, objects.STATUS]),
    strategies.sampled_from([(), (names.CONTENT_FINALIZER,)]),
    strategies.sampled_from(["", "uid-1"]),
)
ANSWERS = [
    None,
    objects.INFO,
    outcomes.Deleted(),
    outcomes.NotListed(),
    *(outcomes.Refusal(code, "why") for code in outcomes.Code),
]


@given(
    content=contents,
    attempt=strategies.sampled_from(Attempt),
    call=strategies.sampled_from([CREATE, DELETE]),
    answer=strategies.sampled_from(ANSWERS),
)
def test_storage_is_deleted_only_when_it_is_meant(
    content: snapshots.VolumeSnapshotContent,
    attempt: Attempt,
    call: intents.Call,
    answer: outcomes.Answer | None,
) -> None:
    """Policy Delete, the being-deleted mark and a deletionTimestamp: all three, or no call."""
    view = views.ContentView(
        content, objects.class_(), attempt=attempt, call=call if answer else None, answer=answer
    )
    decision = deletion.decide(view, objects.DRIVER_POLICY)
    assert decision == deletion.decide(view, objects.DRIVER_POLICY)
    if any(isinstance(each, intents.DeleteSnapshot) for each in decision.intents):
        assert content.spec.deletion_policy == names.DELETE
        assert content.metadata.annotations.get(names.BEING_DELETED_ANNOTATION) == names.MARK


@given(content=contents, attempt=strategies.sampled_from(Attempt))
def test_a_content_in_doubt_is_never_let_go_unasked(
    content: snapshots.VolumeSnapshotContent, attempt: Attempt
) -> None:
    """Without a handle, and with a call that may have been sent, the driver is asked first.

    Once: what was let go upon its answer, and is still seen, is not asked for again.
    """
    in_doubt = (
        attempt is not Attempt.NOTHING
        and not content.handle
        and content.spec.deletion_policy == names.DELETE
        and (
            attempt in {Attempt.UNKNOWN, Attempt.DOUBTFUL}
            or names.BEING_CREATED_ANNOTATION in content.metadata.annotations
        )
    )
    view = views.ContentView(content, objects.class_(), attempt=attempt)
    assert not (in_doubt and released(deletion.decide(view, objects.DRIVER_POLICY)))
