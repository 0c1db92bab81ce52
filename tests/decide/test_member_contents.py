"""A member's content is made of what its group's content tells, and of nothing else."""

import grouped
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import binding, intents, members, pairing, views
from snapshotd.model import meta, names, snapshots

CUT = objects.cut_group_content()
GROUP = objects.group()


def decide(given: views.BindingView) -> intents.Decision:
    return binding.decide(given, objects.POLICY, objects.NOW)


def follow(given: snapshots.VolumeSnapshot, home: views.Home | None) -> intents.Decision:
    return decide(views.BindingView(given, home=home))


def test_a_members_content_is_made_of_what_the_groups_tells() -> None:
    secret = {
        names.GROUP_DELETION_SECRET_NAME: "s",
        names.GROUP_DELETION_SECRET_NAMESPACE: "n",
    }
    labels = {names.MANAGED_BY_LABEL: "node-1", "mine": "x"}
    cut = objects.cut_group_content(metadata__annotations=secret, metadata__labels=labels)
    decision = follow(grouped.member(0), views.Home(GROUP, cut, objects.volume()))
    (create,) = decision.intents
    assert isinstance(create, intents.CreateContent)
    made = create.content
    assert isinstance(made, snapshots.VolumeSnapshotContent)
    assert made.metadata == meta.ObjectMeta(
        name=names.member_content(grouped.NAMES[0]),
        finalizers=(names.CONTENT_FINALIZER,),
        annotations={
            names.GROUP_HANDLE_ANNOTATION: "group",
            names.DELETION_SECRET_NAME: "s",
            names.DELETION_SECRET_NAMESPACE: "n",
        },
        labels={names.MANAGED_BY_LABEL: "node-1"},
    )
    assert made.spec == snapshots.VolumeSnapshotContentSpec(
        deletion_policy="Delete",
        driver=objects.DRIVER,
        source=snapshots.VolumeSnapshotContentSource(volume_handle="vol-a"),
        volume_snapshot_ref=meta.ObjectReference(
            "snapshot.storage.k8s.io/v1", "VolumeSnapshot", "ns", grouped.NAMES[0], "uid-1", "7"
        ),
        source_volume_mode="Filesystem",
    )


def test_a_volume_that_is_gone_leaves_the_mode_unset() -> None:
    (create,) = follow(grouped.member(0), views.Home(GROUP, CUT)).intents
    assert isinstance(create, intents.CreateContent)
    assert isinstance(create.content, snapshots.VolumeSnapshotContent)
    assert create.content.spec.source_volume_mode is None


def test_a_member_is_guarded_before_it_has_a_content() -> None:
    """One that the reference made has fewer finalizers."""
    bare = grouped.member(0, metadata__finalizers=(names.SNAPSHOT_GROUP_FINALIZER,))
    decision = follow(bare, views.Home(GROUP, CUT))
    (prepare,) = decision.intents
    assert decision.again == 0.0
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.finalizers == (names.SNAPSHOT_GROUP_FINALIZER, *objects.BOTH)
    assert prepare.owners is None


@pytest.mark.parametrize(
    ("home", "told"),
    [
        (None, "its group snapshot, or that one's content, is not there"),
        (views.Home(GROUP), "its group snapshot, or that one's content, is not there"),
        (
            views.Home(objects.group(metadata__uid="other"), CUT),
            "its group snapshot, or that one's content, is not there",
        ),
        (
            views.Home(GROUP, objects.group_content()),
            "VolumeGroupSnapshotContent groupsnapcontent-uid-7 tells of no snapshot for it yet",
        ),
    ],
)
def test_a_member_waits_for_what_its_content_is_made_of(home: views.Home | None, told: str) -> None:
    assert follow(grouped.member(0), home) == intents.Decision(
        why=f"waits for its group snapshot to give it a content: {told}"
    )


def test_a_member_without_a_claim_by_now_is_sound() -> None:
    (create,) = follow(
        grouped.member(0, spec__source=snapshots.VolumeSnapshotSource("")), views.Home(GROUP, CUT)
    ).intents
    assert isinstance(create, intents.CreateContent)


def test_a_free_content_of_a_member_is_tied_as_the_reference_leaves_it() -> None:
    free = objects.content(
        metadata__name=names.member_content(grouped.NAMES[0]),
        spec__volume_snapshot_ref=meta.ObjectReference(namespace="ns", name=grouped.NAMES[0]),
    )
    given = views.BindingView(grouped.member(0), content=free, home=views.Home(GROUP, CUT))
    (bind,) = pairing.decide(given, free, objects.POLICY, objects.NOW).intents
    assert isinstance(bind, intents.BindContent)
    assert bind.snapshot_uid == "uid-1"


def test_a_member_made_by_hand_is_adopted_by_its_group() -> None:
    pair = {
        "metadata__finalizers": objects.BOTH,
        "status": objects.ready_snapshot().status,
    }
    given = views.BindingView(
        objects.given_snapshot(**pair),
        content=objects.given_content(
            spec__volume_snapshot_ref__uid="uid-1", metadata__finalizers=(names.CONTENT_FINALIZER,)
        ),
        home=views.Home(GROUP, CUT),
    )
    decision = decide(given)
    (adopt,) = decision.intents
    assert decision.again == 0.0
    assert isinstance(adopt, intents.PrepareSnapshot)
    assert adopt.owners == (members.owner(GROUP),)
    assert adopt.finalizers == objects.BOTH


def test_a_draft_without_a_group_says_what_is_missing() -> None:
    with pytest.raises(errors.Invalid, match="is not there"):
        members.draft_content(grouped.member(0), views.Home())
