"""A snapshot that names no class gets the one default class of its volume's driver, and keeps it.

Reference: pkg/common-controller/snapshotclass_test.go.
"""

from typing import Any

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import keys, names, snapshots, wire

YES = {names.DEFAULT_CLASS_ANNOTATION: "true"}
CREATED = ["creates snapcontent-uid-1", "says CreatingSnapshot of snap", "publishes snap"]


def unset(**fields: Any) -> snapshots.VolumeSnapshot:
    return cluster_role.new_snapshot(**{"spec__volume_snapshot_class_name": None, **fields})


def default(name: str = "gold", **fields: Any) -> snapshots.VolumeSnapshotClass:
    return objects.class_(name, **{"metadata__annotations": YES, **fields})


def source() -> tuple[wire.Object, ...]:
    return cluster_role.source()[1:]


async def test_the_default_class_is_written_with_the_finalizers() -> None:  # 1-1
    other = default("other", driver="other.example.com")
    cluster = cluster_role.Cluster(objects.class_("plain"), other, default(), *source(), unset())
    assert await cluster.settle() == ["guards claim", "prepares snap", *CREATED]
    assert cluster.snapshot().spec.volume_snapshot_class_name == "gold"
    assert cluster.content().spec.volume_snapshot_class_name == "gold"


async def test_a_class_that_is_named_is_kept_whatever_the_default() -> None:  # 1-2
    cluster = cluster_role.Cluster(
        objects.class_(), default("silver"), *source(), cluster_role.new_snapshot()
    )
    await cluster.settle()
    assert cluster.snapshot().spec.volume_snapshot_class_name == "gold"
    assert cluster.content().spec.volume_snapshot_class_name == "gold"


@pytest.mark.parametrize(
    ("classes", "told", "mended"),
    [
        ((), "cannot find default snapshot class", default()),  # 1-3, 7-3
        ((objects.class_(),), "cannot find default snapshot class", default()),
        (
            (objects.class_(metadata__annotations={names.DEFAULT_CLASS_ANNOTATION: "True"}),),
            "cannot find default snapshot class",
            default(),
        ),
        (
            (default(driver="other.example.com"),),
            f"of driver {objects.DRIVER}",
            default("right"),
        ),
        (
            (default("b"), default("a")),
            "2 default snapshot classes were found: keep one of a, b",
            objects.class_("b"),
        ),
    ],
)
async def test_without_one_default_class_it_is_told_and_waited_for(
    classes: tuple[wire.Object, ...], told: str, mended: wire.Object
) -> None:
    cluster = cluster_role.Cluster(*classes, *source(), unset())
    assert await cluster.settle() == [
        "guards claim",
        "publishes snap",
        "says SetDefaultSnapshotClassFailed of snap",
    ]
    assert told in str(cluster.error())
    assert cluster.failed == {}
    assert cluster.snapshot().spec.volume_snapshot_class_name is None

    cluster.put(mended)
    assert await cluster.settle() == ["prepares snap", *CREATED]


async def test_one_default_class_too_many_that_goes_ends_the_wait() -> None:
    cluster = cluster_role.Cluster(default("a"), default("b"), *source(), unset())
    await cluster.settle()
    cluster.delete(keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", "a"))
    assert "creates snapcontent-uid-1" in await cluster.settle()
    assert cluster.snapshot().spec.volume_snapshot_class_name == "b"


async def test_a_missing_claim_is_told_before_a_class_is_chosen() -> None:  # 1-5
    _, volume = source()
    cluster = cluster_role.Cluster(default(), volume, unset())
    assert await cluster.settle() == [
        "publishes snap",
        "says SetDefaultSnapshotClassFailed of snap",
    ]
    assert cluster.error() == (
        "Failed to set default snapshot class with error cannot get claim from snapshot: "
        'persistentvolumeclaim "claim" not found'
    )
    cluster.put(cluster_role.bare_claim())
    assert "creates snapcontent-uid-1" in await cluster.settle()


async def test_a_default_class_that_cannot_be_written_is_told_and_nothing_is_cut() -> None:
    """Upstream logs it, goes on without a class, and fails later for another reason."""
    cluster = cluster_role.Cluster(default(), *source(), unset())
    cluster.fail(intents.PrepareSnapshot, errors.Refused("no"))
    assert await cluster.settle() == [
        "guards claim",
        "prepares snap, in vain",
        "says SnapshotFinalizerError of snap",
    ]
    assert await cluster.retry() == ["prepares snap", *CREATED]


async def test_a_default_class_that_changes_afterwards_changes_nothing() -> None:
    cluster = cluster_role.Cluster(default(), *source(), unset())
    await cluster.settle()
    cluster.put(objects.class_(), default("silver"))
    assert await cluster.settle() == []
    assert cluster.snapshot().spec.volume_snapshot_class_name == "gold"


async def test_a_class_that_the_user_names_while_we_choose_is_the_one() -> None:
    """The patch is exact: it fails, and what the user wrote is looked at instead."""
    held = (default(), objects.class_("silver"), *source())
    cluster = cluster_role.Cluster(*held, unset())
    cluster.change(cluster_role.CLAIM, metadata__finalizers=(names.CLAIM_FINALIZER,))
    cluster.deliver()
    cluster.change(cluster_role.SNAPSHOT, spec__volume_snapshot_class_name="silver")
    await cluster.work(cluster_role.SNAPSHOT)
    assert isinstance(cluster.failed[cluster_role.SNAPSHOT], errors.Conflict)
    await cluster.settle()
    assert cluster.content().spec.volume_snapshot_class_name == "silver"
    assert [each.reason for each in cluster.events] == ["CreatingSnapshot"]
