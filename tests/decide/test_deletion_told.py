"""Deletion in full, on both sides: the very words, targets and order of each decision."""

from typing import Any

import objects
import pytest

from snapshotd.decide import deletion, intents, outcomes, release, views
from snapshotd.model import keys, meta, names, secrets, snapshots

MARKED = {names.BEING_DELETED_ANNOTATION: "yes"}
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
KEY = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "", "snapcontent-uid-1")
EXACT = intents.Target(KEY, "uid-2", "8")
OWN = intents.Target(objects.snapshot().key, "uid-1", "7")
CREATE = intents.CreateSnapshot(name="snapshot-uid-1", source_volume="vol")
DELETE = intents.DeleteSnapshot("handle")
RELEASED = intents.Decision(intents=(intents.UpdateMetadata(EXACT, ()),))
API = "snapshot.storage.k8s.io/v1"


def going(**fields: Any) -> snapshots.VolumeSnapshotContent:
    return objects.content(**{"metadata__annotations": MARKED, **GOING, **fields})


def decide(**fields: Any) -> intents.Decision:
    base = {"content": going(), "snapshot_class": objects.class_()}
    return deletion.decide(views.ContentView(**{**base, **fields}), objects.DRIVER_POLICY)


def failure(message: str, *, failed: bool = True) -> intents.Decision:
    about = meta.ObjectReference(
        api_version=API,
        kind="VolumeSnapshotContent",
        name="snapcontent-uid-1",
        uid="uid-2",
        resource_version="8",
    )
    told = intents.Announce(about, "Warning", "SnapshotDeleteError", message)
    return intents.Decision(intents=(told,), failed=failed, why=message)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (going(metadata__finalizers=("x/y",)), "another controller's finalizer holds it"),
        (going(metadata__annotations={}), "waits for its VolumeSnapshot to be deleted"),
        (
            going(metadata__annotations={names.BEING_DELETED_ANNOTATION: "no"}),
            "waits for its VolumeSnapshot to be deleted",
        ),
    ],
)
def test_what_a_deletion_waits_for_is_said(
    content: snapshots.VolumeSnapshotContent, why: str
) -> None:
    assert decide(content=content) == intents.Decision(why=why)


def test_a_deletion_carries_the_secret_of_the_cut() -> None:
    secret = {names.DELETION_SECRET_NAME: "s", names.DELETION_SECRET_NAMESPACE: "n"}
    content = going(status=objects.STATUS, metadata__annotations={**MARKED, **secret})
    where = secrets.SecretReference(namespace="n", name="s")
    call = intents.DeleteSnapshot("handle", where)
    assert decide(content=content) == intents.Decision(intents=(call,))


@pytest.mark.parametrize(
    "answer",
    [
        outcomes.Deleted(),
        outcomes.NotListed(),
        outcomes.Refusal(outcomes.Code.NOT_FOUND, "why"),
    ],
)
def test_a_content_is_let_go_exactly_and_others_finalizers_stay(answer: outcomes.Answer) -> None:
    content = going(status=objects.STATUS)
    assert decide(content=content, call=DELETE, answer=answer) == RELEASED
    held = going(status=objects.STATUS, metadata__finalizers=(names.CONTENT_FINALIZER, "x/y"))
    assert decide(content=held, call=DELETE, answer=answer) == intents.Decision(
        intents=(intents.UpdateMetadata(EXACT, ("x/y",)),)
    )


def test_a_lost_call_is_asked_about_and_says_so() -> None:
    decision = decide()
    assert isinstance(decision.intents[0], intents.CreateSnapshot)
    assert decision.why == "asks the driver what a lost call made"


@pytest.mark.parametrize(
    ("fields", "message", "failed"),
    [
        (
            {"call": DELETE, "answer": outcomes.Refusal(outcomes.Code.ABORTED, "why")},
            "Failed to delete snapshot: ABORTED: why",
            True,
        ),
        (
            {"call": CREATE, "answer": outcomes.Refusal(outcomes.Code.UNAVAILABLE, "why")},
            "Failed to find out whether a snapshot was made: UNAVAILABLE: why",
            True,
        ),
        (
            {"call": DELETE, "answer": outcomes.NotSent("no secret")},
            "Failed to get snapshot credentials: no secret",
            True,
        ),
        (
            {
                "content": going(
                    status=objects.STATUS,
                    metadata__annotations={
                        **MARKED,
                        names.DELETION_SECRET_NAME: "s",
                        names.DELETION_SECRET_NAMESPACE: "",
                    },
                )
            },
            (
                "Failed to get snapshot credentials: cannot retrieve secrets for the snapshot "
                f"content: the annotations {names.DELETION_SECRET_NAME} and "
                f"{names.DELETION_SECRET_NAMESPACE} must not be empty"
            ),
            False,
        ),
        (
            {"content": going(spec__volume_snapshot_ref__uid="")},
            (
                "cannot create snapshot for content snapcontent-uid-1: it needs a volumeHandle and "
                "the uid of its VolumeSnapshot"
            ),
            False,
        ),
    ],
)
def test_a_deletion_that_fails_is_told_in_full(
    fields: dict[str, Any], message: str, *, failed: bool
) -> None:
    assert decide(**fields) == failure(message, failed=failed)


# The cluster's half


def let_go(**fields: Any) -> intents.Decision:
    return release.decide(views.ReleaseView(**{"snapshot": objects.snapshot(**GOING), **fields}))


def pending(message: str) -> intents.Decision:
    about = meta.ObjectReference(
        api_version=API,
        kind="VolumeSnapshot",
        namespace="ns",
        name="snap",
        uid="uid-1",
        resource_version="7",
    )
    told = intents.Announce(about, "Warning", "SnapshotDeletePending", message)
    return intents.Decision(intents=(told,), why=message)


def test_a_member_is_told_which_group_to_delete() -> None:
    group = objects.group()
    assert let_go(group=group) == pending(
        "deletion of the individual volume snapshot ns/snap is not allowed as it belongs to group "
        "snapshot ns/all: delete the group snapshot, and it goes with it"
    )


def test_a_restore_is_told_by_name() -> None:
    claim = objects.claim(
        metadata__name="new",
        metadata__annotations={"volume.kubernetes.io/storage-provisioner": "any"},
    )
    assert let_go(content=objects.ready_content(), restores=(claim,)) == pending(
        "Snapshot is being used to restore a PVC: new. It goes once these are bound, or deleted"
    )


def test_a_content_not_seen_is_read_and_looked_at_again_at_once() -> None:
    assert let_go() == intents.Decision(intents=(intents.Refresh(KEY),), again=0.0)


def test_a_content_is_marked_deleted_and_waited_for_in_that_order() -> None:
    mark = intents.UpdateMetadata(intents.Target(KEY, "uid-2"), annotations={**MARKED})
    assert let_go(content=objects.ready_content()) == intents.Decision(intents=(mark,), again=0.0)
    marked = objects.ready_content(metadata__annotations=MARKED)
    waits = "waits for the content to be deleted"
    assert let_go(content=marked) == intents.Decision(
        intents=(intents.DeleteContent(EXACT),), why=waits
    )
    assert let_go(content=going(status=objects.STATUS)) == intents.Decision(why=waits)


def test_a_snapshot_is_let_go_exactly() -> None:
    released = intents.Decision(intents=(intents.UpdateMetadata(OWN, ()),))
    assert let_go(content_absent=True) == released
    other = objects.content(spec__volume_snapshot_ref__uid="another")
    assert let_go(content=other) == released


def test_what_others_hold_is_said_to_be_theirs() -> None:
    held = objects.snapshot(metadata__finalizers=("x/y",), **GOING)
    assert let_go(snapshot=held) == intents.Decision(why="another controller's finalizer holds it")
