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
    `can_list`: for all snapshots of a volume (ListSnapshots); `can_group`: to cut, delete and tell
    of groups. The `group_name_...` are for groups what `name_...` are for snapshots.
    """

    driver: str
    can_check: bool = False
    can_list: bool = False
    can_group: bool = False
    name_prefix: str = "snapshot"
    name_uuid_length: int = -1
    group_name_prefix: str = "groupsnapshot"
    group_name_uuid_length: int = -1
    extra_create_metadata: bool = False
    mark_after: float = 0.25
    poll_interval: float = 2.0


class Source(msgspec.Struct, frozen=True):
    """A claim that is to be cut from, by the name it is known by, and the volume it is bound to."""

    name: str
    claim: volumes.PersistentVolumeClaim | None = None
    volume: volumes.PersistentVolume | None = None


class Home(msgspec.Struct, frozen=True):
    """A member's group, as far as it is there: its content says what the member is made of.

    `volume` is the one that the member is cut from, if it is still there; filled in only while the
    member has no content.
    """

    group: groups.VolumeGroupSnapshot | None = None
    content: groups.VolumeGroupSnapshotContent | None = None
    volume: volumes.PersistentVolume | None = None


class Member(msgspec.Struct, frozen=True):
    """One member of a group that was cut: what the driver said, and what we made of it.

    `claim` is the name of the claim that its volume is bound to, '' where there is none by now.
    """

    info: groups.MemberInfo
    snapshot: snapshots.VolumeSnapshot | None = None
    claim: str = ""


class BindingView(msgspec.Struct, frozen=True):
    """What binding sees of one snapshot's, or group's, surroundings.

    `content` is the one that the snapshot names (pre-provisioned) or that is named after it
    (dynamic), whoever it belongs to. `content_absent` says that the API server itself was asked and
    has none. `content_age`: seconds since this process created the content; None if it did not.
    What a content is made of (sources, classes, nodes) is filled in only while it may be needed:
    one source for a snapshot, for a group one for every claim that it selects. `home` is filled in
    for members of groups, `members` for groups that were cut.
    """

    snapshot: groups.AnySnapshot
    content: groups.AnyContent | None = None
    content_absent: bool = False
    content_age: float | None = None
    sources: tuple[Source, ...] = ()
    snapshot_class: groups.AnyClass | None = None
    default_classes: tuple[groups.AnyClass, ...] = ()
    nodes: tuple[volumes.Node, ...] = ()
    home: Home | None = None
    members: tuple[Member, ...] = ()


class ContentHalfView(msgspec.Struct, frozen=True):
    """What the controller sees of a content by itself.

    `came_too_late`: this process let its snapshot go when there was no content. `volume` and
    `nodes` are filled in while the content may wait for a node. `cut` is the content of the group
    that it was cut with, if any.
    """

    content: groups.AnyContent
    came_too_late: bool = False
    volume: volumes.PersistentVolume | None = None
    nodes: tuple[volumes.Node, ...] = ()
    cut: groups.VolumeGroupSnapshotContent | None = None


class Use(msgspec.Struct, frozen=True):
    """A snapshot or group that has a claim as its source, and the content cut for it, if any."""

    snapshot: groups.AnySnapshot
    content: groups.AnyContent | None = None


class ClaimView(msgspec.Struct, frozen=True):
    """What protection sees: a claim, and every use of it."""

    claim: volumes.PersistentVolumeClaim
    uses: tuple[Use, ...] = ()


class ReleaseView(msgspec.Struct, frozen=True):
    """What deletion sees of a snapshot or group that is to go.

    `asked`: the API server was asked just now, and `content` is what it has. `content_absent`: it
    was asked, or this process has seen the content go; so None means that there is none.
    `restores`: claims that are still to be filled from this snapshot, or from a member of this
    group. `group`: the group snapshot that it is a member of, while that exists. `members`: the
    snapshots that go with this group.
    """

    snapshot: groups.AnySnapshot
    content: groups.AnyContent | None = None
    asked: bool = False
    content_absent: bool = False
    restores: tuple[volumes.PersistentVolumeClaim, ...] = ()
    group: groups.VolumeGroupSnapshot | None = None
    members: tuple[snapshots.VolumeSnapshot, ...] = ()


class ContentView(msgspec.Struct, frozen=True):
    """What the driver side sees of one content, of a snapshot or a group.

    `answer` is the driver's answer to `call`, decided just before; both None in a first look.
    `polls` counts the looks, in a row, at which the snapshot was not ready. `handles` are those of
    all contents of the driver, filled in where the driver has just listed its snapshots.
    """

    content: groups.AnyContent
    snapshot_class: groups.AnyClass | None = None
    attempt: outcomes.Attempt = outcomes.Attempt.UNKNOWN
    call: intents.Call | None = None
    answer: outcomes.Answer | None = None
    polls: int = 0
    handles: frozenset[str] = frozenset()
