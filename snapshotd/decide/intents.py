"""The closed union of things we may do, and the `Decision` that lists them in order.

An intent is data: it says what, never how. Each may be repeated: a second performance finds its
work done, or a precondition that no longer holds. `kube/writer.py` and `csi/driver.py` know how.
"""

import msgspec

from snapshotd.model import groups, keys, meta, secrets, snapshots


class Intent(msgspec.Struct, frozen=True, gc=False):
    """What all intents share: being frozen data."""


class DriverCall(Intent, frozen=True, gc=False):
    """What the calls to a driver share: they belong to the driver's side, and have an answer."""


class Target(msgspec.Struct, frozen=True, gc=False):
    """The object a write is for: never another incarnation of its name (`uid`).

    Where a lost race would hurt, `version` makes the write fail with a conflict if the object
    changed since we read it; '' where it would not.
    """

    key: keys.Key
    uid: str
    version: str = ""


class UpdateMetadata(Intent, frozen=True, gc=False):
    """Change an object's finalizers (the whole list), annotations (None removes one), labels."""

    target: Target
    finalizers: tuple[str, ...] | None = None
    annotations: dict[str, str | None] = {}
    labels: dict[str, str] = {}


class PrepareSnapshot(Intent, frozen=True, gc=False):
    """Write a snapshot's finalizers, its class where it names none, and its owners: one patch."""

    target: Target
    finalizers: tuple[str, ...]
    class_name: str | None = None
    owners: tuple[meta.OwnerReference, ...] | None = None


class CreateContent(Intent, frozen=True, gc=False):
    """Create a content, of a snapshot or a group, with its finalizer, labels and annotations."""

    content: groups.AnyContent


class CreateMember(Intent, frozen=True, gc=False):
    """Create the VolumeSnapshot of one volume of a group, complete with finalizers and owner."""

    snapshot: snapshots.VolumeSnapshot


class DeleteMember(Intent, frozen=True, gc=False):
    """Ask for the deletion of a group's VolumeSnapshot (its finalizers still hold it)."""

    target: Target


class BindContent(Intent, frozen=True, gc=False):
    """Tie a pre-provisioned content to its snapshot or group: uid, finalizers, class; one patch."""

    target: Target
    snapshot_uid: str
    finalizers: tuple[str, ...]
    class_name: str | None = None


class DeleteContent(Intent, frozen=True, gc=False):
    """Ask for the deletion of a content, of either kind (its finalizer still holds it)."""

    target: Target


class SnapshotStatusChange(Intent, frozen=True, gc=False, rename="camel"):
    """The fields of a VolumeSnapshot's status to set; unset ones stay, None clears."""

    bound_volume_snapshot_content_name: str | msgspec.UnsetType = msgspec.UNSET
    creation_time: str | msgspec.UnsetType = msgspec.UNSET
    ready_to_use: bool | msgspec.UnsetType = msgspec.UNSET
    restore_size: str | msgspec.UnsetType = msgspec.UNSET
    error: snapshots.SnapshotError | msgspec.UnsetType | None = msgspec.UNSET
    volume_group_snapshot_name: str | msgspec.UnsetType = msgspec.UNSET


class ContentStatusChange(Intent, frozen=True, gc=False, rename="camel"):
    """The fields of a VolumeSnapshotContent's status to set; unset ones stay, None clears."""

    snapshot_handle: str | msgspec.UnsetType = msgspec.UNSET
    creation_time: int | msgspec.UnsetType = msgspec.UNSET
    ready_to_use: bool | msgspec.UnsetType = msgspec.UNSET
    restore_size: int | msgspec.UnsetType = msgspec.UNSET
    error: snapshots.SnapshotError | msgspec.UnsetType | None = msgspec.UNSET
    volume_group_snapshot_handle: str | msgspec.UnsetType = msgspec.UNSET


class GroupStatusChange(Intent, frozen=True, gc=False, rename="camel"):
    """The fields of a VolumeGroupSnapshot's status to set; unset ones stay, None clears."""

    bound_volume_group_snapshot_content_name: str | msgspec.UnsetType = msgspec.UNSET
    creation_time: str | msgspec.UnsetType = msgspec.UNSET
    ready_to_use: bool | msgspec.UnsetType = msgspec.UNSET
    error: snapshots.SnapshotError | msgspec.UnsetType | None = msgspec.UNSET


class GroupContentStatusChange(Intent, frozen=True, gc=False, rename="camel"):
    """The fields of a VolumeGroupSnapshotContent's status to set; unset ones stay, None clears.

    The list is written as a whole, since a merge patch knows no entries.
    """

    volume_group_snapshot_handle: str | msgspec.UnsetType = msgspec.UNSET
    creation_time: str | msgspec.UnsetType = msgspec.UNSET
    ready_to_use: bool | msgspec.UnsetType = msgspec.UNSET
    error: snapshots.SnapshotError | msgspec.UnsetType | None = msgspec.UNSET
    volume_snapshot_info_list: tuple[groups.MemberInfo, ...] | msgspec.UnsetType = msgspec.UNSET


StatusChange = (
    SnapshotStatusChange | ContentStatusChange | GroupStatusChange | GroupContentStatusChange
)


class PublishStatus(Intent, frozen=True, gc=False):
    """Write a status: the change says of which kind."""

    target: Target
    status: StatusChange


class Refresh(Intent, frozen=True, gc=False):
    """Read one object from the API server, since its absence from the cache decides too much."""

    key: keys.Key


class Announce(Intent, frozen=True, gc=False):
    """Tell people, as a Kubernetes Event on an object; `type` is Normal or Warning."""

    about: meta.ObjectReference
    type: str
    reason: str
    message: str


class Wake(Intent, frozen=True, gc=False):
    """Have another key of ours looked at now."""

    key: keys.Key


class CreateSnapshot(DriverCall, frozen=True, gc=False):
    """Have the driver cut a snapshot, or say again what became of it: idempotent by name.

    `mark` is written when the call outlives `mark_after` seconds, so that a crash meanwhile leaves
    a sign that a snapshot may exist.
    """

    name: str
    source_volume: str
    parameters: dict[str, str] = {}
    credentials: secrets.SecretReference | None = None
    mark: UpdateMetadata | None = None
    mark_after: float = 0.25


class DeleteSnapshot(DriverCall, frozen=True, gc=False):
    """Have the driver delete a snapshot: idempotent, and done if it does not exist."""

    handle: str
    credentials: secrets.SecretReference | None = None


class CheckSnapshot(DriverCall, frozen=True, gc=False):
    """Ask the driver for one snapshot's state by its handle (GetSnapshot, or ListSnapshots)."""

    handle: str
    credentials: secrets.SecretReference | None = None


class FindSnapshots(DriverCall, frozen=True, gc=False):
    """Ask the driver for all snapshots of one volume (ListSnapshots)."""

    source_volume: str
    credentials: secrets.SecretReference | None = None


class CreateGroupSnapshot(DriverCall, frozen=True, gc=False):
    """Have the driver cut snapshots of several volumes at one moment: idempotent by name.

    `mark` and `mark_after` are as in `CreateSnapshot`.
    """

    name: str
    source_volumes: tuple[str, ...]
    parameters: dict[str, str] = {}
    credentials: secrets.SecretReference | None = None
    mark: UpdateMetadata | None = None
    mark_after: float = 0.25


class DeleteGroupSnapshot(DriverCall, frozen=True, gc=False):
    """Have the driver delete a group with all its members: idempotent.

    `members` are the handles of all of them (CSI spec, `snapshot_ids`): a driver refuses others.
    """

    handle: str
    members: tuple[str, ...]
    credentials: secrets.SecretReference | None = None


class CheckGroupSnapshot(DriverCall, frozen=True, gc=False):
    """Ask the driver for a group's state by its handle and, as for a deletion, its members'."""

    handle: str
    members: tuple[str, ...]
    credentials: secrets.SecretReference | None = None


Write = (
    UpdateMetadata
    | PrepareSnapshot
    | CreateContent
    | CreateMember
    | BindContent
    | DeleteContent
    | DeleteMember
    | PublishStatus
)
SingleCall = CreateSnapshot | DeleteSnapshot | CheckSnapshot | FindSnapshots
GroupCall = CreateGroupSnapshot | DeleteGroupSnapshot | CheckGroupSnapshot
Call = SingleCall | GroupCall
Anything = Write | Refresh | Announce | Wake | Call


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What to do now, in order, and when to look again if nothing wakes the key before.

    `again` in seconds; `failed` asks for a growing delay instead (backoff is for failures alone).
    `why` says in words what is being waited for: logs and `explain` show it.
    """

    intents: tuple[Anything, ...] = ()
    again: float | None = None
    failed: bool = False
    why: str = ""


SETTLED = Decision()
