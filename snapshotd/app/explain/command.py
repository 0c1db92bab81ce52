"""The command: what is asked about, what is read, and the exit code."""

from collections.abc import Callable
from typing import Final

from snapshotd import errors, settings
from snapshotd.app.explain import facts, reading, show, walk
from snapshotd.kube import resources
from snapshotd.model import keys
from snapshotd.runtime import clock, supervisor

NOT_THERE: Final = 2
_CODES: Final = {
    facts.State.OK: 0,
    facts.State.NOTE: 0,
    facts.State.WAITS: 3,
    facts.State.UNKNOWN: 3,
    facts.State.PROBLEM: 4,
}

_Walk = Callable[[facts.Facts, keys.Key], facts.Report]
_SUBJECTS: Final[dict[str, tuple[keys.Kind, _Walk]]] = {
    "snapshot": (keys.Kind.VOLUME_SNAPSHOT, walk.snapshot),
    "content": (keys.Kind.VOLUME_SNAPSHOT_CONTENT, walk.content),
    "claim": (keys.Kind.CLAIM, walk.claim),
    "group": (keys.Kind.VOLUME_GROUP_SNAPSHOT, walk.group),
    "groupcontent": (keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, walk.content),
}
# As kubectl spells and shortens them
_SPELLINGS: Final = {
    "volumesnapshot": "snapshot",
    "volumesnapshots": "snapshot",
    "vs": "snapshot",
    "volumesnapshotcontent": "content",
    "volumesnapshotcontents": "content",
    "vsc": "content",
    "persistentvolumeclaim": "claim",
    "pvc": "claim",
    "volumegroupsnapshot": "group",
    "volumegroupsnapshots": "group",
    "vgs": "group",
    "volumegroupsnapshotcontent": "groupcontent",
    "volumegroupsnapshotcontents": "groupcontent",
    "vgsc": "groupcontent",
}


async def run(values: settings.Explaining, subject: str) -> supervisor.Ending:
    """Read, explain and print; return the exit code: 0 fine, 3 it waits, 4 somebody must act."""
    asked = None if values.all_ else _asked(subject, values.namespace)
    async with reading.connect(values.kubeconfig) as link:
        reader = reading.Reader(link, clock.SystemClock().now())
        try:
            if asked is None:
                await reader.everything(values.namespace)
                reports = list(walk.unsettled(reader.known))
            else:
                key, explain = asked
                await reader.about(key)
                reports = [explain(reader.known, key)]
        except walk.NotThere as error:
            return supervisor.Ending(NOT_THERE, str(error))
    if values.output == "json":
        print(show.json(reports))  # noqa: T201 - what the command is for
    else:
        print(show.text(reports) or "Everything is settled.")  # noqa: T201 - as above
    worst = max((_CODES[each.verdict.state] for each in reports), default=0)
    return supervisor.Ending(worst)


def _asked(subject: str, namespace: str) -> tuple[keys.Key, _Walk]:
    """Read `NAME` or `KIND/NAME`; raises `Misconfigured`."""
    kind, slash, name = subject.partition("/")
    if not slash:
        kind, name = "snapshot", subject
    kind = _SPELLINGS.get(kind, kind)
    if kind not in _SUBJECTS or not name:
        raise errors.Misconfigured(
            f"{subject!r}: write NAME for a VolumeSnapshot, or KIND/NAME with one of "
            f"{', '.join(_SUBJECTS)}"
        )
    what, explain = _SUBJECTS[kind]
    if not resources.of(what).namespaced:
        return keys.Key(what, "", name), explain
    return keys.Key(what, namespace or "default", name), explain
