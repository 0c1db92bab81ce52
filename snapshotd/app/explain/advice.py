"""Who can help, and with which command: one place for all advice, so that it reads alike."""

from snapshotd.app.explain import facts
from snapshotd.model import keys

USER = "you"
ADMINISTRATOR = "a cluster administrator"
OPERATOR = "whoever runs the snapshot controller"
DRIVER = "whoever runs the CSI driver"
NOBODY = ""

_SHORT = {
    keys.Kind.VOLUME_SNAPSHOT: "volumesnapshot",
    keys.Kind.VOLUME_SNAPSHOT_CONTENT: "volumesnapshotcontent",
    keys.Kind.VOLUME_SNAPSHOT_CLASS: "volumesnapshotclass",
    keys.Kind.VOLUME_GROUP_SNAPSHOT: "volumegroupsnapshot",
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT: "volumegroupsnapshotcontent",
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS: "volumegroupsnapshotclass",
    keys.Kind.CLAIM: "pvc",
    keys.Kind.VOLUME: "pv",
}


def kubectl(verb: str, key: keys.Key, more: str = "") -> str:
    """Return a kubectl command about one object."""
    namespace = f" -n {key.namespace}" if key.namespace else ""
    return f"kubectl{namespace} {verb} {_SHORT[key.kind]} {key.name}{more}"


def fine(about: object, told: str, *, since: str = "") -> facts.Finding:
    """Return that something is as it should be."""
    return facts.Finding(facts.State.OK, str(about), told, since=since)


def note(about: object, told: str, *, since: str = "") -> facts.Finding:
    """Return what else is known."""
    return facts.Finding(facts.State.NOTE, str(about), told, since=since)


def waits(about: object, told: str, *, since: str = "", command: str = "") -> facts.Finding:
    """Return that something goes on by itself."""
    return facts.Finding(facts.State.WAITS, str(about), told, since=since, command=command)


def problem(
    about: object, told: str, *, who: str, command: str = "", since: str = ""
) -> facts.Finding:
    """Return that somebody must act."""
    return facts.Finding(
        facts.State.PROBLEM, str(about), told, since=since, who=who, command=command
    )


def unknown(about: object, told: str) -> facts.Finding:
    """Return that something could not be found out."""
    return facts.Finding(facts.State.UNKNOWN, str(about), told)
