"""After a lost call a driver that refuses is not taken at its word, where it can list instead."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import deletion, intents, outcomes, views
from snapshotd.decide.outcomes import Attempt, Code
from snapshotd.model import names, snapshots

LISTS = msgspec.structs.replace(objects.DRIVER_POLICY, can_list=True)
CREATE = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
FIND = intents.FindSnapshots("vol")
DEFINITE = [
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.FAILED_PRECONDITION,
    Code.OUT_OF_RANGE,
    Code.UNIMPLEMENTED,
]
BEGAN = 1_767_225_600 * 10**9  # the content's creation, in nanoseconds


def going(**fields: Any) -> snapshots.VolumeSnapshotContent:
    base = {
        "metadata__creation_timestamp": objects.NOW_TEXT,
        "metadata__deletion_timestamp": objects.NOW_TEXT,
        "metadata__annotations": {names.BEING_DELETED_ANNOTATION: names.MARK},
    }
    return objects.content(**{**base, **fields})


def decide(policy: views.DriverPolicy = LISTS, **fields: Any) -> intents.Decision:
    base = {"content": going(), "snapshot_class": objects.class_(), "attempt": Attempt.UNKNOWN}
    return deletion.decide(views.ContentView(**{**base, **fields}), policy)


def refused(code: Code, policy: views.DriverPolicy = LISTS, **fields: Any) -> intents.Decision:
    return decide(policy, call=CREATE, answer=outcomes.Refusal(code, "planned"), **fields)


def found(*listed: outcomes.SnapshotInfo, **fields: Any) -> intents.Decision:
    return decide(call=FIND, answer=outcomes.Found(listed), **fields)


def cut(handle: str, created: int | None = BEGAN) -> outcomes.SnapshotInfo:
    return outcomes.SnapshotInfo(handle, "vol", creation_time=created)


def released(decision: intents.Decision) -> bool:
    (only,) = decision.intents
    return isinstance(only, intents.UpdateMetadata) and only.finalizers == ()


@pytest.mark.parametrize("code", DEFINITE)
def test_a_refusal_after_a_lost_call_sends_us_to_the_list(code: Code) -> None:
    """A plugin may look at the volume, or the parameters, before it looks for the name."""
    decision = refused(code)
    assert decision.intents == (FIND,)
    assert decision.why == "asks the driver which snapshots of the volume there are"


@pytest.mark.parametrize("code", DEFINITE)
def test_a_driver_that_cannot_list_is_taken_at_its_word(code: Code) -> None:
    """CSI spec, CreateSnapshot: who holds a snapshot of the name must reply OK."""
    assert released(refused(code, objects.DRIVER_POLICY))


@pytest.mark.parametrize("code", DEFINITE)
def test_where_no_call_was_lost_a_refusal_is_enough(code: Code) -> None:
    assert released(refused(code, attempt=Attempt.REFUSED))


@pytest.mark.parametrize("code", [each for each in Code if each not in DEFINITE])
def test_a_refusal_that_says_nothing_keeps_the_content(code: Code) -> None:
    decision = refused(code)
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotDeleteError"
    told = f"Failed to find out whether a snapshot was made: {code}: planned"
    assert announce.message == told
    assert decision.failed


def test_a_volume_without_snapshots_lets_the_content_go() -> None:
    assert released(found())


def test_snapshots_of_other_contents_are_not_ours() -> None:
    assert released(found(cut("theirs"), handles=frozenset({"theirs"})))


def test_a_snapshot_from_before_the_content_is_not_ours() -> None:
    old = cut("old", BEGAN - 301 * 10**9)
    assert released(found(old))
    assert not released(found(cut("new", BEGAN - 299 * 10**9)))


@pytest.mark.parametrize("created", [BEGAN, None])
def test_a_snapshot_that_nobody_knows_keeps_the_content(created: int | None) -> None:
    decision = found(
        cut("stray-2", created), cut("known"), cut("stray-1"), handles=frozenset({"known"})
    )
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.message == (
        "Failed to find out whether a snapshot was made: the driver refuses the call, and has "
        "snapshots of volume vol that belong to no VolumeSnapshotContent: stray-1, stray-2. "
        "Delete what is not needed on the storage system, or make a VolumeSnapshotContent for it"
    )
    assert decision.failed


def test_without_a_time_of_its_own_a_content_could_own_any_stray() -> None:
    content = going(metadata__creation_timestamp=None)
    assert not released(found(cut("old", 1), content=content))


def test_a_list_that_fails_keeps_the_content() -> None:
    decision = decide(call=FIND, answer=outcomes.Refusal(Code.UNAVAILABLE, "gone"))
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.message == ("Failed to find out whether a snapshot was made: UNAVAILABLE: gone")


def test_the_list_is_asked_for_with_the_contents_own_secret() -> None:
    marks = {
        names.BEING_DELETED_ANNOTATION: names.MARK,
        names.DELETION_SECRET_NAME: "secret",
        names.DELETION_SECRET_NAMESPACE: "ns",
    }
    (find,) = refused(Code.NOT_FOUND, content=going(metadata__annotations=marks)).intents
    assert isinstance(find, intents.FindSnapshots)
    assert find.credentials is not None
    assert (find.credentials.namespace, find.credentials.name) == ("ns", "secret")
