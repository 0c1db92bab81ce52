"""What becomes of a group's content, its members' contents, its claims and itself at its end."""

from typing import Any

import grouped
import objects
import pytest

from snapshotd.decide import (
    contents,
    intents,
    protection,
    refusals,
    release,
    telling,
    validation,
    views,
)
from snapshotd.model import groups, keys, names, snapshots

GROUP = objects.group()
MARKED = {names.GROUP_BEING_DELETED_ANNOTATION: names.MARK}
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}


# Contents


def half(content: groups.AnyContent, **fields: Any) -> intents.Decision:
    return contents.decide(views.ContentHalfView(content, **fields))


def test_a_bound_group_content_is_guarded_and_an_unsound_one_told() -> None:
    bare = objects.group_content(metadata__finalizers=())
    (guard,) = half(bare).intents
    assert isinstance(guard, intents.UpdateMetadata)
    assert guard.finalizers == (names.GROUP_CONTENT_FINALIZER,)
    assert half(objects.group_content()) == intents.SETTLED
    (announce,) = half(objects.group_content(spec__source=groups.GroupContentSource())).intents
    assert isinstance(announce, intents.Announce)
    assert (announce.reason, announce.message) == (
        "GroupContentValidationError",
        "Exactly one of GroupSnapshotHandles and VolumeHandles should be specified",
    )


def member_content(**fields: Any) -> snapshots.VolumeSnapshotContent:
    base = {
        "metadata__name": grouped.CONTENT_NAMES[0],
        "metadata__annotations": {names.GROUP_HANDLE_ANNOTATION: "group"},
        "spec__source": snapshots.VolumeSnapshotContentSource(volume_handle="vol-a"),
        "spec__volume_snapshot_class_name": None,
    }
    return objects.content(**{**base, **fields})


TOLD = snapshots.VolumeSnapshotContentStatus(
    "handle-a", 10**18, 1 << 30, ready_to_use=True, volume_group_snapshot_handle="group"
)


def test_a_members_status_tells_what_its_groups_content_says() -> None:
    (publish,) = half(member_content(), cut=objects.cut_group_content()).intents
    assert publish == intents.PublishStatus(
        intents.Target(snapshots.content_key(grouped.CONTENT_NAMES[0]), "uid-2", "8"),
        intents.ContentStatusChange(
            snapshot_handle="handle-a",
            creation_time=10**18,
            ready_to_use=True,
            restore_size=1 << 30,
            volume_group_snapshot_handle="group",
        ),
    )
    said = member_content(status=TOLD)
    assert half(said, cut=objects.cut_group_content()) == intents.SETTLED


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (member_content(), None),
        (member_content(**GOING), objects.cut_group_content()),
        (member_content(), objects.group_content()),
        (member_content(metadata__name="snapcontent-other"), objects.cut_group_content()),
        (objects.group_content(), objects.cut_group_content()),
    ],
)
def test_nothing_is_told_of_what_is_not_cut_or_goes(
    content: groups.AnyContent, cut: groups.VolumeGroupSnapshotContent | None
) -> None:
    assert half(content, cut=cut) == intents.SETTLED


# Protection, refusals, validation


def test_a_claim_is_protected_while_a_group_is_cut_from_it() -> None:
    claim = grouped.claim()

    def wanted(use: views.Use, **fields: Any) -> bool:
        protected = objects.changed(claim, metadata__finalizers=(names.CLAIM_FINALIZER,), **fields)
        return protection.decide(views.ClaimView(protected, (use,))).intents == ()

    failed = groups.GroupContentStatus(error=objects.ERROR)
    assert wanted(views.Use(GROUP))
    assert wanted(views.Use(GROUP, objects.group_content()), **GOING)
    assert not wanted(views.Use(objects.group(status=groups.GroupStatus(ready_to_use=True))))
    assert not wanted(views.Use(GROUP, objects.group_content(status=failed)), **GOING)
    marked = {names.GROUP_BEING_CREATED_ANNOTATION: names.MARK}
    unknown = objects.group_content(status=failed, metadata__annotations=marked)
    assert wanted(views.Use(GROUP, unknown), **GOING)


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (intents.CreateContent(objects.group_content()), "GroupSnapshotContentCreationFailed"),
        (intents.CreateMember(grouped.member(0)), "GroupSnapshotContentCreationFailed"),
        (
            intents.DeleteContent(telling.target(objects.group_content())),
            "GroupSnapshotContentObjectDeleteError",
        ),
        (intents.DeleteMember(telling.target(grouped.member(0))), "SnapshotDeleteError"),
        (
            intents.PublishStatus(telling.target(GROUP), intents.GroupStatusChange()),
            "GroupSnapshotStatusUpdateFailed",
        ),
        (intents.PrepareSnapshot(telling.target(GROUP), ()), "GroupSnapshotFinalizerError"),
        (
            intents.BindContent(telling.target(objects.group_content()), "uid-7", ()),
            "GroupSnapshotBindFailed",
        ),
    ],
)
def test_what_the_api_server_refuses_is_told_on_the_group(
    refused: intents.Write, reason: str
) -> None:
    announce = refusals.tell(GROUP, refused, "no quota", objects.NOW)[-1]
    assert isinstance(announce, intents.Announce)
    assert announce.reason == reason
    assert "no quota" in announce.message
    assert announce.about.kind == "VolumeGroupSnapshot"


def test_a_content_follows_its_group_only_if_it_was_cut_with_it() -> None:
    assert validation.follows_group(member_content())
    given = snapshots.VolumeSnapshotContentSource(snapshot_handle="handle-a")
    assert not validation.follows_group(member_content(spec__source=given))
    assert not validation.follows_group(objects.content())
    assert not validation.follows_group(
        objects.group_content(metadata__annotations={names.GROUP_HANDLE_ANNOTATION: "group"})
    )


# Release


def let_go(**fields: Any) -> intents.Decision:
    base = {"snapshot": objects.group(**GOING)}
    return release.decide(views.ReleaseView(**{**base, **fields}))


MEMBERS = (grouped.member(0), grouped.member(1))


def test_a_group_goes_content_marked_then_members_then_content_then_itself() -> None:
    content = objects.cut_group_content()
    (mark,) = let_go(content=content, members=MEMBERS).intents
    assert isinstance(mark, intents.UpdateMetadata)
    assert mark.annotations == MARKED

    marked = objects.cut_group_content(metadata__annotations=MARKED)
    decision = let_go(content=marked, members=MEMBERS)
    assert decision.again == 0.0
    assert decision.intents == tuple(
        intents.DeleteMember(intents.Target(each.key, "uid-1")) for each in MEMBERS
    )

    going = tuple(objects.changed(each, **GOING) for each in MEMBERS)
    (delete,) = let_go(content=marked, members=going).intents
    assert delete == intents.DeleteContent(telling.target(marked, exact=True))

    deleted = objects.changed(marked, **GOING)
    assert let_go(content=deleted, members=going).why == "waits for the content to be deleted"

    (free,) = let_go(content_absent=True, members=going).intents
    assert isinstance(free, intents.UpdateMetadata)
    assert free.finalizers == ()


def test_a_retained_group_takes_its_members_along_and_leaves_its_content() -> None:
    kept = objects.cut_group_content(
        spec__deletion_policy=names.RETAIN, metadata__annotations=MARKED
    )
    assert isinstance(let_go(content=kept, members=MEMBERS).intents[0], intents.DeleteMember)
    (free,) = let_go(content=kept).intents
    assert isinstance(free, intents.UpdateMetadata)
    assert free.target.key == GROUP.key


@pytest.mark.parametrize(
    "fields",
    [
        {"content_absent": True},
        {"content": objects.cut_group_content(spec__volume_group_snapshot_ref__uid="other")},
    ],
)
def test_members_go_with_a_group_that_has_lost_its_content(fields: dict[str, Any]) -> None:
    decision = let_go(members=MEMBERS, **fields)
    assert [type(each) for each in decision.intents] == [intents.DeleteMember] * 2


def test_a_content_that_is_not_seen_is_asked_for_before_a_group_goes() -> None:
    (refresh,) = let_go(members=MEMBERS).intents
    assert refresh == intents.Refresh(
        keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, "", "groupsnapcontent-uid-7")
    )


def test_a_restore_from_a_member_holds_the_whole_group() -> None:
    restore = objects.claim(
        metadata__name="new",
        metadata__annotations={"volume.kubernetes.io/storage-provisioner": "any"},
    )
    decision = let_go(content=objects.cut_group_content(), members=MEMBERS, restores=(restore,))
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotDeletePending"
    assert announce.about.kind == "VolumeGroupSnapshot"
