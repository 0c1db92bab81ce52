"""A group follows the rules of snapshots, in the words of groups: a row for each that differs."""

from typing import Any

import grouped
import objects
import pytest

from snapshotd.decide import (
    binding,
    drafts,
    intents,
    views,
)
from snapshotd.model import groups, meta, names, snapshots, volumes

GROUP = objects.group()
MARKED = {names.GROUP_BEING_DELETED_ANNOTATION: names.MARK}
KIND, NAME = "VolumeGroupSnapshotContent", "groupsnapcontent-uid-7"
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
SOURCES = tuple(
    views.Source(
        f"claim-{each}",
        grouped.claim(each, metadata__finalizers=(names.CLAIM_FINALIZER,)),
        grouped.volume(each),
    )
    for each in grouped.LETTERS
)


def view(**fields: Any) -> views.BindingView:
    base = {"snapshot": GROUP, "sources": SOURCES, "snapshot_class": objects.group_class()}
    return views.BindingView(**{**base, **fields})


def decide(policy: views.ClusterPolicy = objects.POLICY, **fields: Any) -> intents.Decision:
    return binding.decide(view(**fields), policy, objects.NOW)


def told(decision: intents.Decision) -> tuple[str, str]:
    """Return the reason and message of a problem, which its status tells as well."""
    publish, announce = decision.intents
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(publish.status, intents.GroupStatusChange)
    assert isinstance(publish.status.error, snapshots.SnapshotError)
    assert isinstance(announce, intents.Announce)
    assert publish.status.error.message == announce.message == decision.why
    return announce.reason, announce.message


# Binding


def test_a_prepared_group_gets_its_content_complete() -> None:
    create, announce = decide().intents
    assert create == intents.CreateContent(
        groups.VolumeGroupSnapshotContent(
            meta.ObjectMeta(
                name="groupsnapcontent-uid-7", finalizers=(names.GROUP_CONTENT_FINALIZER,)
            ),
            groups.GroupContentSpec(
                "Delete",
                objects.DRIVER,
                groups.GroupContentSource(("vol-a", "vol-b")),
                meta.ObjectReference(
                    "groupsnapshot.storage.k8s.io/v1",
                    "VolumeGroupSnapshot",
                    "ns",
                    "all",
                    "uid-7",
                    "7",
                ),
                "grouped",
            ),
        )
    )
    assert isinstance(announce, intents.Announce)
    assert (announce.reason, announce.message) == (
        "CreatingGroupSnapshot",
        "Waiting for a group snapshot ns/all to be created by the CSI driver.",
    )


def test_a_group_waits_for_each_of_its_claims_to_be_protected() -> None:
    bare = views.Source("claim-a", grouped.claim("a"), grouped.volume("a"))
    decision = decide(sources=(bare, SOURCES[1]))
    assert decision == intents.Decision(
        intents=(intents.Wake(volumes.claim_key("ns", "claim-a")),),
        why="waits for 1 of its 2 claims to be protected",
    )


def test_a_group_is_guarded_and_gets_its_default_class_in_one_patch() -> None:
    default = objects.group_class(
        metadata__annotations={names.GROUP_DEFAULT_CLASS_ANNOTATION: "true"}
    )
    plain = objects.group(
        metadata__finalizers=("x/y",), spec__volume_group_snapshot_class_name=None
    )
    (prepare,) = decide(snapshot=plain, snapshot_class=None, default_classes=(default,)).intents
    assert prepare == intents.PrepareSnapshot(
        intents.Target(GROUP.key, "uid-7", "7"),
        ("x/y", names.GROUP_BOUND_FINALIZER),
        class_name="grouped",
    )


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        (
            {"snapshot": objects.group(spec__source=groups.GroupSource())},
            "GroupSnapshotValidationError",
            "Exactly one of Selector and VolumeGroupSnapshotContentName should be specified",
        ),
        (
            {"snapshot_class": None},
            "GetGroupSnapshotClassFailed",
            (
                "Failed to get group snapshot class with error "
                'volumegroupsnapshotclass.groupsnapshot.storage.k8s.io "grouped" not found'
            ),
        ),
        (
            {
                "snapshot": objects.group(spec__volume_group_snapshot_class_name=None),
                "sources": (),
            },
            "SetDefaultGroupSnapshotClassFailed",
            (
                "Failed to set default group snapshot class with error the label selector of the "
                "group snapshot selects no PersistentVolumeClaim in namespace ns"
            ),
        ),
        (
            {
                "snapshot": objects.group(
                    spec__source=groups.GroupSource(
                        groups.LabelSelector(
                            match_expressions=(groups.LabelRequirement("a", "Is"),)
                        )
                    )
                )
            },
            "GroupSnapshotContentCreationFailed",
            (
                "Failed to create group snapshot content with error the label selector cannot be "
                "read: matchExpressions: a has operator 'Is': use In, NotIn, Exists or DoesNotExist"
            ),
        ),
        (
            {"snapshot_class": objects.group_class(driver="other")},
            "GroupSnapshotContentCreationFailed",
            (
                "Failed to create group snapshot content with error the class grouped is for "
                f"driver other, but the volume pv-a belongs to driver {objects.DRIVER}: name a "
                f"class of {objects.DRIVER}"
            ),
        ),
        (
            {
                "snapshot": objects.group(
                    spec__source=groups.GroupSource(volume_group_snapshot_content_name="given")
                )
            },
            "GroupSnapshotContentMissing",
            "VolumeGroupSnapshotContent is missing: nobody has made given yet",
        ),
        (
            {
                "snapshot": objects.group(status=groups.GroupStatus("groupsnapcontent-uid-7")),
                "content_absent": True,
            },
            "GroupSnapshotContentMissing",
            (
                f"{KIND} is missing: {NAME} is gone; it is not cut again, since that would be "
                "another point in time: delete this VolumeGroupSnapshot, and take another"
            ),
        ),
        (
            {"content": objects.group_content(spec__volume_group_snapshot_ref__uid="other")},
            "GroupSnapshotContentMisbound",
            (f"{KIND} [{NAME}] is bound to a different snapshot: ns/all other"),
        ),
        (
            {
                "snapshot": objects.group(status=groups.GroupStatus("groupsnapcontent-uid-7")),
                "content": objects.group_content(spec__volume_group_snapshot_ref__uid="other"),
            },
            "GroupSnapshotMisbound",
            (
                "VolumeGroupSnapshotContent is not bound to the VolumeGroupSnapshot correctly: "
                f"{NAME} refers to ns/all other"
            ),
        ),
        (
            {
                "content": objects.group_content(
                    spec__source=groups.GroupContentSource(
                        group_snapshot_handles=groups.GroupHandles("group")
                    )
                )
            },
            "GroupSnapshotContentMismatch",
            (f"{KIND} {NAME} is pre-provisioned while expecting a dynamically provisioned one"),
        ),
        (
            {"content": objects.group_content(**GOING)},
            "GroupSnapshotContentMissing",
            (
                f"{KIND} {NAME} is being deleted: delete this "
                "VolumeGroupSnapshot to let it go, and take another"
            ),
        ),
    ],
)
def test_what_stops_a_group_is_told_in_the_words_of_groups(
    fields: dict[str, Any], reason: str, message: str
) -> None:
    assert told(decide(**fields)) == (reason, message)


def test_a_group_whose_content_is_not_seen_asks_for_it_first() -> None:
    bound = objects.group(status=groups.GroupStatus("groupsnapcontent-uid-7"))
    assert decide(snapshot=bound) == intents.Decision(
        intents=(intents.Refresh(objects.group_content().key),), again=0.0
    )


def test_a_given_group_is_tied_by_uid_and_told_of_without_members() -> None:
    given = objects.group(
        spec__source=groups.GroupSource(volume_group_snapshot_content_name="given")
    )
    free = objects.cut_group_content(
        metadata__name="given",
        metadata__finalizers=(),
        spec__source=groups.GroupContentSource(
            group_snapshot_handles=groups.GroupHandles("group", ("handle-a", "handle-b"))
        ),
        spec__volume_group_snapshot_ref__uid="",
        spec__volume_group_snapshot_class_name=None,
    )
    (bind,) = decide(snapshot=given, content=free).intents
    assert bind == intents.BindContent(
        intents.Target(groups.group_content_key("given"), "uid-8", "8"),
        "uid-7",
        (names.GROUP_CONTENT_FINALIZER,),
        "grouped",
    )
    bound = objects.changed(
        free,
        spec__volume_group_snapshot_ref__uid="uid-7",
        spec__volume_group_snapshot_class_name="grouped",
        metadata__finalizers=(names.GROUP_CONTENT_FINALIZER,),
    )
    publish = decide(snapshot=given, content=bound).intents[0]
    assert isinstance(publish, intents.PublishStatus)
    assert isinstance(publish.status, intents.GroupStatusChange)
    assert publish.status.ready_to_use is True


LOCAL = {
    node: grouped.volume(
        letter,
        spec__node_affinity=volumes.VolumeNodeAffinity(
            volumes.NodeSelector(
                (
                    volumes.NodeSelectorTerm(
                        (volumes.NodeSelectorRequirement("host", "In", (node,)),)
                    ),
                )
            )
        ),
    )
    for letter, node in (("a", "one"), ("b", "two"))
}
NODES = tuple(
    volumes.Node(meta.ObjectMeta(name=each, labels={"host": each})) for each in ("one", "two")
)
DISTRIBUTED = views.ClusterPolicy(distributed=True)


def test_a_group_on_one_node_is_labelled_with_it() -> None:
    one = objects.changed(LOCAL["one"], metadata__name="pv-c")
    made = drafts.draft(view(nodes=NODES), objects.group_class(), (LOCAL["one"], one), DISTRIBUTED)
    assert made.metadata.labels == {names.MANAGED_BY_LABEL: "one"}


def test_a_group_over_several_nodes_cannot_be_cut_by_the_driver_of_one() -> None:
    sources = tuple(
        views.Source(each.name, each.claim, volume)
        for each, volume in zip(SOURCES, LOCAL.values(), strict=True)
    )
    reason, message = told(decide(DISTRIBUTED, sources=sources, nodes=NODES))
    assert (reason, message) == (
        "GroupSnapshotContentCreationFailed",
        (
            "Failed to create group snapshot content with error the volumes belong to different "
            "nodes (one, two): with distributed snapshotting a group is cut by the driver of one "
            "node"
        ),
    )
    nowhere = (sources[0], views.Source("claim-b", SOURCES[1].claim, grouped.volume("b")))
    _, message = told(decide(DISTRIBUTED, sources=nowhere, nodes=NODES))
    assert "different nodes ((none), one)" in message
    assert isinstance(decide(sources=sources, nodes=NODES).intents[0], intents.CreateContent)
