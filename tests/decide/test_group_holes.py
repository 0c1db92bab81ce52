"""Holes in the rules for groups that the simulated stories found; each test is one of them."""

import grouped
import objects
import pytest
import waking

from snapshotd.decide import deletion, intents, outcomes, protection, publishing, release, views
from snapshotd.model import groups, keys, meta, names, snapshots, volumes, wire

GROUP = objects.group().key
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
BOUND = groups.GroupStatus("groupsnapcontent-uid-7")
MARKED = {names.GROUP_BEING_DELETED_ANNOTATION: names.MARK}
LATER = "2026-01-01T00:00:05Z"
GIVEN = objects.given_snapshot()
GIVEN_CONTENT = objects.given_content(
    status=snapshots.VolumeSnapshotContentStatus(volume_group_snapshot_handle="group")
)


@pytest.mark.parametrize("change", [objects.cut_group_content(), objects.group(status=BOUND)])
def test_a_member_made_by_hand_is_looked_at_when_its_group_is_there_at_last(
    change: wire.Object,
) -> None:
    held = (objects.cut_group_content(), objects.group(status=BOUND), GIVEN, GIVEN_CONTENT)
    others = [each for each in held if each.key != change.key]
    assert GIVEN.key in waking.woken(change, *others)


def test_claims_are_looked_at_when_the_content_that_names_them_is_gone() -> None:
    claim, volume = grouped.claim(), grouped.volume()
    group = objects.group(status=BOUND)
    woken = waking.woken_by_loss(objects.group_content(), group, claim, volume)
    assert claim.key in woken


def test_claims_are_looked_at_that_a_new_content_does_not_name_though_they_are_selected() -> None:
    late = grouped.claim("late")
    assert late.key in waking.woken(objects.group_content(), objects.group(), late)


@pytest.mark.parametrize(
    ("member", "group", "looked_at"),
    [
        (grouped.member(0), objects.group(), False),
        (grouped.member(0), objects.group(**GOING), True),  # it is to be taken along
        (grouped.member(0, **GOING), objects.group(), True),
        (
            grouped.member(0, status=snapshots.VolumeSnapshotStatus(error=objects.ERROR)),
            objects.group(),
            True,
        ),
    ],
)
def test_a_group_is_looked_at_when_a_member_comes_late_fails_or_goes(
    *, member: snapshots.VolumeSnapshot, group: groups.VolumeGroupSnapshot, looked_at: bool
) -> None:
    assert (GROUP in waking.woken(member, group)) is looked_at


def test_a_group_tells_that_a_member_goes_which_never_was_ready() -> None:
    content = objects.cut_group_content()
    infos = content.status.volume_snapshot_info_list if content.status else ()
    going = views.Member(infos[0], grouped.member(0, **GOING))
    ready = snapshots.VolumeSnapshotStatus(ready_to_use=True)
    fine = views.Member(infos[1], grouped.member(1, status=ready))
    view = views.BindingView(objects.group(status=BOUND), content, members=(going, fine))
    write, *_ = publishing.publish(view, content, objects.POLICY, objects.NOW).intents
    assert isinstance(write, intents.PublishStatus)
    assert isinstance(write.status, intents.GroupStatusChange)
    assert isinstance(write.status.error, snapshots.SnapshotError)
    told = f"{grouped.NAMES[0]} is being deleted: delete the group, and take another"
    assert write.status.error.message == f"1 of 2 members are not ready; {told}"


def restore(*, began: str) -> volumes.PersistentVolumeClaim:
    """Return a claim that a provisioner is to fill from a member."""
    source = meta.TypedReference(keys.Kind.VOLUME_SNAPSHOT, grouped.NAMES[0], names.SNAPSHOT_GROUP)
    made: volumes.PersistentVolumeClaim = objects.claim(
        metadata__name="restore",
        metadata__creation_timestamp=began,
        metadata__annotations={min(names.PROVISIONER_ANNOTATIONS): objects.DRIVER},
        spec=volumes.ClaimSpec(data_source=source),
        status=volumes.ClaimStatus(names.PENDING),
    )
    return made


@pytest.mark.parametrize(
    ("ended", "waits"),
    [
        ("", True),  # nobody asked for the member's deletion: the provisioner goes on
        (LATER, True),
        ("2026-01-01T00:00:01Z", False),  # it came too late: the provisioner refuses it
    ],
)
def test_a_group_waits_for_what_is_filled_from_a_member_by_the_members_own_deletion(
    *, ended: str, waits: bool
) -> None:
    fields = {"metadata__deletion_timestamp": ended} if ended else {}
    decision = release.decide(
        views.ReleaseView(
            objects.group(**GOING),
            objects.cut_group_content(metadata__annotations=MARKED),
            restores=(restore(began=LATER),),
            members=(grouped.member(0, **fields),),
        )
    )
    assert ("is being used to restore a PVC" in decision.why) is waits


def test_a_claim_that_goes_is_not_held_by_a_group_whose_members_never_will_be_ready() -> None:
    claim = objects.claim(**GOING)
    uses = (
        views.Use(objects.group(status=BOUND), objects.cut_group_content()),
        views.Use(grouped.member(0)),
    )
    (let_go,) = protection.decide(views.ClaimView(claim, uses)).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.finalizers == ()
    cutting = views.Use(objects.group(), objects.group_content())
    assert protection.decide(views.ClaimView(claim, (cutting,))).intents == ()


def test_what_a_lost_call_made_is_not_written_down_twice() -> None:
    content = objects.ready_content(
        metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK}, **GOING
    )
    call = intents.CreateSnapshot("snapshot-uid-1", source_volume="vol")
    told = outcomes.SnapshotInfo("handle", "vol", creation_time=10**18)
    view = views.ContentView(content, objects.class_(), call=call, answer=told)
    decision = deletion.decide(view, objects.DRIVER_POLICY)
    assert decision == intents.Decision(again=0.0)


@pytest.mark.parametrize(
    ("snapshot", "content"),
    [
        (objects.ready_snapshot(), objects.content()),
        (
            objects.group(status=groups.GroupStatus("groupsnapcontent-uid-7", ready_to_use=True)),
            objects.group_content(),
        ),
    ],
)
def test_what_is_ready_stays_so_though_its_content_is_seen_late(
    snapshot: groups.AnySnapshot, content: groups.AnyContent
) -> None:
    view = views.BindingView(snapshot, content)
    decision = publishing.publish(view, content, objects.POLICY, objects.NOW)
    assert decision.intents == ()
    assert "to be seen ready" in decision.why


def test_a_release_that_rests_on_the_policy_says_nothing_of_what_was_made() -> None:
    """The policy may change back meanwhile: then the driver is to be asked."""
    marked = {names.BEING_DELETED_ANNOTATION: names.MARK}
    call = intents.CreateSnapshot("snapshot-uid-1", source_volume="vol")
    denied = outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, "no")
    ends = {}
    for policy in (names.DELETE, names.RETAIN):
        content = objects.content(
            metadata__annotations=marked, spec__deletion_policy=policy, **GOING
        )
        view = views.ContentView(content, objects.class_(), call=call, answer=denied)
        decision = deletion.decide(view, objects.DRIVER_POLICY)
        assert decision.intents
        ends[policy] = deletion.ends_doubt(view, decision)
    assert ends == {names.DELETE: True, names.RETAIN: False}
