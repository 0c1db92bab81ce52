"""Groups that are given, bound and kept right; and what is not theirs.

Families of the reference's groupsnapshot_create_test.go (pre-provisioned), groupsnapshot_update
and groupsnapshot_sync tests.
"""

from typing import Any

import cluster_role
import grouped
import objects

from snapshotd.model import groups, meta, names, snapshots, volumes

GROUP = objects.group().key
CONTENT = groups.group_content_key("given")
HANDLES = groups.GroupHandles("group", ("handle-a", "handle-b"))


def given_group(**fields: Any) -> groups.VolumeGroupSnapshot:
    source = groups.GroupSource(volume_group_snapshot_content_name="given")
    made: groups.VolumeGroupSnapshot = objects.group(
        **{
            "metadata__finalizers": (),
            "spec": groups.GroupSpec(source),
            **fields,
        }
    )
    return made


def given_content(**fields: Any) -> groups.VolumeGroupSnapshotContent:
    made: groups.VolumeGroupSnapshotContent = objects.group_content(
        **{
            "metadata__name": "given",
            "metadata__finalizers": (),
            "spec__source": groups.GroupContentSource(group_snapshot_handles=HANDLES),
            "spec__volume_group_snapshot_ref": meta.ObjectReference(namespace="ns", name="all"),
            "spec__volume_group_snapshot_class_name": None,
            **fields,
        }
    )
    return made


async def test_a_given_group_is_tied_in_one_patch_and_told_when_it_is_ready() -> None:
    cluster = cluster_role.Cluster(given_group(), given_content())
    assert await cluster.settle() == ["prepares all", "binds given", "publishes all"]
    bound = cluster.api.objects[CONTENT]
    assert isinstance(bound, groups.VolumeGroupSnapshotContent)
    assert bound.ref.uid == "uid-7"
    assert bound.metadata.finalizers == (names.GROUP_CONTENT_FINALIZER,)
    cluster.change(CONTENT, status=objects.GROUP_STATUS)
    await cluster.settle()
    assert grouped.group(cluster).ready
    assert cluster.api.all_of(snapshots.VolumeSnapshot) == []  # its user makes the members


async def test_a_given_group_waits_for_its_content_to_be_made() -> None:
    cluster = cluster_role.Cluster(given_group())
    assert await cluster.settle() == ["publishes all", "says GroupSnapshotContentMissing of all"]
    cluster.put(given_content())
    assert "binds given" in await cluster.settle()
    assert grouped.told(cluster) == ""


async def test_a_content_of_another_group_is_not_followed() -> None:
    other = meta.ObjectReference(namespace="ns", name="other")
    cluster = cluster_role.Cluster(
        given_group(), given_content(spec__volume_group_snapshot_ref=other)
    )
    assert (await cluster.settle())[-1] == "says GroupSnapshotContentMisbound of all"
    assert "is bound to a different snapshot: ns/other" in grouped.told(cluster)


async def test_a_content_that_is_cut_is_no_given_one() -> None:
    cut = groups.GroupContentSource(("vol-a",))
    cluster = cluster_role.Cluster(given_group(), given_content(spec__source=cut))
    assert (await cluster.settle())[-1] == "says GroupSnapshotContentMismatch of all"


async def test_a_ready_group_whose_content_vanished_is_told_and_not_cut_again() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    await cluster.settle()
    cluster.vanish(objects.group_content().key)
    done = await cluster.settle()
    assert done == ["publishes all", "says GroupSnapshotContentMissing of all"]
    assert "another point in time" in grouped.told(cluster)
    assert not grouped.group(cluster).ready
    assert objects.group_content().key not in cluster.api.objects


async def test_a_ready_group_is_left_alone() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    await cluster.settle()
    cluster.change(GROUP, metadata__annotations={"a": "b"})
    cluster.change(objects.group_content().key, metadata__annotations={"a": "b"})
    assert await cluster.settle() == []


async def test_a_status_that_lost_a_field_gets_it_back() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    await cluster.settle()
    whole = grouped.group(cluster).status
    cluster.change(GROUP, status=None)
    assert "publishes all" in await cluster.settle()
    assert grouped.group(cluster).status == whole


async def test_an_error_of_the_driver_is_told_and_forgotten_with_it() -> None:
    failed = groups.GroupContentStatus(error=objects.ERROR, ready_to_use=False)
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources(),
        objects.group(),
        objects.group_content(status=failed),
    )
    await cluster.settle()
    assert grouped.told(cluster) == "it went wrong"
    cluster.change(objects.group_content().key, status=objects.GROUP_STATUS)
    await cluster.settle()
    assert grouped.told(cluster) == ""
    assert grouped.group(cluster).ready


async def test_members_made_by_hand_belong_to_their_given_group() -> None:
    """They carry its name, have it as their owner, and so go with it."""
    pair = objects.given_content(
        status=objects.changed(objects.STATUS, volume_group_snapshot_handle="group")
    )
    cluster = cluster_role.Cluster(
        given_group(), given_content(status=objects.GROUP_STATUS), cluster_role.new_given(), pair
    )
    await cluster.settle()
    member = cluster.snapshot()
    assert member.ready
    assert member.status is not None
    assert member.status.volume_group_snapshot_name == "all"
    assert [each.uid for each in member.metadata.owner_references] == ["uid-7"]
    cluster.delete(GROUP)
    assert "deletes snap" in await cluster.settle()


async def test_a_member_made_by_hand_of_a_group_nobody_knows_is_a_snapshot_like_any() -> None:
    pair = objects.given_content(
        status=objects.changed(objects.STATUS, volume_group_snapshot_handle="unknown")
    )
    cluster = cluster_role.Cluster(cluster_role.new_given(), pair)
    await cluster.settle()
    assert cluster.snapshot().ready
    assert cluster.snapshot().metadata.owner_references == ()


async def test_without_its_own_queue_a_group_is_left_alone() -> None:
    """The feature gate is off; members are still kept for as long as their group is there."""
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), with_groups=False
    )
    assert [each for each in await cluster.settle() if "claim" not in each] == []


async def test_a_volume_that_is_gone_leaves_its_member_without_a_claim() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources("a"),
        objects.group(),
        objects.cut_group_content(),
    )
    await cluster.settle()
    assert grouped.group(cluster).ready
    lost = cluster.snapshot(grouped.NAMES[1])
    assert lost.spec.source.persistent_volume_claim_name == ""
    assert lost.ready
    assert volumes.claim_key("ns", "claim-b") not in cluster.api.objects
