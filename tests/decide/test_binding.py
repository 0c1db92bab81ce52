"""VolumeSnapshot to content: class, source, pairing, and what is told when something lacks."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import binding, intents
from snapshotd.model import keys, meta, names, snapshots, volumes


def decide(**fields: Any) -> intents.Decision:
    return binding.decide(objects.binding_view(**fields), objects.POLICY, objects.NOW)


def told(decision: intents.Decision) -> tuple[str, str]:
    """Return the reason and message of a decision that reports a problem in status and Event."""
    publish, announce = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(publish.status, intents.SnapshotStatusChange)
    assert isinstance(announce, intents.Announce)
    assert announce.type == names.WARNING
    error = publish.status.error
    assert isinstance(error, snapshots.SnapshotError)
    assert error.message == announce.message
    assert publish.status.ready_to_use is False
    return announce.reason, announce.message


def test_a_prepared_snapshot_gets_its_content_complete() -> None:
    create, announce = decide().intents
    assert isinstance(create, intents.CreateContent)
    made = create.content
    assert isinstance(made, snapshots.VolumeSnapshotContent)
    assert made.metadata.name == "snapcontent-uid-1"
    assert made.metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert made.spec.driver == objects.DRIVER
    assert made.spec.deletion_policy == names.DELETE
    assert made.spec.source.volume_handle == "vol"
    assert made.spec.source_volume_mode == "Filesystem"
    assert made.spec.volume_snapshot_class_name == "gold"
    ref = made.spec.volume_snapshot_ref
    assert (ref.kind, ref.namespace, ref.name, ref.uid) == ("VolumeSnapshot", "ns", "snap", "uid-1")
    assert isinstance(announce, intents.Announce)
    assert announce.reason == "CreatingSnapshot"


def test_finalizers_go_in_one_patch_before_the_content() -> None:
    decision = decide(snapshot=objects.snapshot(metadata__finalizers=("x/y",)))
    (prepare,) = decision.intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.finalizers == ("x/y", *objects.BOTH)
    assert prepare.target.version == "7"
    assert prepare.class_name is None
    assert decision.again == 0.0


def test_a_class_that_retains_needs_no_bound_protection() -> None:
    decision = decide(
        snapshot=objects.snapshot(metadata__finalizers=()),
        snapshot_class=objects.class_(deletion_policy=names.RETAIN),
    )
    (prepare,) = decision.intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.finalizers == (names.SNAPSHOT_SOURCE_FINALIZER,)


def test_the_default_class_is_written_in_the_same_patch() -> None:
    unset = objects.snapshot(spec__volume_snapshot_class_name=None)
    other = objects.class_("other", driver="other.example.com")
    decision = decide(
        snapshot=unset, snapshot_class=None, default_classes=(other, objects.class_())
    )
    (prepare,) = decision.intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.class_name == "gold"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"default_classes": ()}, "cannot find default snapshot class"),
        (
            {"default_classes": (objects.class_("b"), objects.class_("a"))},
            "2 default snapshot classes were found: keep one of a, b",
        ),
        ({"claim": None}, "cannot get claim from snapshot"),
        ({"volume": objects.volume(spec__csi=None)}, "cannot find default snapshot class"),
    ],
)
def test_without_one_default_class_the_reason_is_told(
    fields: dict[str, Any], expected: str
) -> None:
    unset = objects.snapshot(spec__volume_snapshot_class_name=None)
    reason, message = told(decide(snapshot=unset, snapshot_class=None, **fields))
    assert reason == "SetDefaultSnapshotClassFailed"
    assert expected in message


def test_a_missing_class_is_told() -> None:
    reason, message = told(decide(snapshot_class=None))
    assert reason == "GetSnapshotClassFailed"
    assert '"gold" not found' in message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"claim": None}, 'persistentvolumeclaim "claim" not found'),
        ({"claim": objects.claim(status__phase="Pending")}, "is not yet bound to a PV"),
        ({"claim": objects.claim(spec__volume_name="")}, "is not yet bound to a PV"),
        ({"volume": None}, 'persistentvolume "pv" not found'),
        ({"volume": objects.volume(spec__claim_ref=None)}, "claim in dataSource not bound"),
        (
            {"volume": objects.volume(spec__claim_ref__uid="another")},
            "claim in dataSource not bound",
        ),
        ({"volume": objects.volume(spec__csi=None)}, "cannot find CSI PersistentVolumeSource"),
        (
            {"snapshot_class": objects.class_(driver="other.example.com")},
            "name a class of hostpath.csi.k8s.io",
        ),
        (
            {"snapshot_class": objects.class_(parameters={names.SECRET_NAME_PARAMETER: "x"})},
            "Both must be specified",
        ),
        (
            {
                "claim": objects.claim(
                    metadata__deletion_timestamp=objects.NOW_TEXT, metadata__finalizers=()
                )
            },
            "it is being deleted",
        ),
        (
            {"claim": objects.claim(metadata__deletion_timestamp="2025-12-31T23:59:59Z")},
            "it is being deleted",
        ),
    ],
)
def test_a_source_that_cannot_be_cut_is_told(fields: dict[str, Any], expected: str) -> None:
    reason, message = told(decide(**fields))
    assert reason == "SnapshotContentCreationFailed"
    assert expected in message


def test_a_snapshot_that_came_before_its_claims_deletion_is_cut() -> None:
    going = objects.claim(metadata__deletion_timestamp="2026-01-01T00:00:05Z")
    assert isinstance(decide(claim=going).intents[0], intents.CreateContent)


def test_nothing_is_cut_from_a_claim_that_is_not_protected() -> None:
    decision = decide(claim=objects.claim(metadata__finalizers=()))
    assert decision.intents == (intents.Wake(keys.Key(keys.Kind.CLAIM, "ns", "claim")),)


def test_secrets_of_the_class_become_annotations() -> None:
    parameters = {
        names.SECRET_NAME_PARAMETER: "${volumesnapshot.name}-secret",
        names.SECRET_NAMESPACE_PARAMETER: "${volumesnapshot.namespace}",
    }
    create = decide(snapshot_class=objects.class_(parameters=parameters)).intents[0]
    assert isinstance(create, intents.CreateContent)
    assert create.content.metadata.annotations == {
        names.DELETION_SECRET_NAME: "snap-secret",
        names.DELETION_SECRET_NAMESPACE: "ns",
    }


def test_a_local_volumes_content_is_labelled_with_its_node() -> None:
    term = volumes.NodeSelectorTerm((volumes.NodeSelectorRequirement("zone", "In", ("a",)),))
    affinity = volumes.VolumeNodeAffinity(volumes.NodeSelector((term,)))
    view = objects.binding_view(
        volume=objects.volume(spec__node_affinity=affinity),
        nodes=(volumes.Node(meta.ObjectMeta(name="node-1", labels={"zone": "a"})),),
    )
    policy = msgspec.structs.replace(objects.POLICY, distributed=True)
    create = binding.decide(view, policy, objects.NOW).intents[0]
    assert isinstance(create, intents.CreateContent)
    assert create.content.metadata.labels == {names.MANAGED_BY_LABEL: "node-1"}
    nowhere = msgspec.structs.replace(view, nodes=())
    create = binding.decide(nowhere, policy, objects.NOW).intents[0]
    assert isinstance(create, intents.CreateContent)
    assert create.content.metadata.labels == {}


def test_the_volume_mode_is_noted_only_if_it_is_to_be_kept() -> None:
    policy = msgspec.structs.replace(objects.POLICY, prevent_volume_mode_conversion=False)
    create = binding.decide(objects.binding_view(), policy, objects.NOW).intents[0]
    assert isinstance(create, intents.CreateContent)
    assert isinstance(create.content, snapshots.VolumeSnapshotContent)
    assert create.content.spec.source_volume_mode is None


def test_a_source_that_names_both_or_neither_is_told() -> None:
    both = snapshots.VolumeSnapshotSource("claim", "content")
    for source in (both, snapshots.VolumeSnapshotSource()):
        reason, _ = told(decide(snapshot=objects.snapshot(spec__source=source)))
        assert reason == "SnapshotValidationError"


def test_what_is_told_already_is_not_told_again() -> None:
    first = decide(snapshot_class=None)
    _, message = told(first)
    error = snapshots.SnapshotError(time="earlier", message=message)
    status = snapshots.VolumeSnapshotStatus(ready_to_use=False, error=error)
    again = decide(snapshot=objects.snapshot(status=status), snapshot_class=None)
    assert again.intents == ()
    assert again.why == message


def test_a_bound_snapshot_without_content_is_never_cut_again() -> None:
    """Another point in time under the old name would be data loss in disguise."""
    lost = objects.ready_snapshot()
    first = decide(snapshot=lost)
    assert first.intents == (intents.Refresh(snapshots.content_key("snapcontent-uid-1")),)
    reason, message = told(decide(snapshot=lost, content_absent=True))
    assert reason == "SnapshotContentMissing"
    assert message.startswith("VolumeSnapshotContent is missing: snapcontent-uid-1 is gone; it is")


def test_a_pre_provisioned_snapshot_waits_for_its_content() -> None:
    reason, _ = told(decide(snapshot=objects.given_snapshot()))
    assert reason == "SnapshotContentMissing"


def test_a_pair_is_guarded_then_bound_then_told() -> None:
    bare = objects.given_snapshot(metadata__finalizers=())
    (prepare,) = decide(snapshot=bare, content=objects.given_content()).intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.finalizers == objects.BOTH
    guarded = objects.given_snapshot()
    (bind,) = decide(snapshot=guarded, content=objects.given_content()).intents
    assert isinstance(bind, intents.BindContent)
    assert bind.snapshot_uid == "uid-1"
    assert bind.finalizers == (names.CONTENT_FINALIZER,)
    assert bind.target.version == "8"
    bound = objects.given_content(
        metadata__finalizers=(names.CONTENT_FINALIZER,), spec__volume_snapshot_ref__uid="uid-1"
    )
    (publish,) = decide(snapshot=guarded, content=bound).intents
    assert isinstance(publish, intents.PublishStatus)


def test_a_pair_whose_snapshot_names_a_class_tells_it_to_the_content() -> None:
    source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name="content")
    named = objects.given_snapshot(spec=snapshots.VolumeSnapshotSpec(source, "gold"))
    bound = objects.given_content(
        metadata__finalizers=(names.CONTENT_FINALIZER,), spec__volume_snapshot_ref__uid="uid-1"
    )
    (bind,) = decide(snapshot=named, content=bound).intents
    assert isinstance(bind, intents.BindContent)
    assert bind.class_name == "gold"
    assert bind.finalizers == (names.CONTENT_FINALIZER,)


@pytest.mark.parametrize(
    ("snapshot", "content", "reason"),
    [
        (objects.given_snapshot(), objects.content(), "SnapshotContentMismatch"),
        (objects.snapshot(), objects.given_content(), "SnapshotContentMismatch"),
        (
            objects.given_snapshot(),
            objects.given_content(spec__volume_snapshot_ref__uid="another"),
            "SnapshotContentMisbound",
        ),
        (
            objects.snapshot(),
            objects.content(spec__volume_snapshot_ref__uid="another"),
            "SnapshotContentMisbound",
        ),
        (
            objects.ready_snapshot(),
            objects.content(spec__volume_snapshot_ref__name="another"),
            "SnapshotMisbound",
        ),
        (
            objects.given_snapshot(),
            objects.given_content(metadata__deletion_timestamp=objects.NOW_TEXT),
            "SnapshotContentMissing",
        ),
        (
            objects.snapshot(),
            objects.content(metadata__deletion_timestamp=objects.NOW_TEXT),
            "SnapshotContentMissing",
        ),
    ],
)
def test_a_content_that_does_not_belong_is_told(
    snapshot: snapshots.VolumeSnapshot, content: snapshots.VolumeSnapshotContent, reason: str
) -> None:
    assert told(decide(snapshot=snapshot, content=content))[0] == reason


def test_a_found_content_has_its_snapshot_guarded_first() -> None:
    bare = objects.snapshot(metadata__finalizers=())
    (prepare,) = decide(snapshot=bare, content=objects.content()).intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    retained = objects.content(spec__deletion_policy=names.RETAIN)
    (prepare,) = decide(snapshot=bare, content=retained).intents
    assert isinstance(prepare, intents.PrepareSnapshot)
    assert prepare.finalizers == (names.SNAPSHOT_SOURCE_FINALIZER,)
