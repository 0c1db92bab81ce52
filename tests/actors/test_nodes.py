"""Distributed snapshotting from end to end: whose node a content is for, and when that is known.

Reference: getManagedByNode in pkg/common-controller/snapshot_controller_test.go; the rest is not
tested there.
"""

from typing import Any

import cluster_role
import msgspec
import objects
import pytest

from snapshotd.decide import views
from snapshotd.model import keys, meta, names, snapshots, volumes, wire

DISTRIBUTED = msgspec.structs.replace(objects.POLICY, distributed=True)
ZONE = volumes.NodeSelectorRequirement("zone", "In", ("a",))
LOCAL = objects.volume(
    spec__node_affinity=volumes.VolumeNodeAffinity(
        volumes.NodeSelector((volumes.NodeSelectorTerm((ZONE,)),))
    )
)
NODE = keys.Key(keys.Kind.NODE, "", "node-1")


def node(name: str = "node-1", **labels: str) -> volumes.Node:
    return volumes.Node(meta.ObjectMeta(name=name, uid=f"uid-{name}", labels=labels))


def cluster_of(
    *held: wire.Object, policy: views.ClusterPolicy = DISTRIBUTED, volume: Any = LOCAL
) -> cluster_role.Cluster:
    """Return a cluster with a new snapshot of a local volume."""
    class_, claim, _ = cluster_role.source()
    return cluster_role.Cluster(
        class_, claim, volume, *held, cluster_role.new_snapshot(), policy=policy
    )


def placed(cluster: cluster_role.Cluster) -> str | None:
    return cluster.content().metadata.labels.get(names.MANAGED_BY_LABEL)


async def test_a_content_is_labelled_as_it_is_created() -> None:
    cluster = cluster_of(node("node-2", zone="b"), node(zone="a"))
    done = await cluster.settle()
    assert placed(cluster) == "node-1"
    assert not any(each.startswith("places") for each in done)


async def test_of_several_nodes_the_first_by_name_is_taken() -> None:
    cluster = cluster_of(node("node-9", zone="a"), node("node-3", zone="a"))
    await cluster.settle()
    assert placed(cluster) == "node-3"


@pytest.mark.parametrize(
    ("policy", "volume"), [(DISTRIBUTED, objects.volume()), (objects.POLICY, LOCAL)]
)
async def test_what_is_not_local_or_not_distributed_carries_no_label(
    policy: views.ClusterPolicy, volume: volumes.PersistentVolume
) -> None:
    cluster = cluster_of(node(zone="a"), policy=policy, volume=volume)
    await cluster.settle()
    assert placed(cluster) is None
    cluster.put(node("node-2", zone="a"))
    assert await cluster.settle() == []
    assert placed(cluster) is None


@pytest.mark.parametrize("nodes", [(), (node(zone="b"),)])
async def test_a_content_that_no_node_matches_is_labelled_when_one_does(
    nodes: tuple[volumes.Node, ...],
) -> None:
    """Upstream leaves it without a label, and no sidecar ever takes it."""
    cluster = cluster_of(*nodes)
    await cluster.settle()
    assert placed(cluster) is None
    cluster.put(node("other", zone="c"))
    assert await cluster.settle() == []

    cluster.put(node(zone="a"))  # it comes, or is given the label
    assert await cluster.settle() == ["places snapcontent-uid-1"]
    assert placed(cluster) == "node-1"
    cluster.put(node(zone="a"))
    assert await cluster.settle() == []


async def test_a_content_stays_with_its_node_when_that_goes() -> None:
    cluster = cluster_of(node(zone="a"))
    await cluster.settle()
    cluster.delete(NODE)
    cluster.put(node("node-2", zone="a"))
    assert await cluster.settle() == []
    assert placed(cluster) == "node-1"


async def test_a_content_that_was_cut_without_a_label_gets_none_any_more() -> None:
    cluster = cluster_of()
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    await cluster.settle()
    cluster.put(node(zone="a"))
    assert await cluster.settle() == []


async def test_a_given_content_is_never_placed() -> None:
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(), policy=DISTRIBUTED
    )
    await cluster.settle()
    cluster.put(node(zone="a"))
    assert await cluster.settle() == []
    assert cluster.content("content").metadata.labels == {}


async def test_labels_of_others_are_kept() -> None:
    cluster = cluster_of()
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, metadata__labels={"x": "y"})
    cluster.put(node(zone="a"))
    await cluster.settle()
    assert cluster.content().metadata.labels == {"x": "y", names.MANAGED_BY_LABEL: "node-1"}


async def test_a_local_snapshot_goes_from_its_making_to_its_end() -> None:
    cluster = cluster_of(node(zone="a"))
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert "says SnapshotReady of snap" in await cluster.settle()
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]
    assert placed(cluster) == "node-1"  # so that the same node's sidecar deletes what it cut
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == ["releases snap"]
    assert cluster.api.all_of(snapshots.VolumeSnapshot) == []
