"""The members of a group in a cluster: waited for, told of, and made once."""

import cluster_role
import grouped
import objects

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names, snapshots

GROUP = objects.group().key


async def test_a_group_waits_for_the_last_of_its_members() -> None:
    slow = objects.changed(
        objects.GROUP_STATUS,
        ready_to_use=False,
        volume_snapshot_info_list=tuple(
            objects.changed(each, ready_to_use=each.volume_handle == "vol-a", restore_size=None)
            for each in objects.GROUP_STATUS.volume_snapshot_info_list
        ),
    )
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources(),
        objects.group(),
        objects.group_content(status=slow),
    )
    await cluster.settle()
    ready = {
        each.spec.source.persistent_volume_claim_name: each.ready for each in grouped.made(cluster)
    }
    assert ready == {"claim-a": True, "claim-b": False}
    assert not grouped.group(cluster).ready
    assert cluster.guards_claim("claim-b")

    grouped.cut(cluster)
    await cluster.settle()
    assert all(each.ready for each in grouped.made(cluster))
    sizes = {each.status.restore_size for each in grouped.made(cluster) if each.status}
    assert sizes == {"1Gi"}
    assert grouped.group(cluster).ready


async def test_a_member_that_cannot_be_made_is_told_on_the_group() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    refused = errors.Refused("no quota")
    member = names.member_snapshot("uid-7", "vol-b")
    held = names.member_content(member)
    cluster.fail(intents.CreateContent, refused, on=held, times=9)
    await cluster.settle()
    assert not grouped.group(cluster).ready
    assert "1 of 2 members are not ready" in grouped.told(cluster)
    assert "no quota" in grouped.told(cluster)
    cluster.heal()
    await cluster.retry()
    assert grouped.group(cluster).ready
    assert grouped.told(cluster) == ""


async def test_a_snapshot_in_the_way_of_a_member_is_left_alone_and_told() -> None:
    name = names.member_snapshot("uid-7", "vol-a")
    foreign = cluster_role.new_snapshot(name)
    cluster = cluster_role.Cluster(
        objects.group_class(),
        *grouped.sources(),
        foreign,
        objects.group(),
        objects.cut_group_content(),
    )
    await cluster.settle()
    assert f"VolumeSnapshot ns/{name} is in the way" in grouped.told(cluster)
    found = cluster.snapshot(name)
    assert found.metadata.owner_references == ()
    cluster.vanish(found.key)
    await cluster.settle()
    await cluster.retry()
    assert grouped.group(cluster).ready


async def test_a_lost_answer_makes_no_second_member() -> None:
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    for kind in (intents.CreateMember, intents.CreateContent, intents.PublishStatus):
        cluster.fail(kind, errors.Unavailable("lost"), done=True)
    for _ in range(4):
        await cluster.settle()
        await cluster.retry()
    assert grouped.group(cluster).ready
    assert len(grouped.made(cluster)) == len(grouped.LETTERS)
    assert len(cluster.api.all_of(snapshots.VolumeSnapshotContent)) == len(grouped.LETTERS)


async def test_a_member_deleted_from_a_ready_group_is_not_made_again() -> None:
    """It would carry the old point in time's name, and nobody asked for it."""
    cluster = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    await cluster.settle()
    gone = grouped.made(cluster)[0]
    cluster.vanish(gone.key)
    await cluster.settle()
    assert gone.key not in cluster.api.objects
    assert grouped.group(cluster).ready


async def test_a_successor_goes_on_where_a_controller_ended() -> None:
    first = cluster_role.Cluster(
        objects.group_class(), *grouped.sources(), objects.group(), objects.cut_group_content()
    )
    await first.work(GROUP)
    made = [each.metadata.name for each in grouped.made(first)]
    assert len(made) == len(grouped.LETTERS)
    second = cluster_role.Cluster(api=first.api)
    await second.settle()
    assert [each.metadata.name for each in grouped.made(second)] == made
    assert grouped.group(second).ready
