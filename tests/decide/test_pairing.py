"""Do a VolumeSnapshot and a content belong together, and what is told where they do not."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import binding, intents, pairing
from snapshotd.model import meta, names, snapshots, volumes

OWN = intents.Target(objects.snapshot().key, "uid-1", "7")
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
DISTRIBUTED = msgspec.structs.replace(objects.POLICY, distributed=True)
NODE = volumes.Node(meta.ObjectMeta(name="node-1", labels={"zone": "a"}))
TERM = volumes.NodeSelectorTerm((volumes.NodeSelectorRequirement("zone", "In", ("a",)),))
LOCAL = objects.volume(
    spec__node_affinity=volumes.VolumeNodeAffinity(volumes.NodeSelector((TERM,)))
)


def decide(**fields: Any) -> intents.Decision:
    return binding.decide(objects.binding_view(**fields), objects.POLICY, objects.NOW)


def problem(reason: str, message: str) -> intents.Decision:
    """Return the decision that tells the snapshot of `objects` what is wrong."""
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    change = intents.SnapshotStatusChange(ready_to_use=False, error=error)
    return intents.Decision(
        intents=(
            intents.PublishStatus(OWN, change),
            intents.Announce(objects.ABOUT, names.WARNING, reason, message),
        ),
        why=message,
    )


@pytest.mark.parametrize(
    ("snapshot", "content", "reason", "message"),
    [
        (
            objects.given_snapshot(),
            objects.content(),
            "SnapshotContentMismatch",
            (
                "VolumeSnapshotContent is dynamically provisioned while expecting a "
                "pre-provisioned one"
            ),
        ),
        (
            objects.snapshot(),
            objects.given_content(),
            "SnapshotContentMismatch",
            (
                "VolumeSnapshotContent content is pre-provisioned while expecting a dynamically "
                "provisioned one"
            ),
        ),
        (
            objects.given_snapshot(),
            objects.given_content(spec__volume_snapshot_ref__uid="another"),
            "SnapshotContentMisbound",
            "VolumeSnapshotContent [content] is bound to a different snapshot: ns/snap another",
        ),
        (
            objects.given_snapshot(),
            objects.given_content(spec__volume_snapshot_ref__name="other"),
            "SnapshotContentMisbound",
            "VolumeSnapshotContent [content] is bound to a different snapshot: ns/other",
        ),
        (
            objects.snapshot(),
            objects.content(spec__volume_snapshot_ref__uid=""),
            "SnapshotContentMisbound",
            "VolumeSnapshotContent [snapcontent-uid-1] is bound to a different snapshot: ns/snap",
        ),
        (
            objects.ready_snapshot(),
            objects.content(spec__volume_snapshot_ref__namespace="elsewhere"),
            "SnapshotMisbound",
            (
                "VolumeSnapshotContent is not bound to the VolumeSnapshot correctly: "
                "snapcontent-uid-1 refers to elsewhere/snap uid-1"
            ),
        ),
        (
            objects.given_snapshot(),
            objects.given_content(**GOING),
            "SnapshotContentMissing",
            (
                "VolumeSnapshotContent content is being deleted: delete this VolumeSnapshot to let "
                "it go, and take another"
            ),
        ),
    ],
)
def test_a_content_that_does_not_belong_is_told_in_full(
    snapshot: snapshots.VolumeSnapshot,
    content: snapshots.VolumeSnapshotContent,
    reason: str,
    message: str,
) -> None:
    assert decide(snapshot=snapshot, content=content) == problem(reason, message)


def test_a_ready_content_that_is_going_is_still_the_snapshots() -> None:
    """Its finalizer holds it: what it stands for can be restored from until the snapshot goes."""
    content = objects.ready_content(**GOING)
    assert decide(snapshot=objects.ready_snapshot(), content=content) == intents.SETTLED


@pytest.mark.parametrize(
    ("policy", "present", "expected"),
    [
        (names.DELETE, (), objects.BOTH),
        (names.RETAIN, (), objects.BOTH[:1]),
        (names.DELETE, ("x/y", objects.BOTH[1]), ("x/y", objects.BOTH[1], objects.BOTH[0])),
        (names.RETAIN, objects.BOTH, objects.BOTH),
    ],
)
def test_a_snapshot_is_guarded_as_its_contents_policy_asks(
    policy: str, present: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    snapshot = objects.snapshot(metadata__finalizers=present)
    assert pairing.guarded(snapshot, policy) == expected


def test_a_pair_is_completed_one_exact_patch_at_a_time() -> None:
    bare = objects.snapshot(metadata__finalizers=())
    assert decide(snapshot=bare, content=objects.content()) == intents.Decision(
        intents=(intents.PrepareSnapshot(OWN, objects.BOTH),), again=0.0
    )
    free = objects.given_content()
    bind = intents.BindContent(
        intents.Target(free.key, "uid-2", "8"), "uid-1", (names.CONTENT_FINALIZER,)
    )
    assert decide(snapshot=objects.given_snapshot(), content=free) == intents.Decision(
        intents=(bind,), again=0.0
    )
