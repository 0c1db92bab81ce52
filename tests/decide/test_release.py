"""Letting a VolumeSnapshot go, in the order that loses nothing."""

from typing import Any

import objects
import pytest

from snapshotd.decide import intents, release, views
from snapshotd.model import names, snapshots, volumes


def going(**fields: Any) -> snapshots.VolumeSnapshot:
    return objects.snapshot(metadata__deletion_timestamp=objects.NOW_TEXT, **fields)


def decide(**fields: Any) -> intents.Decision:
    return release.decide(views.ReleaseView(**{"snapshot": going(), **fields}))


MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}


def test_the_content_is_marked_first() -> None:
    decision = decide(content=objects.ready_content())
    (mark,) = decision.intents
    assert isinstance(mark, intents.UpdateMetadata)
    assert mark.annotations == MARKED
    assert mark.finalizers is None
    assert decision.again == 0.0


def test_a_marked_content_is_deleted_as_it_was_seen() -> None:
    """A policy that became Retain meanwhile keeps the object, and with it the handle."""
    decision = decide(content=objects.ready_content(metadata__annotations=MARKED))
    (delete,) = decision.intents
    assert isinstance(delete, intents.DeleteContent)
    assert delete.target.uid == "uid-2"
    assert delete.target.version == "8"
    assert decision.again is None
    assert "waits for the content" in decision.why


def test_a_content_that_is_going_is_waited_for() -> None:
    content = objects.ready_content(
        metadata__annotations=MARKED, metadata__deletion_timestamp=objects.NOW_TEXT
    )
    assert decide(content=content).intents == ()
    unmarked = objects.ready_content(metadata__deletion_timestamp=objects.NOW_TEXT)
    (mark,) = decide(content=unmarked).intents
    assert isinstance(mark, intents.UpdateMetadata)


def test_a_content_that_is_to_be_kept_lets_the_snapshot_go() -> None:
    content = objects.ready_content(
        spec__deletion_policy=names.RETAIN, metadata__annotations=MARKED
    )
    (let_go,) = decide(content=content).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.finalizers == ()
    assert let_go.target.key.kind == "VolumeSnapshot"


def test_a_content_that_is_merely_not_seen_is_asked_for() -> None:
    (refresh,) = decide().intents
    assert refresh == intents.Refresh(snapshots.content_key("snapcontent-uid-1"))


def test_a_content_that_is_gone_lets_the_snapshot_go() -> None:
    snapshot = going(metadata__finalizers=("x/y", *objects.BOTH))
    (let_go,) = decide(snapshot=snapshot, content_absent=True).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.finalizers == ("x/y",)
    assert let_go.target.version == "7"


def test_a_content_that_may_have_been_bound_unseen_is_asked_for() -> None:
    """The answer to the write that tied it to this snapshot may have been lost."""
    snapshot = objects.given_snapshot(metadata__deletion_timestamp=objects.NOW_TEXT)
    free = objects.given_content()
    decision = decide(snapshot=snapshot, content=free)
    assert decision.intents == (intents.Refresh(free.key),)
    assert decision.again == 0.0
    (let_go,) = decide(snapshot=snapshot, content=free, asked=True).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.target.key == snapshot.key


def test_a_content_of_another_snapshot_is_left_alone() -> None:
    other = objects.ready_content(spec__volume_snapshot_ref__uid="another")
    (let_go,) = decide(content=other).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.target.key.kind == "VolumeSnapshot"


def restore(**fields: Any) -> volumes.PersistentVolumeClaim:
    """Return a claim that a provisioner was told of before the snapshot was to go."""
    made: volumes.PersistentVolumeClaim = objects.claim(
        **{
            "metadata__name": "restored",
            "metadata__creation_timestamp": objects.NOW_TEXT,
            "metadata__annotations": {"volume.kubernetes.io/storage-provisioner": "any"},
            **fields,
        }
    )
    return made


@pytest.mark.parametrize(
    "claim",
    [
        restore(),
        restore(metadata__annotations={"volume.beta.kubernetes.io/storage-provisioner": "any"}),
        restore(metadata__creation_timestamp="2025-12-31T23:59:59Z"),
        restore(metadata__creation_timestamp=None),
    ],
)
def test_a_snapshot_that_fills_a_claim_stays(claim: volumes.PersistentVolumeClaim) -> None:
    decision = decide(content=objects.ready_content(), restores=(claim,))
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotDeletePending"
    assert announce.message.startswith("Snapshot is being used to restore a PVC: restored. ")
    assert decision.why == announce.message


@pytest.mark.parametrize(
    "claim",
    [
        restore(metadata__annotations={"x": "y"}),  # it waits for its first consumer
        restore(metadata__creation_timestamp="2026-01-01T00:00:01Z"),  # it came too late
    ],
)
def test_a_claim_that_nobody_fills_does_not_hold_the_snapshot(
    claim: volumes.PersistentVolumeClaim,
) -> None:
    """Provisioners refuse a snapshot that is being deleted: the two would wait for ever (747)."""
    (mark,) = decide(content=objects.ready_content(), restores=(claim,)).intents
    assert isinstance(mark, intents.UpdateMetadata)


def test_only_the_claims_that_are_filled_are_named() -> None:
    late = restore(metadata__name="late", metadata__creation_timestamp="2026-01-01T00:00:01Z")
    other = restore(metadata__name="other")
    decision = decide(content=objects.ready_content(), restores=(restore(), late, other))
    assert ": restored, other. " in decision.why


def test_a_member_stays_as_long_as_its_group() -> None:
    group = objects.group()
    for content in (objects.ready_content(), None):
        decision = decide(content=content, group=group, content_absent=True)
        (announce,) = decision.intents
        assert isinstance(announce, intents.Announce)
        assert announce.reason == "SnapshotDeletePending"
        assert "ns/snap is not allowed as it belongs to group snapshot ns/all" in announce.message
        assert decision.why == announce.message


def test_a_member_that_goes_with_its_group_waits_without_a_word() -> None:
    """Nobody asked for it alone: a warning for each member of a large group would tell nothing."""
    group = objects.group(metadata__deletion_timestamp=objects.NOW_TEXT)
    decision = decide(content=objects.ready_content(), group=group)
    assert decision.intents == ()
    assert decision.again is None
    assert decision.why == "goes when its group snapshot all is gone"


def test_a_member_whose_group_is_gone_goes_with_its_group_finalizer_alone() -> None:
    snapshot = going(metadata__finalizers=(names.SNAPSHOT_GROUP_FINALIZER,))
    (let_go,) = decide(snapshot=snapshot, content_absent=True).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.finalizers == ()


def test_what_others_hold_is_not_ours_to_let_go() -> None:
    assert decide(snapshot=going(metadata__finalizers=("x/y",))).intents == ()
