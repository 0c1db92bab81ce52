"""What a process remembers beside the cache, and that it never grows without end."""

import objects
import pytest

from snapshotd.actors import memory
from snapshotd.decide import outcomes
from snapshotd.model import names, snapshots, wire
from snapshotd.runtime import store

KEY = objects.content().key
Attempt = outcomes.Attempt


def change(old: wire.Object | None, new: wire.Object | None) -> store.Change[wire.Object]:
    either = new or old
    assert either is not None
    return store.Change(either.key, old, new)


def test_only_the_last_things_noted_are_remembered() -> None:
    recent: memory.Recent[str, int] = memory.Recent(size=2)
    for number, key in enumerate("abc"):
        recent.note(key, number)
    assert [recent.recall(key) for key in "abc"] == [None, 1, 2]


def test_what_is_noted_again_is_remembered_anew() -> None:
    recent: memory.Recent[str, int] = memory.Recent(size=2)
    recent.note("a", 1)
    recent.note("b", 2)
    recent.note("a", 3)
    recent.note("c", 4)
    assert [recent.recall(key) for key in "abc"] == [3, None, 4]


def test_looking_does_not_make_it_last() -> None:
    recent: memory.Recent[str, int] = memory.Recent(size=2)
    recent.note("a", 1)
    recent.note("b", 2)
    assert recent.recall("a") == 1
    recent.note("c", 3)
    assert recent.recall("a") is None


def test_what_is_forgotten_leaves_room() -> None:
    recent: memory.Recent[str, int] = memory.Recent(size=2)
    recent.note("a", 1)
    recent.note("b", 2)
    recent.forget("b")
    recent.forget("never noted")
    recent.note("c", 3)
    assert [recent.recall(key) for key in "abc"] == [1, None, 3]


def test_ten_thousand_things_are_enough() -> None:
    recent: memory.Recent[int, int] = memory.Recent()
    for number in range(10_001):
        recent.note(number, number)
    assert recent.recall(0) is None
    assert recent.recall(1) == 1


def test_a_content_ages_from_when_we_made_it_until_it_goes() -> None:
    held = memory.Contents()
    assert held.age(KEY, 5.0) is None
    held.made(KEY, 5.0)
    assert held.age(KEY, 5.5) == pytest.approx(0.5)
    held.observe(change(None, objects.content()))
    held.observe(change(objects.content(), objects.ready_content()))
    assert held.age(KEY, 6.0) == pytest.approx(1.0)
    assert not held.gone(KEY)
    held.observe(change(objects.ready_content(), None))
    assert held.age(KEY, 6.0) is None
    assert held.gone(KEY)


def test_only_what_was_made_for_one_snapshot_is_gone_for_good() -> None:
    held = memory.Contents()
    held.observe(change(objects.given_content(), None))
    held.observe(change(objects.claim(), None))
    assert not held.gone(objects.given_content().key)
    assert not held.gone(objects.claim().key)


@pytest.mark.parametrize(
    ("content", "late"),
    [
        (objects.content(), True),
        (objects.content(spec__volume_snapshot_ref__uid="another"), False),
        (objects.content(metadata__name="other"), False),
        (
            objects.content(
                spec__source=snapshots.VolumeSnapshotContentSource(snapshot_handle="h")
            ),
            False,
        ),
    ],
)
def test_a_content_is_late_if_its_own_snapshot_did_without(
    content: snapshots.VolumeSnapshotContent, *, late: bool
) -> None:
    held = memory.Contents()
    assert not held.is_late(content)
    held.did_without(KEY, "uid-1")
    assert held.is_late(content) is late


BEGUN = {names.BEING_CREATED_ANNOTATION: names.MARK}


@pytest.mark.parametrize(
    ("watching", "content", "expected"),
    [
        (True, objects.content(), Attempt.NEVER),
        (False, objects.content(), Attempt.UNKNOWN),
        (True, objects.content(metadata__annotations=BEGUN), Attempt.UNKNOWN),
        (
            True,
            objects.content(status=snapshots.VolumeSnapshotContentStatus()),
            Attempt.UNKNOWN,
        ),
    ],
)
def test_nobody_called_only_for_what_we_saw_appear(
    content: snapshots.VolumeSnapshotContent, expected: Attempt, *, watching: bool
) -> None:
    attempts = memory.Attempts()
    if watching:
        attempts.start()
    attempts.observe(change(None, content))
    assert attempts.of(content) is expected


def test_what_became_of_a_call_is_kept_until_the_content_goes_or_is_ready() -> None:
    for end in (None, objects.ready_content()):
        attempts = memory.Attempts()
        attempts.note(objects.content(), Attempt.REFUSED)
        attempts.polled(objects.content())
        attempts.observe(change(objects.content(), objects.content()))
        assert attempts.of(objects.content()) is Attempt.REFUSED
        assert attempts.polls(objects.content()) == 1
        attempts.observe(change(objects.content(), end))
        assert attempts.of(objects.content()) is Attempt.UNKNOWN
        assert attempts.polls(objects.content()) == 0


def test_a_call_about_to_be_sent_makes_everything_unknown() -> None:
    attempts = memory.Attempts()
    attempts.note(objects.content(), Attempt.NEVER)
    attempts.note(objects.content(), Attempt.UNKNOWN)
    assert attempts.of(objects.content()) is Attempt.UNKNOWN
    attempts.note(objects.content(), Attempt.UNKNOWN)


def test_polls_are_counted_for_one_incarnation() -> None:
    attempts = memory.Attempts()
    for expected in (1, 2, 3):
        attempts.polled(objects.content())
        assert attempts.polls(objects.content()) == expected
    assert attempts.polls(objects.content(metadata__uid="another")) == 0
