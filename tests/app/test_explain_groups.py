"""`snapshotd explain` of groups: whose state it tells, and what is told of members beside it."""

import json
from collections.abc import Callable, Mapping

import explained
import group_situations
import grouped
import objects
import pytest
from explained import ALIVE, GROUP

from snapshotd.app.explain import facts, show, walk
from snapshotd.model import groups, keys, leases, names, wire

OK, WAITS, PROBLEM = facts.State.OK, facts.State.WAITS, facts.State.PROBLEM
MEMBER = group_situations.MEMBER


def of(told: str) -> explained.Situation:
    (found,) = [each for each in group_situations.SITUATIONS if each.told == told]
    return found


@pytest.mark.parametrize(
    ("told", "who", "says"),
    [
        ("the selector selects no claim", "you", "selects no PersistentVolumeClaim"),
        ("the selector cannot be read", "you", "tier has operator 'Like'"),
        ("the group's class does not exist", "a cluster administrator", '"grouped" not found'),
        (
            "a volume of the group belongs to another driver",
            "a cluster administrator",
            "the volume pv-b belongs to driver other.example.com",
        ),
        ("one of the selected claims is not bound", "you", "claim-b is not yet bound"),
        ("the controller serves no groups", "whoever runs the snapshot controller", "pod-1"),
        ("the sidecar serves no groups", "whoever runs the CSI driver", "the sidecar pod-1"),
        ("the driver cannot group", "whoever runs the CSI driver", "CREATE_DELETE_GET"),
        ("a member fails", "whoever runs the CSI driver", "no more room"),
        ("the group's content vanished", "you", "groupsnapcontent-uid-7 is gone"),
        (
            "the content that a group is to adopt does not exist",
            "a cluster administrator",
            "nobody has made made-by-hand yet",
        ),
        (
            "the group is to go and its driver cannot delete it",
            "whoever runs the CSI driver",
            "IN_USE",
        ),
        (
            "the group is to go and the controller serves no groups",
            "whoever runs the snapshot controller",
            "it may serve no groups",
        ),
        ("a member waits for a group whose driver fails", "whoever runs the CSI driver", "on fire"),
        ("a member waits for a group that is gone", "you", "nobody gives it a content"),
    ],
)
def test_a_wait_of_a_group_is_told_to_whom_can_end_it(told: str, who: str, says: str) -> None:
    verdict = of(told).report().verdict
    assert (verdict.state, verdict.who) == (PROBLEM, who)
    assert says in verdict.told


def test_each_claim_that_is_unfit_is_named_with_what_shows_more_of_it() -> None:
    pending = [grouped.claim(each, status__phase="Pending") for each in "ab"]
    situation = explained.Situation("", (group_situations.UNCUT, *pending), GROUP)
    found = [each for each in situation.report().findings if each.command.endswith(("-a", "-b"))]
    assert [each.command for each in found] == [
        "kubectl -n ns describe pvc claim-a",
        "kubectl -n ns describe pvc claim-b",
    ]


def test_a_selector_that_cannot_be_read_is_deleted_since_it_cannot_be_changed() -> None:
    command = of("the selector cannot be read").report().verdict.command
    assert command == "kubectl -n ns delete volumegroupsnapshot all"


def test_the_verdict_on_a_group_is_its_own_whatever_a_member_says() -> None:
    """One that somebody deletes does not make a ready group unready."""
    held = (
        group_situations.READY,
        objects.cut_group_content(),
        group_situations.member(0, **explained.GOING),
        *group_situations.MEMBERS[1:],
    )
    report = explained.Situation("", held, GROUP).report()
    assert report.verdict.state is OK
    assert {each.state for each in report.members} == {OK, PROBLEM}


def test_members_are_told_behind_the_group_in_short() -> None:
    report = of("a group and all its members are ready").report()
    assert [each.about for each in report.members] == [
        f"VolumeSnapshot ns/{name}" for name in sorted(grouped.NAMES)
    ]
    text = show.text([report])
    assert text.index("VolumeGroupSnapshot ns/all: is ready") < text.index("Its members:")
    (told,) = json.loads(show.json([report]))
    assert [each["about"] for each in told["findings"]][-2:] == [
        each.about for each in report.members
    ]
    single = show.text([explained.Situation("", (objects.ready_snapshot(),)).report()])
    assert "Its members:" not in single


def test_a_member_names_its_group_and_tells_its_wait_only_while_it_waits_itself() -> None:
    ready = of("a member is ready, and its group is not").report()
    named = [each for each in ready.findings if each.about == str(GROUP)]
    assert [(each.state, each.told) for each in named] == [
        (facts.State.NOTE, "is the group snapshot that it is a member of")
    ]
    waiting = of("a member waits for its group").report()
    assert [each.about for each in waiting.findings if each.state is WAITS] == [
        str(MEMBER),
        "VolumeGroupSnapshotContent groupsnapcontent-uid-7",
    ]


def test_a_member_that_has_its_content_outlives_its_group_without_a_problem() -> None:
    held = group_situations.MEMBERS
    report = explained.Situation("", held, MEMBER).report()
    assert report.verdict.state is OK
    assert report.findings[-1].told == "was its group snapshot, and is gone"


def test_a_group_that_may_not_be_read_is_no_group_that_is_gone() -> None:
    situation = of("a member waits for a group that is gone")
    known = situation.known()
    known.unread[keys.Kind.VOLUME_GROUP_SNAPSHOT] = "you may not"
    report = walk.snapshot(known, MEMBER)
    assert report.verdict.state is WAITS
    assert report.findings[-1].told == "is its group snapshot; you may not"
    with pytest.raises(walk.NotThere, match="VolumeGroupSnapshot ns/all cannot be read: you may"):
        walk.group(known, GROUP)
    left = explained.Situation("", (objects.cut_group_content(),), explained.GROUP_CONTENT)
    known = left.known()
    known.unread[keys.Kind.VOLUME_GROUP_SNAPSHOT] = "you may not"
    states = [each.state for each in walk.content(known, left.subject).findings]
    assert states[0] is facts.State.UNKNOWN
    assert PROBLEM not in states


def test_a_members_content_that_is_not_ready_tells_what_its_group_waits_for() -> None:
    held = (
        group_situations.TAKEN,
        group_situations.failed("disk on fire"),
        group_situations.member(0, status=group_situations.NOT_YET),
        group_situations.content(0, status=None),
    )
    situation = explained.Situation("", held, group_situations.content(0).key)
    assert situation.report().verdict.told == "disk on fire"


YOUNG = objects.group(metadata__finalizers=())
OLD = group_situations.UNTOUCHED
BEGUN = {names.GROUP_BEING_CREATED_ANNOTATION: names.MARK}


@pytest.mark.parametrize(
    ("group", "at_work", "state"),
    [
        (YOUNG, ALIVE, WAITS),
        (OLD, ALIVE, PROBLEM),
        (group_situations.UNCUT, ALIVE, WAITS),  # guarded: somebody began
        (objects.changed(OLD, status=groups.GroupStatus()), ALIVE, WAITS),
        (OLD, None, WAITS),  # it cannot be known whether anybody is at work
    ],
)
def test_a_controller_is_suspected_only_of_a_group_that_nobody_touched_for_long(
    group: groups.VolumeGroupSnapshot,
    at_work: Mapping[str, leases.Lease] | None,
    state: facts.State,
) -> None:
    held: tuple[wire.Object, ...] = (group, group_situations.CLASS)
    held += (*group_situations.CLAIMS, *group_situations.VOLUMES)
    report = explained.Situation("", held, GROUP, at_work=at_work).report()
    assert report.verdict.state is state
    guessed = any("may serve no groups" in each.told for each in report.findings)
    assert guessed is (group is OLD)


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (objects.group_content(metadata__creation_timestamp=objects.NOW_TEXT), WAITS),
        (objects.group_content(**group_situations.BORN), PROBLEM),
        (objects.group_content(**group_situations.BORN, metadata__annotations=BEGUN), WAITS),
    ],
)
def test_a_sidecar_is_suspected_only_of_a_content_that_nobody_touched_for_long(
    content: groups.VolumeGroupSnapshotContent, state: facts.State
) -> None:
    held = (group_situations.TAKEN, content, group_situations.CLASS)
    assert explained.Situation("", held, GROUP).report().verdict.state is state


def test_a_single_snapshot_suspects_nobody_of_serving_no_groups() -> None:
    old = objects.snapshot(metadata__finalizers=(), **group_situations.BORN)
    held: tuple[wire.Object, ...] = (old, objects.claim(), objects.volume(), objects.class_())
    for more in ((), (objects.content(**group_situations.BORN),)):
        told = [each.told for each in explained.Situation("", (*held, *more)).report().findings]
        assert not any("groups" in each for each in told)


def test_a_content_whose_group_has_another_one_is_nobodys() -> None:
    stray = objects.cut_group_content(metadata__name="stray")
    held = (group_situations.READY, objects.cut_group_content(), stray)
    verdict = explained.Situation("", held, stray.key).report().verdict
    assert (verdict.state, verdict.who) == (PROBLEM, "a cluster administrator")
    assert "has another content, groupsnapcontent-uid-7" in verdict.told


@pytest.mark.parametrize(
    ("told", "subjects"),
    [
        ("a group and all its members are ready", []),
        ("the selector selects no claim", ["VolumeGroupSnapshot ns/all"]),
        ("a group's content is kept by policy Retain", []),
        (
            "a group's content whose group vanished without a word",
            ["VolumeGroupSnapshotContent groupsnapcontent-uid-7"],
        ),
        ("a member waits for its group", ["VolumeGroupSnapshot ns/all", str(MEMBER)]),
    ],
)
def test_groups_and_their_contents_are_listed_while_they_are_not_settled(
    told: str, subjects: list[str]
) -> None:
    assert [each.subject for each in walk.unsettled(of(told).known())] == subjects


def test_somebody_elses_finalizer_is_told_and_ours_is_not() -> None:
    finalizers = (names.GROUP_BOUND_FINALIZER, "backup.example.com/keep")
    going = objects.group(**explained.GOING, metadata__finalizers=finalizers)
    report = explained.Situation("", (going,), GROUP).report()
    held = [each.told for each in report.findings if "is held by the finalizer" in each.told]
    assert held == ["is held by the finalizer backup.example.com/keep, which is not ours"]


WALKS: list[tuple[keys.Key, Callable[[facts.Facts, keys.Key], facts.Report]]] = [
    (GROUP, walk.group),
    (explained.GROUP_CONTENT, walk.content),
]


@pytest.mark.parametrize(("key", "explain"), WALKS)
def test_a_group_that_is_not_there_is_told_so(
    key: keys.Key, explain: Callable[[facts.Facts, keys.Key], facts.Report]
) -> None:
    with pytest.raises(walk.NotThere, match=f"there is no {key}"):
        explain(facts.empty(objects.NOW), key)
