"""The claims, volumes and members of `objects.group`: two of each; and how a cluster has it."""

from typing import Any

import cluster_role
import objects

from snapshotd.decide import members
from snapshotd.model import groups, meta, names, snapshots, volumes, wire

LETTERS = ("a", "b")
NAMES = tuple(names.member_snapshot("uid-7", f"vol-{each}") for each in LETTERS)
CONTENT_NAMES = tuple(names.member_content(each) for each in NAMES)


def claim(letter: str = "a", **fields: Any) -> volumes.PersistentVolumeClaim:
    """Return a claim that the group selects, not protected yet."""
    base = {
        "metadata__name": f"claim-{letter}",
        "metadata__uid": f"uid-claim-{letter}",
        "metadata__labels": {"app": "db"},
        "metadata__finalizers": (),
        "spec__volume_name": f"pv-{letter}",
    }
    return objects.claim(**{**base, **fields})


def volume(letter: str = "a", **fields: Any) -> volumes.PersistentVolume:
    """Return the volume of a claim."""
    base = {
        "metadata__name": f"pv-{letter}",
        "spec__csi": volumes.CsiVolumeSource(objects.DRIVER, f"vol-{letter}"),
        "spec__claim_ref": meta.ObjectReference(
            namespace="ns", name=f"claim-{letter}", uid=f"uid-claim-{letter}"
        ),
    }
    return objects.volume(**{**base, **fields})


def sources(*letters: str) -> tuple[wire.Object, ...]:
    """Return claims and their volumes: what the group is cut from."""
    return tuple(each for one in letters or LETTERS for each in (claim(one), volume(one)))


def member(number: int, **fields: Any) -> snapshots.VolumeSnapshot:
    """Return a member as the group makes it."""
    base = {
        "metadata__name": NAMES[number],
        "metadata__owner_references": (members.owner(objects.group()),),
        "spec__volume_snapshot_class_name": None,
    }
    return objects.snapshot(**{**base, **fields})


# As a cluster has them


def group(cluster: cluster_role.Cluster) -> groups.VolumeGroupSnapshot:
    """Return the group as it is now."""
    found = cluster.api.objects[objects.group().key]
    assert isinstance(found, groups.VolumeGroupSnapshot)
    return found


def told(cluster: cluster_role.Cluster) -> str:
    """Return the message of the error in the group's status, or ''."""
    error = group(cluster).error
    return (error.message or "") if error else ""


def made(cluster: cluster_role.Cluster) -> list[snapshots.VolumeSnapshot]:
    """Return the snapshots that are there."""
    return cluster.api.all_of(snapshots.VolumeSnapshot)


def cut(cluster: cluster_role.Cluster, **fields: Any) -> None:
    """Have the driver's side write what it cut."""
    cluster.change(objects.group_content().key, **{"status": objects.GROUP_STATUS, **fields})
