"""A group goes: with its members, by its policy, and never before what is restored from them.

Families of the reference's groupsnapshot_delete_test.go and groupsnapshot_finalizer_test.go.
"""

from typing import Any

import cluster_role
import grouped
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import groups, keys, meta, names, snapshots, volumes

GROUP = objects.group().key
CONTENT = objects.group_content().key
MEMBERS = tuple(keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", name) for name in grouped.NAMES)
MEMBER_CONTENTS = tuple(snapshots.content_key(name) for name in grouped.CONTENT_NAMES)


async def ready(**fields: Any) -> cluster_role.Cluster:
    """Return a cluster with a ready group, and nothing left to do."""
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources(),
        objects.group(),
        objects.cut_group_content(**fields),
    )
    await cluster.settle()
    group = cluster.api.objects[GROUP]
    assert isinstance(group, groups.VolumeGroupSnapshot)
    assert group.ready
    return cluster


def release(cluster: cluster_role.Cluster, *which: keys.Key) -> None:
    """Have the driver's side let contents go that are being deleted."""
    for key in which:
        assert cluster.api.objects[key].metadata.deleting, key
        cluster.change(key, metadata__finalizers=())


async def test_a_group_takes_its_content_and_its_members_along() -> None:
    cluster = await ready()
    cluster.delete(GROUP)
    done = await cluster.settle()
    assert done[:4] == [
        "marks groupsnapcontent-uid-7",
        *(f"deletes {name}" for name in sorted(grouped.NAMES)),
        "deletes groupsnapcontent-uid-7",
    ]
    # The members wait: their snapshots on storage go with the group's.
    assert set(done[4:]) <= {f"says SnapshotDeletePending of {name}" for name in grouped.NAMES}
    assert all(key in cluster.api.objects for key in (*MEMBERS, *MEMBER_CONTENTS))
    assert not any(cluster.api.objects[key].metadata.deleting for key in MEMBER_CONTENTS)

    release(cluster, CONTENT)
    done = await cluster.settle()
    assert done[0] == "releases all"
    assert GROUP not in cluster.api.objects
    release(cluster, *MEMBER_CONTENTS)
    await cluster.settle()
    assert not any(key in cluster.api.objects for key in (*MEMBERS, *MEMBER_CONTENTS))
    assert cluster.failed == {}


async def test_a_retained_group_leaves_all_its_contents() -> None:
    cluster = await ready(spec__deletion_policy=names.RETAIN)
    cluster.delete(GROUP)
    await cluster.settle()
    assert GROUP not in cluster.api.objects
    assert not any(key in cluster.api.objects for key in MEMBERS)
    for key in (CONTENT, *MEMBER_CONTENTS):
        kept = cluster.api.objects[key]
        assert not kept.metadata.deleting
        assert kept.metadata.finalizers


async def test_a_group_that_was_never_cut_goes_at_once() -> None:
    cluster = cluster_role.Cluster(objects.group())
    await cluster.settle()
    cluster.delete(GROUP)
    assert await cluster.settle() == ["releases all"]
    assert cluster.reads == [CONTENT]  # nothing is let go on absence from the cache alone


async def test_a_group_of_a_lost_content_takes_its_members_along() -> None:
    cluster = await ready()
    cluster.vanish(CONTENT)
    await cluster.settle()
    cluster.delete(GROUP)
    done = await cluster.settle()
    assert {f"deletes {name}" for name in grouped.NAMES} <= set(done)
    assert GROUP not in cluster.api.objects


async def test_a_restore_from_one_member_holds_the_group_until_it_is_done() -> None:
    cluster = await ready()
    restore = grouped.claim(
        "new",
        metadata__labels={},
        metadata__annotations={"volume.kubernetes.io/storage-provisioner": objects.DRIVER},
        spec__volume_name="",
        spec__data_source=meta.TypedReference(
            "VolumeSnapshot", grouped.NAMES[0], "snapshot.storage.k8s.io"
        ),
        status__phase="Pending",
    )
    cluster.put(restore)
    await cluster.settle()
    cluster.delete(GROUP)
    assert await cluster.settle() == ["says SnapshotDeletePending of all"]
    assert "restore a PVC: claim-new" in cluster.events[-1].message

    cluster.change(restore.key, status__phase="Bound", spec__volume_name="pv-new")
    assert "deletes groupsnapcontent-uid-7" in await cluster.settle()


async def test_a_group_with_a_foreign_finalizer_is_left_to_its_owner() -> None:
    cluster = cluster_role.Cluster(objects.group(metadata__finalizers=("x/y",)))
    cluster.delete(GROUP)
    assert await cluster.settle() == []
    assert cluster.role.look(GROUP).why == "another controller's finalizer holds it"


async def test_a_content_of_another_group_is_not_touched() -> None:
    cluster = cluster_role.Cluster(
        objects.group(), objects.cut_group_content(spec__volume_group_snapshot_ref__uid="other")
    )
    await cluster.settle()
    cluster.delete(GROUP)
    assert await cluster.settle() == ["releases all"]
    assert not cluster.api.objects[CONTENT].metadata.deleting


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (intents.DeleteContent, "GroupSnapshotContentObjectDeleteError"),
        (intents.DeleteMember, "SnapshotDeleteError"),
    ],
)
async def test_a_deletion_the_api_server_refuses_is_told_and_tried_again(
    kind: type[intents.Intent], reason: str
) -> None:
    cluster = await ready()
    cluster.fail(kind, errors.Refused("no right"))
    cluster.delete(GROUP)
    assert f"says {reason} of all" in await cluster.settle()
    await cluster.retry()
    assert cluster.api.objects[CONTENT].metadata.deleting


async def test_a_member_that_is_gone_already_is_no_obstacle() -> None:
    cluster = await ready()
    cluster.deaf = {keys.Kind.VOLUME_SNAPSHOT}
    cluster.vanish(MEMBERS[0])
    cluster.delete(GROUP)
    await cluster.settle()
    assert cluster.api.objects[CONTENT].metadata.deleting
    assert cluster.failed == {}


async def test_a_claim_is_let_go_when_its_group_is_deleted_before_it_is_cut() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.group_content()
    )
    await cluster.settle()
    assert all(cluster.guards_claim(f"claim-{each}") for each in grouped.LETTERS)
    cluster.delete(GROUP)
    await cluster.settle()
    assert not any(cluster.guards_claim(f"claim-{each}") for each in grouped.LETTERS)


async def test_a_claim_that_is_deleted_waits_for_the_cut_of_its_group() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.group_content()
    )
    await cluster.settle()
    claim = volumes.claim_key("ns", "claim-a")
    cluster.delete(claim)
    await cluster.settle()
    assert claim in cluster.api.objects
    failed = groups.GroupContentStatus(error=objects.ERROR, ready_to_use=False)
    cluster.change(CONTENT, status=failed)
    await cluster.settle()
    assert claim not in cluster.api.objects
    assert cluster.guards_claim("claim-b")
