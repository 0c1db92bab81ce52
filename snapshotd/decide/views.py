"""The frozen inputs: exactly what each decision may see, and the policies it follows.

A view is built from the cache by an actor; what is missing there is None here. A decider that wants
to know more gets a new field here first.
"""

import msgspec

from snapshotd.decide import intents, outcomes
from snapshotd.model import groups, snapshots, volumes


class ClusterPolicy(msgspec.Struct, frozen=True):
    """How the controller role decides.

    `status_hold` (seconds): how long a bound-but-not-ready status is held back after the content
    was created, so that a fast driver costs one status write instead of two.
    """

    status_hold: float = 0.25
    prevent_volume_mode_conversion: bool = True
    distributed: bool = False


class DriverPolicy(msgspec.Struct, frozen=True):
    """How the sidecar role decides; times in seconds.

    `can_check`: the driver can be asked for one snapshot (GetSnapshot, or ListSnapshots by id);
    `can_list`: for all snapshots of a volume (ListSnapshots).
    """

    driver: str
    can_check: bool = False
    can_list: bool = False
    name_prefix: str = "snapshot"
    name_uuid_length: int = -1
    extra_create_metadata: bool = False
    mark_after: float = 0.25
    poll_interval: float = 2.0


class BindingView(msgspec.Struct, frozen=True):
    """What binding sees of one VolumeSnapshot's surroundings.

    `content` is the one that the snapshot names (pre-provisioned) or that is named after it
    (dynamic), whoever it belongs to. `content_absent` says that the API server itself was asked and
    has none. `content_age`: seconds since this process created the content; None if it did not.
    What a content is made of (claim, volume, classes, nodes) is filled in only while it may be
    needed.
    """

    snapshot: snapshots.VolumeSnapshot
    content: snapshots.VolumeSnapshotContent | None = None
    content_absent: bool = False
    content_age: float | None = None
    claim: volumes.PersistentVolumeClaim | None = None
    volume: volumes.PersistentVolume | None = None
    snapshot_class: snapshots.VolumeSnapshotClass | None = None
    default_classes: tuple[snapshots.VolumeSnapshotClass, ...] = ()
    nodes: tuple[volumes.Node, ...] = ()


class ContentHalfView(msgspec.Struct, frozen=True):
    """What the controller sees of a content by itself.

    `came_too_late`: this process let its snapshot go when there was no content. `volume` and
    `nodes` are filled in while the content may wait for a node.
    """

    content: snapshots.VolumeSnapshotContent
    came_too_late: bool = False
    volume: volumes.PersistentVolume | None = None
    nodes: tuple[volumes.Node, ...] = ()


class Use(msgspec.Struct, frozen=True):
    """A VolumeSnapshot that names a claim as its source, and the content cut for it, if any."""

    snapshot: snapshots.VolumeSnapshot
    content: snapshots.VolumeSnapshotContent | None = None


class ClaimView(msgspec.Struct, frozen=True):
    """What protection sees: a claim, and every use of it."""

    claim: volumes.PersistentVolumeClaim
    uses: tuple[Use, ...] = ()


class ReleaseView(msgspec.Struct, frozen=True):
    """What deletion sees of a VolumeSnapshot that is to go.

    `asked`: the API server was asked just now, and `content` is what it has. `content_absent`: it
    was asked, or this process has seen the content go; so None means that there is none.
    `restores`: claims that are still to be filled from this snapshot. `group`: the group snapshot
    that it is a member of, while that exists.
    """

    snapshot: snapshots.VolumeSnapshot
    content: snapshots.VolumeSnapshotContent | None = None
    asked: bool = False
    content_absent: bool = False
    restores: tuple[volumes.PersistentVolumeClaim, ...] = ()
    group: groups.VolumeGroupSnapshot | None = None


class ContentView(msgspec.Struct, frozen=True):
    """What the driver side sees of one VolumeSnapshotContent.

    `answer` is the driver's answer to `call`, decided just before; both None in a first look.
    `polls` counts the looks, in a row, at which the snapshot was not ready. `handles` are those of
    all contents of the driver, filled in where the driver has just listed its snapshots.
    """

    content: snapshots.VolumeSnapshotContent
    snapshot_class: snapshots.VolumeSnapshotClass | None = None
    attempt: outcomes.Attempt = outcomes.Attempt.UNKNOWN
    call: intents.Call | None = None
    answer: outcomes.Answer | None = None
    polls: int = 0
    handles: frozenset[str] = frozenset()
