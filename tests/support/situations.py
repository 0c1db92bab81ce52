"""Everything that keeps a snapshot from being ready, or from going: facts for `snapshotd explain`.

Run as a program it prints the page `docs/how-to/explain.md`.
"""

from typing import Any

import group_situations
import objects
from explained import (
    ALIVE,
    CLAIM,
    CONTENT,
    GOING,
    LONG_AGO,
    MARKED,
    SIDECAR,
    Situation,
    lease,
)

from snapshotd.app.explain import facts
from snapshotd.model import meta, names, snapshots

BEGUN = {names.BEING_CREATED_ANNOTATION: names.MARK}
UNCUT = objects.snapshot(metadata__creation_timestamp="2025-12-31T23:00:00Z")
WHOLE = (objects.claim(), objects.volume(), objects.class_())


def bound(**fields: Any) -> snapshots.VolumeSnapshot:
    status = snapshots.VolumeSnapshotStatus("snapcontent-uid-1", ready_to_use=False)
    made: snapshots.VolumeSnapshot = objects.snapshot(**{"status": status, **fields})
    return made


def failed(message: str, **fields: Any) -> snapshots.VolumeSnapshotContent:
    error = snapshots.SnapshotError(objects.NOW_TEXT, message)
    status = snapshots.VolumeSnapshotContentStatus(error=error, ready_to_use=False)
    made: snapshots.VolumeSnapshotContent = objects.content(**{"status": status, **fields})
    return made


def default(name: str) -> snapshots.VolumeSnapshotClass:
    made: snapshots.VolumeSnapshotClass = objects.class_(
        name, metadata__annotations={names.DEFAULT_CLASS_ANNOTATION: "true"}
    )
    return made


UNSET = objects.snapshot(spec__volume_snapshot_class_name=None)
UNREADY = snapshots.VolumeSnapshotContentStatus(snapshot_handle="handle", ready_to_use=False)
GROUP = objects.group(metadata__uid="g")
RESTORE = objects.claim(
    metadata__name="restored",
    metadata__uid="uid-9",
    metadata__finalizers=(),
    metadata__creation_timestamp="2025-12-31T22:00:00Z",
    metadata__annotations={"volume.kubernetes.io/storage-provisioner": objects.DRIVER},
    status__phase="Pending",
    spec__data_source=meta.TypedReference("VolumeSnapshot", "snap", names.SNAPSHOT_GROUP),
)
BOTH_SOURCES = snapshots.VolumeSnapshotSource("claim", "content")
GONE_STATUS = objects.ready_snapshot().status

SITUATIONS = [
    Situation("all is well", (objects.ready_snapshot(), objects.ready_content(), *WHOLE)),
    Situation("the class does not exist", (UNCUT, objects.claim(), objects.volume())),
    Situation("no class is named, and none is the default", (UNSET, *WHOLE)),
    Situation("two classes are the default", (UNSET, *WHOLE, default("a"), default("b"))),
    Situation(
        "the class is for another driver",
        (UNCUT, objects.claim(), objects.volume(), objects.class_(driver="other.example.com")),
    ),
    Situation("the claim does not exist", (UNCUT, objects.volume(), objects.class_())),
    Situation(
        "the claim is not bound",
        (UNCUT, objects.claim(status__phase="Pending"), objects.class_()),
    ),
    Situation(
        "the claim is being deleted",
        (UNCUT, objects.claim(**GOING, metadata__finalizers=()), objects.volume()),
    ),
    Situation("the volume is missing", (UNCUT, objects.claim(), objects.class_())),
    Situation(
        "the volume is not a CSI driver's",
        (UNCUT, objects.claim(), objects.volume(spec__csi=None), objects.class_()),
    ),
    Situation(
        "the source names both a claim and a content",
        (objects.snapshot(spec__source=BOTH_SOURCES),),
    ),
    Situation("the content to adopt does not exist", (objects.given_snapshot(),)),
    Situation(
        "the content belongs to another snapshot",
        (bound(), objects.content(spec__volume_snapshot_ref__uid="another")),
    ),
    Situation(
        "the content of a ready snapshot vanished", (objects.snapshot(status=GONE_STATUS), *WHOLE)
    ),
    Situation("the driver never registered", (UNCUT, *WHOLE), drivers=frozenset(), at_work={}),
    Situation(
        "the sidecar is dead",
        (bound(), objects.content()),
        at_work={**ALIVE, SIDECAR: lease(SIDECAR, LONG_AGO)},
    ),
    Situation(
        "the controller is dead",
        (UNCUT, *WHOLE),
        at_work={**ALIVE, names.CONTROLLER_LEASE: lease(names.CONTROLLER_LEASE, LONG_AGO)},
    ),
    Situation("the driver has not answered yet", (bound(), objects.content(), objects.class_())),
    Situation(
        "the driver fails",
        (bound(), failed("Failed to create snapshot: INTERNAL: disk on fire"), objects.class_()),
    ),
    Situation(
        "the driver's answer was lost",
        (
            bound(),
            failed(
                "Failed to create snapshot: DEADLINE_EXCEEDED: no answer",
                metadata__annotations=BEGUN,
            ),
            objects.class_(),
        ),
    ),
    Situation("the snapshot is cut and being uploaded", (bound(), objects.content(status=UNREADY))),
    Situation(
        "the secret is missing",
        (
            bound(),
            failed("Failed to create snapshot: secret ns/s does not exist"),
            objects.class_(),
        ),
    ),
    Situation("the class went before the cut", (bound(), objects.content())),
    Situation(
        "the snapshot is to go while a claim is restored from it",
        (objects.ready_snapshot(**GOING), objects.ready_content(), RESTORE),
    ),
    Situation(
        "a member of a group is to go",
        (
            objects.ready_snapshot(
                **GOING,
                status=objects.changed(GONE_STATUS, volume_group_snapshot_name="all"),
            ),
            objects.ready_content(),
            GROUP,
        ),
    ),
    Situation(
        "a member of a group is to go, and its group, too",
        (
            objects.ready_snapshot(
                **GOING,
                status=objects.changed(GONE_STATUS, volume_group_snapshot_name="all"),
            ),
            objects.ready_content(),
            objects.changed(GROUP, metadata__deletion_timestamp=objects.NOW_TEXT),
        ),
    ),
    Situation(
        "the snapshot is to go and its driver cannot delete it",
        (
            objects.ready_snapshot(**GOING),
            objects.ready_content(**GOING, metadata__annotations=MARKED),
        ),
        events=(
            facts.Told("Warning", "SnapshotDeleteError", "Failed to delete snapshot: IN_USE", "t"),
        ),
    ),
    Situation(
        "the snapshot is to go and the sidecar is dead",
        (
            objects.ready_snapshot(**GOING),
            objects.ready_content(**GOING, metadata__annotations=MARKED),
        ),
        at_work={**ALIVE, SIDECAR: lease(SIDECAR, LONG_AGO)},
    ),
    Situation(
        "somebody else's finalizer holds the snapshot",
        (objects.ready_snapshot(**GOING, metadata__finalizers=("backup.example.com/keep",)),),
    ),
    Situation(
        "a content is kept by policy Retain",
        (objects.ready_content(spec__deletion_policy=names.RETAIN, metadata__annotations=MARKED),),
        subject=CONTENT,
    ),
    Situation(
        "a content whose snapshot vanished without a word",
        (objects.ready_content(),),
        subject=CONTENT,
    ),
    Situation(
        "a claim is to go while it is cut from",
        (objects.claim(**GOING), bound(), objects.content()),
        subject=CLAIM,
    ),
]

GROUPS = group_situations.SITUATIONS

_HEAD = """\
# Why is my snapshot not ready?

`snapshotd explain NAME` says so: what is fine, what it waits for, since when, who must act, and a
command that helps or shows more. It reads with your kubeconfig, writes nothing, and needs no
controller to be running. It knows no rule of its own: it asks the controller's.

    snapshotd explain -n prod nightly           a VolumeSnapshot
    snapshotd explain content/snapcontent-...   a VolumeSnapshotContent
    snapshotd explain -n prod claim/data        who holds this claim?
    snapshotd explain -n prod group/all         a VolumeGroupSnapshot, and its members in short
    snapshotd explain groupcontent/groupsnap... a VolumeGroupSnapshotContent
    snapshotd explain --all                     everything that is not settled
    snapshotd explain --all -o json             the same for a program

The exit code is 0 when all is settled, 3 when it goes on by itself, 4 when somebody must act, 2
when there is no such object, 1 when the cluster cannot be read.

Each row is made by a test (`tests/support/situations.py`; `just docs` writes this page):

"""
_GROUPS = """
## Groups

What is said of a group is what holds itself up; its members are told behind it, each in short. Of a
member is told which group it belongs to, and while it waits, what that one waits for. Where the
cluster has no group kinds, or you may not read them, the rest is explained as ever.

"""
_TABLE = """\
| situation | answer | who | command |
|---|---|---|---|"""


def page() -> str:
    """Return the page."""
    return "\n".join(
        (_HEAD + _TABLE, *map(_row, SITUATIONS), _GROUPS + _TABLE, *map(_row, GROUPS), "")
    )


def _row(situation: Situation) -> str:
    verdict = situation.report().verdict
    told = f"**{verdict.state}** {verdict.about}: {verdict.told}".replace("|", "\\|")
    command = f"`{verdict.command}`" if verdict.command else ""
    return f"| {situation.told} | {told} | {verdict.who} | {command.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - the page
