"""Binding in full: the very words, targets and order of each decision about a snapshot."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import binding, intents
from snapshotd.model import keys, meta, names, snapshots, volumes

OWN = intents.Target(objects.snapshot().key, "uid-1", "7")
UNSET = objects.snapshot(spec__volume_snapshot_class_name=None)
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
CREATION = "Failed to create snapshot content with error "
DEFAULT = "Failed to set default snapshot class with error "
ANNOTATE = 'annotate one VolumeSnapshotClass of driver {} with {}: "true", or name a class'


def decide(**fields: Any) -> intents.Decision:
    return binding.decide(objects.binding_view(**fields), objects.POLICY, objects.NOW)


def problem(reason: str, message: str) -> intents.Decision:
    error = snapshots.SnapshotError(time=objects.NOW_TEXT, message=message)
    change = intents.SnapshotStatusChange(ready_to_use=False, error=error)
    told = intents.Announce(objects.ABOUT, "Warning", reason, message)
    return intents.Decision(intents=(intents.PublishStatus(OWN, change), told), why=message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"claim": None},
            'cannot get claim from snapshot: persistentvolumeclaim "claim" not found',
        ),
        (
            {"claim": objects.claim(metadata__finalizers=(), **GOING)},
            "cannot add finalizer on claim because it is being deleted: claim",
        ),
        (
            {"claim": objects.claim(status__phase="Pending")},
            "the PVC claim is not yet bound to a PV, will not attempt to take a snapshot",
        ),
        (
            {"claim": objects.claim(spec__volume_name="")},
            "the PVC claim is not yet bound to a PV, will not attempt to take a snapshot",
        ),
        ({"volume": None}, 'persistentvolume "pv" not found'),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_source_that_cannot_be_cut_is_told_in_full(
    fields: dict[str, Any], message: str, *, named: bool
) -> None:
    if named:
        expected = problem("SnapshotContentCreationFailed", CREATION + message)
        assert decide(**fields) == expected
    else:
        expected = problem("SetDefaultSnapshotClassFailed", DEFAULT + message)
        assert decide(snapshot=UNSET, snapshot_class=None, **fields) == expected


@pytest.mark.parametrize(
    "ref",
    [
        None,
        meta.ObjectReference(namespace="other", name="claim", uid="uid-3"),
        meta.ObjectReference(namespace="ns", name="other", uid="uid-3"),
        meta.ObjectReference(namespace="ns", name="claim", uid="another"),
    ],
)
def test_a_volume_of_another_claim_is_not_cut(ref: meta.ObjectReference | None) -> None:
    message = "claim in dataSource not bound or invalid: the volume pv is not bound to claim"
    assert decide(volume=objects.volume(spec__claim_ref=ref)) == problem(
        "SnapshotContentCreationFailed", CREATION + message
    )


def test_a_volume_that_names_its_claim_without_a_uid_is_cut() -> None:
    ref = meta.ObjectReference(namespace="ns", name="claim")
    decision = decide(volume=objects.volume(spec__claim_ref=ref))
    assert isinstance(decision.intents[0], intents.CreateContent)


def test_a_class_of_another_driver_is_told_in_full() -> None:
    assert decide(snapshot_class=objects.class_(driver="other")) == problem(
        "SnapshotContentCreationFailed",
        CREATION + "the class gold is for driver other, but the volume pv belongs to driver "
        "hostpath.csi.k8s.io: name a class of hostpath.csi.k8s.io",
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {},
            "cannot find default snapshot class: "
            + ANNOTATE.format(objects.DRIVER, names.DEFAULT_CLASS_ANNOTATION),
        ),
        (
            {"volume": objects.volume(spec__csi=None), "default_classes": (objects.class_(),)},
            "cannot find default snapshot class: "
            + ANNOTATE.format("", names.DEFAULT_CLASS_ANNOTATION),
        ),
        (
            {"default_classes": (objects.class_("b"), objects.class_("a"))},
            "2 default snapshot classes were found: keep one of a, b",
        ),
    ],
)
def test_a_default_class_that_is_not_one_is_told_in_full(
    fields: dict[str, Any], message: str
) -> None:
    decision = decide(snapshot=UNSET, snapshot_class=None, **fields)
    assert decision == problem("SetDefaultSnapshotClassFailed", DEFAULT + message)


def test_a_missing_class_is_told_in_full() -> None:
    message = (
        "Failed to get snapshot class with error "
        'volumesnapshotclass.snapshot.storage.k8s.io "gold" not found'
    )
    assert decide(snapshot_class=None) == problem("GetSnapshotClassFailed", message)


def test_a_class_that_is_empty_text_is_one_that_is_missing() -> None:
    empty = objects.snapshot(spec__volume_snapshot_class_name="")
    decision = decide(snapshot=empty, snapshot_class=None, default_classes=(objects.class_(),))
    assert '"" not found' in decision.why


def test_a_source_that_is_not_one_is_told_in_full() -> None:
    none = objects.snapshot(spec__source=snapshots.VolumeSnapshotSource())
    message = (
        "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified"
    )
    assert decide(snapshot=none) == problem("SnapshotValidationError", message)


def test_the_content_is_created_before_it_is_announced_and_looked_at_after_a_moment() -> None:
    decision = decide()
    create, told = decision.intents
    assert isinstance(create, intents.CreateContent)
    message = "Waiting for a snapshot ns/snap to be created by the CSI driver."
    assert told == intents.Announce(objects.ABOUT, "Normal", "CreatingSnapshot", message)
    assert decision.again == objects.POLICY.status_hold
    assert decision.why == "waits for the driver to cut the snapshot"


def test_an_unprotected_claim_is_woken_and_waited_for() -> None:
    assert decide(claim=objects.claim(metadata__finalizers=("x/y",))) == intents.Decision(
        intents=(intents.Wake(keys.Key(keys.Kind.CLAIM, "ns", "claim")),),
        why="waits for its claim to be protected",
    )


def test_the_default_class_alone_is_reason_enough_for_a_patch() -> None:
    decision = decide(snapshot=UNSET, snapshot_class=None, default_classes=(objects.class_(),))
    assert decision == intents.Decision(
        intents=(intents.PrepareSnapshot(OWN, objects.BOTH, class_name="gold"),), again=0.0
    )


@pytest.mark.parametrize(
    ("began", "ends", "cut"),
    [
        (objects.NOW_TEXT, objects.NOW_TEXT, True),
        (objects.NOW_TEXT, "2026-01-01T00:00:01Z", True),
        (None, objects.NOW_TEXT, True),
        ("2026-01-01T00:00:01Z", objects.NOW_TEXT, False),
    ],
)
def test_a_snapshot_is_cut_from_a_claim_that_goes_if_it_did_not_come_later(
    began: str | None, ends: str, *, cut: bool
) -> None:
    snapshot = objects.snapshot(metadata__creation_timestamp=began)
    decision = decide(snapshot=snapshot, claim=objects.claim(metadata__deletion_timestamp=ends))
    assert isinstance(decision.intents[0], intents.CreateContent) is cut


def test_a_bound_snapshot_whose_content_is_gone_is_advised() -> None:
    key = snapshots.content_key("snapcontent-uid-1")
    lost = objects.ready_snapshot()
    assert decide(snapshot=lost) == intents.Decision(intents=(intents.Refresh(key),), again=0.0)
    assert decide(snapshot=lost, content_absent=True) == problem(
        "SnapshotContentMissing",
        "VolumeSnapshotContent is missing: snapcontent-uid-1 is gone; it is not cut again, since "
        "that would be another point in time: delete this VolumeSnapshot, and take another",
    )
    status = snapshots.VolumeSnapshotStatus(bound_volume_snapshot_content_name="content")
    given = objects.given_snapshot(status=status)
    assert decide(snapshot=given, content_absent=True) == problem(
        "SnapshotContentMissing",
        "VolumeSnapshotContent is missing: content is gone; make it again for the same "
        "snapshotHandle, or delete this VolumeSnapshot",
    )


def test_a_content_that_nobody_has_made_yet_is_named() -> None:
    assert decide(snapshot=objects.given_snapshot()) == problem(
        "SnapshotContentMissing",
        "VolumeSnapshotContent is missing: nobody has made content yet",
    )


def owner(**fields: Any) -> meta.OwnerReference:
    base = {
        "api_version": "groupsnapshot.storage.k8s.io/v1",
        "kind": "VolumeGroupSnapshot",
        "name": "all",
        "uid": "uid-9",
    }
    return meta.OwnerReference(**{**base, **fields})


@pytest.mark.parametrize(
    "owners",
    [
        (owner(),),
        (owner(api_version="groupsnapshot.storage.k8s.io/v1beta2"),),
        (owner(kind="Backup", api_version="example.com/v1"), owner()),
    ],
)
def test_a_member_is_given_its_content_by_its_group(
    owners: tuple[meta.OwnerReference, ...],
) -> None:
    member = objects.snapshot(metadata__owner_references=owners)
    assert decide(snapshot=member) == intents.Decision(
        why="waits for its group snapshot to give it a content: its group snapshot, or that one's "
        "content, is not there"
    )
    (publish,) = decide(snapshot=member, content=objects.content()).intents
    assert isinstance(publish, intents.PublishStatus)


@pytest.mark.parametrize(
    "owners",
    [
        (),
        (owner(kind="Backup"),),
        (owner(api_version="example.com/v1"),),
        (owner(api_version="groupsnapshot.storage.k8s.io.evil/v1"),),
    ],
)
def test_a_snapshot_of_another_owner_is_cut_like_any(
    owners: tuple[meta.OwnerReference, ...],
) -> None:
    single = objects.snapshot(metadata__owner_references=owners)
    assert isinstance(decide(snapshot=single).intents[0], intents.CreateContent)


def test_a_bound_member_whose_content_is_gone_is_told_so() -> None:
    lost = objects.ready_snapshot(metadata__owner_references=(owner(),))
    decision = decide(snapshot=lost, content_absent=True)
    announce = decision.intents[1]
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "SnapshotContentMissing"


def test_a_local_volume_is_labelled_only_in_a_distributed_deployment() -> None:
    term = volumes.NodeSelectorTerm((volumes.NodeSelectorRequirement("zone", "Exists"),))
    affinity = volumes.VolumeNodeAffinity(volumes.NodeSelector((term,)))
    view = objects.binding_view(
        volume=objects.volume(spec__node_affinity=affinity),
        nodes=(volumes.Node(meta.ObjectMeta(name="n", labels={"zone": "a"})),),
    )
    for distributed, labels in ((True, {names.MANAGED_BY_LABEL: "n"}), (False, {})):
        policy = msgspec.structs.replace(objects.POLICY, distributed=distributed)
        create = binding.decide(view, policy, objects.NOW).intents[0]
        assert isinstance(create, intents.CreateContent)
        assert create.content.metadata.labels == labels
