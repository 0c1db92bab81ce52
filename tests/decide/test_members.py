"""The members of a group: which are made, of what, and when a group may be called ready."""

from typing import Any

import grouped
import objects
import pytest

from snapshotd.decide import binding, intents, members, publishing, views
from snapshotd.model import groups, meta, names, snapshots

A, B = objects.GROUP_STATUS.volume_snapshot_info_list
CUT = objects.cut_group_content()
GROUP = objects.group()


def ready(number: int) -> snapshots.VolumeSnapshot:
    return grouped.member(number, status=snapshots.VolumeSnapshotStatus(ready_to_use=True))


def seen(*made: snapshots.VolumeSnapshot | None) -> tuple[views.Member, ...]:
    pairs = zip((A, B), made, strict=True)
    return tuple(views.Member(info, each, f"claim-{info.volume_handle}") for info, each in pairs)


def view(*made: snapshots.VolumeSnapshot | None, **fields: Any) -> views.BindingView:
    base: dict[str, Any] = {"snapshot": GROUP, "content": CUT, "members": seen(*made)}
    return views.BindingView(**{**base, **fields})


def decide(given: views.BindingView) -> intents.Decision:
    return binding.decide(given, objects.POLICY, objects.NOW)


def test_the_members_that_are_missing_are_made_complete() -> None:
    decision = decide(view(None, grouped.member(1)))
    (made,) = decision.intents
    assert (decision.again, decision.why) == (0.0, "makes a snapshot for each volume")
    assert made == intents.CreateMember(
        snapshots.VolumeSnapshot(
            meta.ObjectMeta(
                name=grouped.NAMES[0],
                namespace="ns",
                finalizers=(
                    names.SNAPSHOT_GROUP_FINALIZER,
                    names.SNAPSHOT_SOURCE_FINALIZER,
                    names.SNAPSHOT_BOUND_FINALIZER,
                ),
                owner_references=(
                    meta.OwnerReference(
                        "groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshot", "all", "uid-7"
                    ),
                ),
            ),
            snapshots.VolumeSnapshotSpec(
                snapshots.VolumeSnapshotSource(persistent_volume_claim_name="claim-vol-a")
            ),
        )
    )


def test_a_retained_member_has_no_bound_finalizer() -> None:
    """As the reference's, whose deletion lets the object go at once."""
    kept = objects.cut_group_content(spec__deletion_policy=names.RETAIN)
    (made, _) = decide(view(None, None, content=kept)).intents
    assert isinstance(made, intents.CreateMember)
    assert names.SNAPSHOT_BOUND_FINALIZER not in made.snapshot.metadata.finalizers


@pytest.mark.parametrize(
    "fields",
    [
        {"snapshot": objects.group(status=groups.GroupStatus(ready_to_use=True))},
        {
            "snapshot": objects.group(
                spec__source=groups.GroupSource(volume_group_snapshot_content_name=CUT.key.name)
            )
        },
    ],
)
def test_no_member_is_made_of_a_group_that_is_ready_or_was_given(fields: dict[str, Any]) -> None:
    assert members.decide(view(None, None, **fields), CUT, objects.NOW) is None


@pytest.mark.parametrize(
    "owners",
    [
        (),
        (objects.changed(members.owner(GROUP), uid="another's"),),
    ],
)
def test_a_snapshot_in_the_way_is_told_and_left(owners: tuple[meta.OwnerReference, ...]) -> None:
    decision = decide(view(None, grouped.member(1, metadata__owner_references=owners)))
    publish, announce = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "GroupSnapshotContentCreationFailed"
    assert announce.message == (
        f"VolumeSnapshot ns/{grouped.NAMES[1]} is in the way: it is not a member of this group; "
        "delete it"
    )


@pytest.mark.parametrize(
    "content",
    [
        objects.group_content(),
        objects.cut_group_content(spec__volume_group_snapshot_ref=meta.ObjectReference()),
        objects.cut_group_content(
            spec__source=groups.GroupContentSource(
                group_snapshot_handles=groups.GroupHandles("group", ("handle-a",))
            )
        ),
        objects.group_content(
            status=objects.changed(objects.GROUP_STATUS, volume_group_snapshot_handle=None)
        ),
    ],
)
def test_members_have_no_names_before_the_group_can_be_deleted_with_them(
    content: groups.VolumeGroupSnapshotContent,
) -> None:
    assert members.names_of(content) == {}


def test_only_what_has_a_volume_and_a_handle_is_a_member() -> None:
    odd = (A, B, groups.MemberInfo("vol-c"), groups.MemberInfo(snapshot_handle="handle-d"))
    told = objects.changed(objects.GROUP_STATUS, volume_snapshot_info_list=odd)
    assert members.names_of(objects.group_content(status=told)) == dict(
        zip(grouped.NAMES, (A, B), strict=True)
    )


@pytest.mark.parametrize("second", [(), (groups.MemberInfo("vol-b"),)])
def test_a_group_that_lacks_a_volume_has_no_members_at_all(
    second: tuple[groups.MemberInfo, ...],
) -> None:
    told = objects.changed(objects.GROUP_STATUS, volume_snapshot_info_list=(A, *second))
    torn = objects.group_content(status=told)
    assert members.names_of(torn) == {}
    seen_so = views.BindingView(GROUP, content=torn)
    done = decide(seen_so).intents
    assert not any(isinstance(each, intents.CreateMember) for each in done)
    change = status_of(seen_so)
    assert change.ready_to_use is False
    assert isinstance(change.error, snapshots.SnapshotError)
    assert change.error.message == (
        "VolumeGroupSnapshotContent groupsnapcontent-uid-7 does not tell of a snapshot for each of "
        "its volumes"
    )


# The group's status


def status_of(given: views.BindingView) -> intents.GroupStatusChange:
    publish = decide(given).intents[0]
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(publish.status, intents.GroupStatusChange)
    return publish.status


def test_a_group_is_ready_with_the_last_of_its_members() -> None:
    decision = decide(view(ready(0), ready(1)))
    publish, created, is_ready = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.GroupStatusChange(
        bound_volume_group_snapshot_content_name="groupsnapcontent-uid-7",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
    )
    told = [each for each in (created, is_ready) if isinstance(each, intents.Announce)]
    assert [(each.reason, each.message, each.about.kind) for each in told] == [
        (
            "GroupSnapshotCreated",
            "Group snapshot ns/all was successfully created by the CSI driver.",
            "VolumeGroupSnapshot",
        ),
        (
            "GroupSnapshotReady",
            "Group snapshot ns/all is ready to use.",
            "VolumeGroupSnapshot",
        ),
    ]


def test_a_group_waits_for_its_members_without_a_word_but_its_binding() -> None:
    waiting = view(ready(0), grouped.member(1))
    assert status_of(waiting) == intents.GroupStatusChange(
        bound_volume_group_snapshot_content_name="groupsnapcontent-uid-7", ready_to_use=False
    )
    assert decide(waiting).why == "1 of 2 members are not ready"
    said = groups.GroupStatus("groupsnapcontent-uid-7", ready_to_use=False)
    bound = view(ready(0), grouped.member(1), snapshot=objects.group(status=said))
    assert decide(bound) == intents.Decision(why="1 of 2 members are not ready")


def test_a_fresh_binding_is_held_back_while_the_members_are_made() -> None:
    fresh = view(ready(0), grouped.member(1), content_age=0.1)
    decision = decide(fresh)
    assert decision.intents == ()
    assert decision.again == pytest.approx(objects.POLICY.status_hold - 0.1)


def test_a_member_that_fails_is_told_at_once() -> None:
    failing = grouped.member(1, status=snapshots.VolumeSnapshotStatus(error=objects.ERROR))
    change = status_of(view(ready(0), failing, content_age=0.1))
    told = f"1 of 2 members are not ready; {grouped.NAMES[1]}: it went wrong"
    assert change.error == snapshots.SnapshotError(time=objects.NOW_TEXT, message=told)
    assert change.ready_to_use is False


def test_the_drivers_own_error_goes_before_a_members() -> None:
    status = groups.GroupContentStatus(ready_to_use=False, error=objects.ERROR)
    change = status_of(view(None, None, content=objects.group_content(status=status), members=()))
    assert isinstance(change.error, snapshots.SnapshotError)
    assert change.error.message == "it went wrong"


def test_a_ready_group_stays_ready_whatever_becomes_of_a_member() -> None:
    said = groups.GroupStatus("groupsnapcontent-uid-7", "2001-09-09T01:46:40Z", ready_to_use=True)
    kept = view(ready(0), None, snapshot=objects.group(status=said))
    assert decide(kept) == intents.SETTLED


def test_several_failing_members_are_counted_and_the_first_is_quoted() -> None:
    failing = [
        grouped.member(each, status=snapshots.VolumeSnapshotStatus(error=objects.ERROR))
        for each in (0, 1)
    ]
    change = status_of(view(*failing))
    assert isinstance(change.error, snapshots.SnapshotError)
    assert change.error.message == (
        f"2 of 2 members are not ready; {grouped.NAMES[0]}: it went wrong"
    )


def test_a_member_tells_its_groups_name_once_and_no_news_of_its_own() -> None:
    content = objects.ready_content(
        metadata__name=grouped.CONTENT_NAMES[0], spec__volume_snapshot_ref__name=grouped.NAMES[0]
    )
    home = views.Home(GROUP, CUT)
    told = views.BindingView(grouped.member(0), content=content, home=home)
    (publish,) = decide(told).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.SnapshotStatusChange(
        bound_volume_snapshot_content_name=grouped.CONTENT_NAMES[0],
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        restore_size="1Gi",
        volume_group_snapshot_name="all",
    )
    said = objects.changed(
        objects.ready_snapshot().status,
        bound_volume_snapshot_content_name=grouped.CONTENT_NAMES[0],
        volume_group_snapshot_name="all",
    )
    settled = views.BindingView(grouped.member(0, status=said), content=content, home=home)
    assert decide(settled) == intents.SETTLED
    other = objects.changed(said, volume_group_snapshot_name="another")
    (publish,) = decide(
        views.BindingView(grouped.member(0, status=other), content=content, home=home)
    ).intents
    assert isinstance(publish, intents.PublishStatus)
    assert publish.status == intents.SnapshotStatusChange(volume_group_snapshot_name="all")


@pytest.mark.parametrize("home", [None, views.Home()])
def test_a_snapshot_without_a_group_tells_of_none(home: views.Home | None) -> None:
    settled = views.BindingView(
        objects.ready_snapshot(), content=objects.ready_content(), home=home
    )
    assert decide(settled) == intents.SETTLED


def test_a_time_the_group_tells_already_is_not_written_again() -> None:
    said = groups.GroupStatus("groupsnapcontent-uid-7", "2001-09-09T01:46:40Z", ready_to_use=False)
    change = status_of(view(ready(0), ready(1), snapshot=objects.group(status=said)))
    assert change == intents.GroupStatusChange(ready_to_use=True)


def test_a_group_that_the_driver_has_cut_and_not_made_ready_tells_when() -> None:
    cut = objects.group_content(status=objects.changed(objects.GROUP_STATUS, ready_to_use=False))
    change = status_of(view(ready(0), grouped.member(1), content=cut))
    assert change == intents.GroupStatusChange(
        bound_volume_group_snapshot_content_name="groupsnapcontent-uid-7",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=False,
    )


def test_a_groups_status_is_a_groups_contents_alone() -> None:
    mixed = views.BindingView(GROUP, content=objects.ready_content())
    with pytest.raises(TypeError, match="snapcontent-uid-1 is no content for"):
        publishing.publish(mixed, objects.ready_content(), objects.POLICY, objects.NOW)
