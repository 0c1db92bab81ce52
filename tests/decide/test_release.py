"""Letting a VolumeSnapshot go, in the order that loses nothing."""

from typing import Any

import objects

from snapshotd.decide import intents, release, views
from snapshotd.model import names, snapshots


def going(**fields: Any) -> snapshots.VolumeSnapshot:
    return objects.snapshot(metadata__deletion_timestamp=objects.NOW_TEXT, **fields)


def decide(**fields: Any) -> intents.Decision:
    return release.decide(views.ReleaseView(**{"snapshot": going(), **fields}))


MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}


def test_the_content_is_marked_then_deleted_and_the_snapshot_waits() -> None:
    mark, delete = decide(content=objects.ready_content()).intents
    assert isinstance(mark, intents.UpdateMetadata)
    assert mark.annotations == MARKED
    assert isinstance(delete, intents.DeleteContent)
    assert delete.target.uid == "uid-2"


def test_a_mark_that_is_there_is_not_written_again() -> None:
    (delete,) = decide(content=objects.ready_content(metadata__annotations=MARKED)).intents
    assert isinstance(delete, intents.DeleteContent)


def test_a_content_that_is_going_is_waited_for() -> None:
    content = objects.ready_content(
        metadata__annotations=MARKED, metadata__deletion_timestamp=objects.NOW_TEXT
    )
    assert decide(content=content).intents == ()
    unmarked = objects.ready_content(metadata__deletion_timestamp=objects.NOW_TEXT)
    (mark,) = decide(content=unmarked).intents
    assert isinstance(mark, intents.UpdateMetadata)


def test_a_content_that_is_to_be_kept_lets_the_snapshot_go() -> None:
    content = objects.ready_content(spec__deletion_policy=names.RETAIN)
    mark, let_go = decide(content=content).intents
    assert isinstance(mark, intents.UpdateMetadata)
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


def test_a_content_of_another_snapshot_is_left_alone() -> None:
    other = objects.ready_content(spec__volume_snapshot_ref__uid="another")
    (let_go,) = decide(content=other).intents
    assert isinstance(let_go, intents.UpdateMetadata)
    assert let_go.target.key.kind == "VolumeSnapshot"


def test_a_snapshot_that_fills_a_claim_stays() -> None:
    decision = decide(content=objects.ready_content(), restores=(objects.claim(),))
    (announce,) = decision.intents
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotDeletePending"
    assert "claim" in announce.message


def test_what_others_hold_is_not_ours_to_let_go() -> None:
    assert decide(snapshot=going(metadata__finalizers=("x/y",))).intents == ()
