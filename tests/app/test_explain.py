"""`snapshotd explain`: every situation has an answer, and the page shows it."""

from pathlib import Path

import explained
import objects
import pytest
import situations

from snapshotd.app.explain import facts, show, walk
from snapshotd.model import keys

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "explain.md"
WAITING = {
    "the driver has not answered yet",
    "the snapshot is cut and being uploaded",
    "the snapshot is to go while a claim is restored from it",
    "a claim is to go while it is cut from",
    "a member of a group is to go, and its group, too",
    "the claims of a group are not protected yet",
    "the driver has not answered for a group yet",
    "the members are still to be made",
    "a member is not ready yet",
    "the group is to go while a claim is restored from a member",
    "the group is to go, and its members are still to be asked for",
    "a member waits for its group",
    "a claim is to go while a group is cut from it",
}
FINE = {
    "all is well",
    "a content is kept by policy Retain",
    "a group and all its members are ready",
    "a group's content is kept by policy Retain",
    "a member is ready, and its group is not",
}
EVERY = [*situations.SITUATIONS, *situations.GROUPS]


def test_the_page_is_what_explain_says() -> None:
    assert PAGE.read_text() == situations.page(), "run: just docs"


@pytest.mark.parametrize("situation", EVERY, ids=lambda each: each.told)
def test_a_situation_says_who_must_act(situation: explained.Situation) -> None:
    verdict = situation.report().verdict
    expected = (
        facts.State.WAITS
        if situation.told in WAITING
        else facts.State.OK
        if situation.told in FINE
        else facts.State.PROBLEM
    )
    assert verdict.state is expected, verdict
    if expected is facts.State.PROBLEM:
        assert verdict.who
        assert verdict.command


def test_what_is_settled_is_not_listed() -> None:
    known = situations.SITUATIONS[0].known()
    assert list(walk.unsettled(known)) == []
    stuck = situations.SITUATIONS[1].known()
    assert [each.subject for each in walk.unsettled(stuck)] == ["VolumeSnapshot ns/snap"]


def test_a_leftover_without_a_snapshot_is_listed() -> None:
    known = facts.empty(objects.NOW)
    known.cache.put(objects.ready_content())
    (report,) = walk.unsettled(known)
    assert report.subject == "VolumeSnapshotContent snapcontent-uid-1"


def test_what_does_not_exist_is_told_with_what_does() -> None:
    known = situations.SITUATIONS[0].known()
    elsewhere = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "other", "snap")
    with pytest.raises(walk.NotThere, match="there is VolumeSnapshot ns/snap: name its namespace"):
        walk.snapshot(known, elsewhere)
    with pytest.raises(walk.NotThere, match="there is no VolumeSnapshot ns/none"):
        walk.snapshot(known, keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "none"))


def test_the_text_ends_with_what_matters() -> None:
    broken = next(each for each in situations.SITUATIONS if each.told == "the driver fails")
    lines = show.text([broken.report()]).splitlines()
    assert lines[0] == "VolumeSnapshot ns/snap"
    assert lines[-2] == "Somebody must act: whoever runs the CSI driver."
    assert lines[-1].strip() == "kubectl describe volumesnapshotcontent snapcontent-uid-1"


def test_without_leases_nobody_is_said_to_be_dead() -> None:
    unknown = explained.Situation(
        "nothing may be read",
        (situations.bound(), objects.content(), objects.class_()),
        at_work=None,
        drivers=None,
    )
    states = {each.state for each in unknown.report().findings}
    assert facts.State.PROBLEM not in states
    assert facts.State.UNKNOWN in states
