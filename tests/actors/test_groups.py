"""A member of a group snapshot, by itself: it waits for its group, and goes with it.

So it is with the groups' own rules switched off, too.
"""

from typing import Any

import cluster_role
import objects
import pytest

from snapshotd.model import groups, meta, names, snapshots

GROUP = objects.group(metadata__finalizers=())
OWNER = meta.OwnerReference(
    "groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshot", "all", "uid-7"
)
STATUS = snapshots.VolumeSnapshotStatus(
    bound_volume_snapshot_content_name="member-content", volume_group_snapshot_name="all"
)
FINALIZERS = (names.SNAPSHOT_GROUP_FINALIZER,)
CONTENT = snapshots.content_key("member-content")


def member(**fields: Any) -> snapshots.VolumeSnapshot:
    base = {
        "metadata__owner_references": (OWNER,),
        "metadata__finalizers": FINALIZERS,
        "spec__volume_snapshot_class_name": None,
    }
    return objects.snapshot(**{**base, **fields})


def content(**fields: Any) -> snapshots.VolumeSnapshotContent:
    """Return a member's content, as the group's controller makes it."""
    made: snapshots.VolumeSnapshotContent = objects.content(
        **{
            "metadata__name": "member-content",
            "spec__volume_snapshot_class_name": None,
            "status": objects.changed(objects.STATUS, volume_group_snapshot_handle="g"),
            **fields,
        }
    )
    return made


async def test_a_member_waits_for_its_group_to_give_it_a_content() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), GROUP, member(), with_groups=False)
    done = await cluster.settle()
    assert [each for each in done if "claim" not in each] == []
    assert cluster.api.all_of(snapshots.VolumeSnapshotContent) == []
    assert "waits for its group snapshot" in cluster.role.look(cluster_role.SNAPSHOT).why

    cluster.put(content(), member(status=STATUS))
    done = await cluster.settle()
    assert "publishes snap" in done
    assert cluster.events == []  # its group's news are its own
    assert cluster.snapshot().ready
    assert cluster.snapshot().metadata.finalizers == (*FINALIZERS, *objects.BOTH)
    status = cluster.snapshot().status
    assert status is not None
    assert status.volume_group_snapshot_name == "all"


def ready_member(**fields: Any) -> snapshots.VolumeSnapshot:
    status = objects.changed(
        objects.ready_snapshot().status,
        bound_volume_snapshot_content_name="member-content",
        volume_group_snapshot_name="all",
    )
    base = {"status": status, "metadata__finalizers": (*FINALIZERS, *objects.BOTH)}
    return member(**{**base, **fields})


async def test_a_member_is_kept_while_its_group_is_there_and_goes_with_it() -> None:
    cluster = cluster_role.Cluster(GROUP, ready_member(), content(), with_groups=False)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["says SnapshotDeletePending of snap"]
    assert "belongs to group snapshot ns/all" in cluster.events[0].message
    assert cluster.failed == {}

    cluster.delete(GROUP.key)
    assert await cluster.settle() == ["marks member-content", "deletes member-content"]
    cluster.vanish(CONTENT)
    assert await cluster.settle() == ["releases snap"]
    assert cluster_role.SNAPSHOT not in cluster.api.objects


async def test_a_member_with_the_groups_finalizer_alone_goes() -> None:
    """Upstream's hangs: it is no candidate for deletion there."""
    cluster = cluster_role.Cluster(ready_member(metadata__finalizers=FINALIZERS), with_groups=False)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["releases snap"]


@pytest.mark.parametrize(
    "other",
    [
        objects.changed(GROUP, metadata__name="other"),
        objects.changed(GROUP, metadata__namespace="elsewhere"),
    ],
)
async def test_a_group_that_is_not_its_own_does_not_hold_a_member(
    other: groups.VolumeGroupSnapshot,
) -> None:
    cluster = cluster_role.Cluster(other, ready_member(), content(), with_groups=False)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["marks member-content", "deletes member-content"]


async def test_many_members_of_one_group_all_go_with_it() -> None:
    some = [
        ready_member(metadata__name=name, metadata__uid=f"uid-{name}", metadata__finalizers=())
        for name in ("a", "b", "c")
    ]
    held = [objects.changed(each, metadata__finalizers=FINALIZERS) for each in some]
    cluster = cluster_role.Cluster(GROUP, *held, with_groups=False)
    for each in held:
        cluster.delete(each.key)
    assert set(await cluster.settle()) == {
        f"says SnapshotDeletePending of {name}" for name in ("a", "b", "c")
    }
    cluster.delete(GROUP.key)
    assert set(await cluster.settle()) == {f"releases {name}" for name in ("a", "b", "c")}
