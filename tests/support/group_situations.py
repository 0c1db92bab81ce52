"""Everything that keeps a group snapshot, or a member of one, from being ready, or from going."""

from typing import Any

import grouped
import objects
from explained import (
    ALIVE,
    GOING,
    GROUP,
    GROUP_CONTENT,
    LONG_AGO,
    SIDECAR,
    Situation,
    lease,
)

from snapshotd.app.explain import facts
from snapshotd.model import groups, keys, meta, names, snapshots, volumes

BORN = {"metadata__creation_timestamp": "2025-12-31T23:00:00Z"}
GUARDED = {"metadata__finalizers": (names.CLAIM_FINALIZER,)}
CLAIMS = tuple(grouped.claim(each, **GUARDED) for each in "ab")
VOLUMES = tuple(map(grouped.volume, "ab"))
CLASS = objects.group_class()
UNCUT = objects.group(**BORN)
BOUND = groups.GroupStatus("groupsnapcontent-uid-7", ready_to_use=False)
DONE = groups.GroupStatus("groupsnapcontent-uid-7", "2001-09-09T01:46:40Z", ready_to_use=True)
TAKEN = objects.group(**BORN, status=BOUND)
READY = objects.group(**BORN, status=DONE)
MEMBER = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", grouped.NAMES[0])
MARKED = {names.GROUP_BEING_DELETED_ANNOTATION: names.MARK}
BOTH_GO = (objects.group(**BORN, **GOING, status=DONE),)
GOING_CONTENT = objects.cut_group_content(**GOING, metadata__annotations=MARKED)
RESTORE = objects.claim(
    metadata__name="restored",
    metadata__uid="uid-9",
    metadata__finalizers=(),
    metadata__creation_timestamp="2025-12-31T22:00:00Z",
    metadata__annotations={"volume.kubernetes.io/storage-provisioner": objects.DRIVER},
    status__phase="Pending",
    spec__data_source=meta.TypedReference("VolumeSnapshot", MEMBER.name, names.SNAPSHOT_GROUP),
)


def failed(message: str) -> groups.VolumeGroupSnapshotContent:
    error = snapshots.SnapshotError(objects.NOW_TEXT, message)
    return objects.group_content(status=groups.GroupContentStatus(error=error, ready_to_use=False))


def told(message: str, status: groups.GroupStatus = BOUND) -> groups.VolumeGroupSnapshot:
    error = snapshots.SnapshotError(objects.NOW_TEXT, message)
    return objects.group(**BORN, status=objects.changed(status, error=error))


def member(number: int, **fields: Any) -> snapshots.VolumeSnapshot:
    """A member that is ready, unless its status says something else."""
    status = snapshots.VolumeSnapshotStatus(
        bound_volume_snapshot_content_name=grouped.CONTENT_NAMES[number],
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        restore_size="1Gi",
        volume_group_snapshot_name="all",
    )
    base = {
        "metadata__uid": f"uid-member-{number}",
        "spec__source": snapshots.VolumeSnapshotSource(f"claim-{grouped.LETTERS[number]}"),
        "status": status,
    }
    return grouped.member(number, **{**base, **fields})


def content(number: int, **fields: Any) -> snapshots.VolumeSnapshotContent:
    """The content of a member, ready."""
    base = {
        "metadata__name": grouped.CONTENT_NAMES[number],
        "metadata__uid": f"uid-content-{number}",
        "metadata__annotations": {names.GROUP_HANDLE_ANNOTATION: "group"},
        "spec__source": snapshots.VolumeSnapshotContentSource(f"vol-{grouped.LETTERS[number]}"),
        "spec__volume_snapshot_ref": meta.ObjectReference(
            namespace="ns", name=grouped.NAMES[number], uid=f"uid-member-{number}"
        ),
        "spec__volume_snapshot_class_name": None,
        "status": objects.changed(
            objects.STATUS,
            snapshot_handle=f"handle-{grouped.LETTERS[number]}",
            volume_group_snapshot_handle="group",
        ),
    }
    return objects.content(**{**base, **fields})


MEMBERS = (member(0), member(1), content(0), content(1))
NOT_YET = snapshots.VolumeSnapshotStatus(grouped.CONTENT_NAMES[0], ready_to_use=False)
BROKEN = objects.changed(NOT_YET, error=snapshots.SnapshotError(objects.NOW_TEXT, "no more room"))
BROKEN_CONTENT = content(
    0,
    status=snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="handle-a", ready_to_use=False, error=BROKEN.error
    ),
)
UNSELECTABLE = groups.LabelSelector(match_expressions=(groups.LabelRequirement("tier", "Like"),))
SOURCE = groups.GroupSource(volume_group_snapshot_content_name="made-by-hand")
CANNOT = (
    f"Failed to create snapshot: the driver {objects.DRIVER} cannot take snapshots of groups: it "
    "does not tell the capability CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"
)
UNTOUCHED = objects.group(**BORN, metadata__finalizers=())
DEAD = {**ALIVE, names.CONTROLLER_LEASE: lease(names.CONTROLLER_LEASE, LONG_AGO)}

SITUATIONS = [
    Situation(
        "a group and all its members are ready",
        (READY, objects.cut_group_content(), *MEMBERS, *CLAIMS, *VOLUMES, CLASS),
        subject=GROUP,
    ),
    Situation("the selector selects no claim", (UNCUT, CLASS, objects.claim()), subject=GROUP),
    Situation(
        "the selector cannot be read",
        (
            objects.group(**BORN, spec__source=groups.GroupSource(UNSELECTABLE)),
            CLASS,
            *CLAIMS,
            *VOLUMES,
        ),
        subject=GROUP,
    ),
    Situation("the group's class does not exist", (UNCUT, *CLAIMS, *VOLUMES), subject=GROUP),
    Situation(
        "the group names no class, and none is the default",
        (
            objects.group(**BORN, spec__volume_group_snapshot_class_name=None),
            *CLAIMS,
            *VOLUMES,
            CLASS,
        ),
        subject=GROUP,
    ),
    Situation(
        "a volume of the group belongs to another driver",
        (
            UNCUT,
            CLASS,
            *CLAIMS,
            VOLUMES[0],
            grouped.volume("b", spec__csi=volumes.CsiVolumeSource("other.example.com", "vol-b")),
        ),
        subject=GROUP,
    ),
    Situation(
        "one of the selected claims is not bound",
        (UNCUT, CLASS, CLAIMS[0], grouped.claim("b", status__phase="Pending"), *VOLUMES),
        subject=GROUP,
    ),
    Situation(
        "the claims of a group are not protected yet",
        (UNCUT, CLASS, *grouped.sources()),
        subject=GROUP,
    ),
    Situation(
        "the claims of a group are not protected, and the controller is dead",
        (UNCUT, CLASS, *grouped.sources()),
        subject=GROUP,
        at_work=DEAD,
    ),
    Situation(
        "the controller serves no groups",
        (UNTOUCHED, CLASS, *grouped.sources()),
        subject=GROUP,
    ),
    Situation(
        "the sidecar serves no groups",
        (TAKEN, objects.group_content(**BORN), CLASS),
        subject=GROUP,
    ),
    Situation(
        "the driver has not answered for a group yet",
        (TAKEN, objects.group_content(metadata__creation_timestamp=objects.NOW_TEXT), CLASS),
        subject=GROUP,
    ),
    Situation("the driver fails to cut a group", (TAKEN, failed("disk on fire"), CLASS), GROUP),
    Situation("the driver cannot group", (told(CANNOT), failed(CANNOT), CLASS), GROUP),
    Situation(
        "the members are still to be made",
        (TAKEN, objects.cut_group_content(), *VOLUMES, CLASS),
        subject=GROUP,
    ),
    Situation(
        "a member is not ready yet",
        (TAKEN, objects.cut_group_content(), member(0, status=NOT_YET), *MEMBERS[1:], CLASS),
        subject=GROUP,
    ),
    Situation(
        "a member fails",
        (
            TAKEN,
            objects.cut_group_content(),
            member(0, status=BROKEN),
            member(1),
            BROKEN_CONTENT,
            content(1),
        ),
        subject=GROUP,
    ),
    Situation("the group's content vanished", (READY, *MEMBERS, CLASS), subject=GROUP),
    Situation(
        "the group's content is deleted by hand before it is ready",
        (TAKEN, objects.group_content(**GOING), CLASS),
        subject=GROUP,
    ),
    Situation(
        "the content that a group is to adopt does not exist",
        (objects.group(**BORN, spec__source=SOURCE),),
        subject=GROUP,
    ),
    Situation(
        "the group is to go while a claim is restored from a member",
        (*BOTH_GO, objects.cut_group_content(), *MEMBERS, RESTORE),
        subject=GROUP,
    ),
    Situation(
        "the group is to go, and its members are still to be asked for",
        (*BOTH_GO, objects.cut_group_content(metadata__annotations=MARKED), *MEMBERS),
        subject=GROUP,
    ),
    Situation(
        "the group is to go and its driver cannot delete it",
        (*BOTH_GO, GOING_CONTENT, member(0, **GOING), member(1, **GOING)),
        subject=GROUP,
        events=(
            facts.Told("Warning", "GroupSnapshotDeleteError", "Failed to delete: IN_USE", "t"),
        ),
    ),
    Situation(
        "the group is to go and the controller is dead",
        (*BOTH_GO, objects.cut_group_content()),
        subject=GROUP,
        at_work=DEAD,
    ),
    Situation(
        "the group is to go and the controller serves no groups",
        (*BOTH_GO, objects.cut_group_content()),
        subject=GROUP,
    ),
    Situation(
        "a member waits for its group",
        (
            TAKEN,
            objects.group_content(metadata__creation_timestamp=objects.NOW_TEXT),
            CLASS,
            member(0, status=None),
        ),
        subject=MEMBER,
    ),
    Situation(
        "a member waits for a group whose driver fails",
        (TAKEN, failed("disk on fire"), CLASS, member(0, status=None)),
        subject=MEMBER,
    ),
    Situation("a member waits for a group that is gone", (member(0, status=None),), MEMBER),
    Situation(
        "a member is ready, and its group is not",
        (TAKEN, objects.cut_group_content(), member(0), content(0)),
        subject=MEMBER,
    ),
    Situation(
        "a member goes with a group whose driver cannot delete it",
        (*BOTH_GO, GOING_CONTENT, member(0, **GOING), content(0)),
        subject=MEMBER,
        events=(
            facts.Told("Warning", "GroupSnapshotDeleteError", "Failed to delete: IN_USE", "t"),
        ),
    ),
    Situation(
        "a group's content is kept by policy Retain",
        (
            objects.cut_group_content(
                spec__deletion_policy=names.RETAIN, metadata__annotations=MARKED
            ),
        ),
        subject=GROUP_CONTENT,
    ),
    Situation(
        "a group's content whose group vanished without a word",
        (objects.cut_group_content(),),
        subject=GROUP_CONTENT,
    ),
    Situation(
        "a group's content and the sidecar is dead",
        (TAKEN, objects.group_content(), CLASS),
        subject=GROUP_CONTENT,
        at_work={**ALIVE, SIDECAR: lease(SIDECAR, LONG_AGO)},
    ),
    Situation(
        "a claim is to go while a group is cut from it",
        (
            TAKEN,
            objects.group_content(metadata__creation_timestamp=objects.NOW_TEXT),
            grouped.claim("a", **GUARDED, **GOING),
            *VOLUMES,
        ),
        subject=volumes.claim_key("ns", "claim-a"),
    ),
]
