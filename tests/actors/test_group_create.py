"""A dynamic group on the controller's side, from its claims to its ready members.

Families of the reference's groupsnapshot_create_test.go, groupsnapshot_sync and the helpers' tests.
"""

from typing import Any

import cluster_role
import grouped
import objects
import pytest

from snapshotd.model import groups, meta, names, snapshots, volumes, wire

GROUP = objects.group().key
CONTENT = objects.group_content().key


def bare_group(**fields: Any) -> groups.VolumeGroupSnapshot:
    """Return a group as a user makes it."""
    made: groups.VolumeGroupSnapshot = objects.group(**{"metadata__finalizers": (), **fields})
    return made


def content(cluster: cluster_role.Cluster) -> groups.VolumeGroupSnapshotContent:
    found = cluster.api.objects[CONTENT]
    assert isinstance(found, groups.VolumeGroupSnapshotContent)
    return found


async def test_a_group_is_cut_from_all_its_claims_and_its_members_are_made() -> None:
    cluster = cluster_role.Cluster(objects.group_class(), *grouped.sources(), bare_group())
    done = await cluster.settle()
    assert [each for each in done if "claim" in each] == ["guards claim-a", "guards claim-b"]
    assert done[2:] == [
        "prepares all",
        "creates groupsnapcontent-uid-7",
        "says CreatingGroupSnapshot of all",
        "publishes all",
    ]
    made = content(cluster)
    assert made.spec.source.volume_handles == ("vol-a", "vol-b")
    assert (made.spec.driver, made.spec.deletion_policy) == (objects.DRIVER, "Delete")
    assert made.metadata.finalizers == (names.GROUP_CONTENT_FINALIZER,)
    assert (made.ref.namespace, made.ref.name, made.ref.uid) == ("ns", "all", "uid-7")
    assert made.class_name == "grouped"
    assert grouped.group(cluster).bound_content == "groupsnapcontent-uid-7"
    assert grouped.group(cluster).metadata.finalizers == (names.GROUP_BOUND_FINALIZER,)

    grouped.cut(cluster)
    done = await cluster.settle()
    assert grouped.group(cluster).ready
    assert [each for each in done if "says" in each] == [
        "says GroupSnapshotCreated of all",
        "says GroupSnapshotReady of all",
    ]
    assert all(each.ready for each in grouped.made(cluster))
    assert not any(cluster.guards_claim(f"claim-{name}") for name in grouped.LETTERS)
    assert cluster.failed == {}


async def test_a_member_has_the_references_names_and_annotations() -> None:
    secret = {names.GROUP_DELETION_SECRET_NAME: "s", names.GROUP_DELETION_SECRET_NAMESPACE: "n"}
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.group_content()
    )
    grouped.cut(cluster, metadata__annotations=secret)
    await cluster.settle()
    first = next(each for each in grouped.made(cluster) if "claim-a" in str(each.spec.source))
    assert first.metadata.name == names.member_snapshot("uid-7", "vol-a")
    assert len(first.metadata.name) == len("snapshot-") + 64
    [owner] = first.metadata.owner_references
    assert (owner.api_version, owner.kind, owner.name, owner.uid) == (
        "groupsnapshot.storage.k8s.io/v1",
        "VolumeGroupSnapshot",
        "all",
        "uid-7",
    )
    assert set(first.metadata.finalizers) == {names.SNAPSHOT_GROUP_FINALIZER, *objects.BOTH}
    assert first.status is not None
    assert first.status.volume_group_snapshot_name == "all"
    assert first.status.restore_size == "1Gi"
    made = cluster.content(first.bound_content)
    assert made.metadata.name == f"snapcontent-{first.metadata.name.removeprefix('snapshot-')}"
    assert made.metadata.annotations == {
        names.GROUP_HANDLE_ANNOTATION: "group",
        names.DELETION_SECRET_NAME: "s",
        names.DELETION_SECRET_NAMESPACE: "n",
    }
    assert made.spec.source.volume_handle == "vol-a"
    assert made.spec.volume_snapshot_class_name is None
    assert made.spec.source_volume_mode == "Filesystem"
    assert made.spec.volume_snapshot_ref.uid == first.metadata.uid
    assert made.metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert made.status == snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="handle-a",
        creation_time=10**18,
        restore_size=1 << 30,
        ready_to_use=True,
        volume_group_snapshot_handle="group",
    )


async def test_each_member_costs_four_writes_and_none_is_repeated() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.group_content()
    )
    await cluster.settle()
    grouped.cut(cluster)
    done = [each for each in await cluster.settle() if not each.startswith("says")]
    of_members = [each for each in done if "snapshot-" in each or "snapcontent-" in each]
    of_members = [each for each in of_members if "groupsnap" not in each]
    assert len(of_members) == 4 * len(grouped.LETTERS)
    assert len(set(of_members)) == len(of_members)
    assert done.count("publishes all") == 1
    assert cluster.reads == []


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (groups.LabelSelector({"app": "db"}), {"a", "b"}),
        (groups.LabelSelector({"app": "db", "tier": "hot"}), {"b"}),
        (
            groups.LabelSelector(
                match_expressions=(groups.LabelRequirement("tier", "In", ("hot", "warm")),)
            ),
            {"b"},
        ),
        (
            groups.LabelSelector(
                {"app": "db"}, (groups.LabelRequirement("tier", "NotIn", ("hot",)),)
            ),
            {"a"},
        ),
        (
            groups.LabelSelector(match_expressions=(groups.LabelRequirement("tier", "Exists"),)),
            {"b"},
        ),
        (
            groups.LabelSelector(
                match_expressions=(groups.LabelRequirement("tier", "DoesNotExist"),)
            ),
            {"a"},
        ),
        (groups.LabelSelector(), {"a", "b"}),
    ],
)
async def test_a_selector_selects_by_labels_and_by_expressions(
    selector: groups.LabelSelector, selected: set[str]
) -> None:
    """The reference ignores the expressions, and selects everything by them alone."""
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources("a"),
        grouped.claim("b", metadata__labels={"app": "db", "tier": "hot"}),
        grouped.volume("b"),
        grouped.claim("c", metadata__namespace="elsewhere"),
        bare_group(spec__source=groups.GroupSource(selector)),
    )
    await cluster.settle()
    assert content(cluster).cut_from == tuple(f"vol-{name}" for name in sorted(selected))
    assert {name for name in grouped.LETTERS if cluster.guards_claim(f"claim-{name}")} == selected


async def test_a_selector_that_cannot_be_read_selects_nothing_and_is_told() -> None:
    odd = groups.LabelSelector(match_expressions=(groups.LabelRequirement("app", "Like", ("d",)),))
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), bare_group(spec__source=groups.GroupSource(odd))
    )
    assert await cluster.settle() == [
        "publishes all",
        "says GroupSnapshotContentCreationFailed of all",
    ]
    assert "operator 'Like': use In, NotIn, Exists or DoesNotExist" in grouped.told(cluster)


@pytest.mark.parametrize(
    ("held", "reason", "message"),
    [
        ((), "GroupSnapshotContentCreationFailed", "selects no PersistentVolumeClaim in"),
        (
            (grouped.claim("a", status=volumes.ClaimStatus("Pending")), grouped.volume("a")),
            "GroupSnapshotContentCreationFailed",
            "the PVC claim-a is not yet bound to a PV",
        ),
        (
            (grouped.claim("a"),),
            "GroupSnapshotContentCreationFailed",
            'persistentvolume "pv-a" not found',
        ),
        (
            (grouped.claim("a"), grouped.volume("a", spec__csi=None)),
            "GroupSnapshotContentCreationFailed",
            "cannot find CSI PersistentVolumeSource for volume pv-a",
        ),
        (
            (
                *grouped.sources("a"),
                grouped.claim("b"),
                grouped.volume("b", spec__csi=volumes.CsiVolumeSource("o", "v")),
            ),
            "GroupSnapshotContentCreationFailed",
            "the volume pv-b belongs to driver o",
        ),
        (
            (
                grouped.claim("a"),
                grouped.volume(
                    "a", spec__claim_ref=meta.ObjectReference(namespace="ns", name="other")
                ),
            ),
            "GroupSnapshotContentCreationFailed",
            "claim in dataSource not bound or invalid",
        ),
    ],
)
async def test_what_cannot_be_cut_is_told_and_nothing_is_made(
    held: tuple[wire.Object, ...], reason: str, message: str
) -> None:
    cluster = cluster_role.Cluster(objects.group_class(), *held, bare_group())
    done = [each for each in await cluster.settle() if "guards" not in each]
    assert done == ["publishes all", f"says {reason} of all"]
    assert message in grouped.told(cluster)
    assert grouped.group(cluster).status is not None
    assert not grouped.group(cluster).ready
    assert CONTENT not in cluster.api.objects


async def test_a_claim_that_appears_ends_the_wait() -> None:
    cluster = cluster_role.Cluster(objects.group_class(), bare_group())
    await cluster.settle()
    cluster.put(*grouped.sources())
    done = await cluster.settle()
    assert "creates groupsnapcontent-uid-7" in done
    grouped.cut(cluster)
    await cluster.settle()
    assert grouped.group(cluster).ready
    assert grouped.told(cluster) == ""


async def test_a_class_that_is_missing_is_told_and_waited_for() -> None:
    cluster = cluster_role.Cluster(*grouped.sources(), bare_group())
    assert await cluster.settle() == [
        "guards claim-a",
        "guards claim-b",
        "publishes all",
        "says GetGroupSnapshotClassFailed of all",
    ]
    assert (
        'volumegroupsnapshotclass.groupsnapshot.storage.k8s.io "grouped" not found'
        in grouped.told(cluster)
    )
    cluster.put(objects.group_class())
    assert "creates groupsnapcontent-uid-7" in await cluster.settle()


DEFAULT = {"groupsnapshot.storage.kubernetes.io/is-default-class": "true"}


async def test_the_default_class_of_the_volumes_driver_is_written() -> None:
    others = objects.group_class("other", driver="o", metadata__annotations=DEFAULT)
    chosen = objects.group_class("gold", metadata__annotations=DEFAULT)
    plain = bare_group(spec__volume_group_snapshot_class_name=None)
    cluster = cluster_role.Cluster(others, chosen, *grouped.sources(), plain)
    await cluster.settle()
    assert grouped.group(cluster).class_name == "gold"
    assert content(cluster).class_name == "gold"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "cannot find default group snapshot class"),
        (("x", "y"), "2 default group snapshot classes were found: keep one of x, y"),
    ],
)
async def test_no_default_class_or_several_are_told(classes: tuple[str, ...], message: str) -> None:
    some = [objects.group_class(name, metadata__annotations=DEFAULT) for name in classes]
    plain = bare_group(spec__volume_group_snapshot_class_name=None)
    cluster = cluster_role.Cluster(*some, *grouped.sources(), plain)
    assert (await cluster.settle())[-1] == "says SetDefaultGroupSnapshotClassFailed of all"
    assert message in grouped.told(cluster)


async def test_the_secret_of_a_group_class_is_named_on_the_content() -> None:
    prefix = "csi.storage.k8s.io/group-snapshotter-secret"
    secret = {
        f"{prefix}-name": "${volumegroupsnapshot.name}-secret",
        f"{prefix}-namespace": "${volumegroupsnapshot.namespace}",
    }
    cluster = cluster_role.Cluster(
        objects.group_class(parameters=secret), *grouped.sources(), bare_group()
    )
    await cluster.settle()
    assert content(cluster).metadata.annotations == {
        names.GROUP_DELETION_SECRET_NAME: "all-secret",
        names.GROUP_DELETION_SECRET_NAMESPACE: "ns",
    }


async def test_a_group_without_a_sound_source_is_told() -> None:
    cluster = cluster_role.Cluster(bare_group(spec__source=groups.GroupSource()))
    assert await cluster.settle() == [
        "publishes all",
        "says GroupSnapshotValidationError of all",
    ]
    assert grouped.told(cluster) == (
        "Exactly one of Selector and VolumeGroupSnapshotContentName should be specified"
    )
