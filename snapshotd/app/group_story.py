"""The demo's second story: three volumes that belong together, cut as one, restored, and let go.

A ledger writes each of its rounds to all three volumes, and is of use only where all three hold the
same rounds. Every step may be repeated, as in `story`.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from snapshotd.app import scene

CLAIMS = ("story-ledger", "story-index", "story-journal")
RESTORED = {claim: f"{claim}-restored" for claim in CLAIMS}
GROUP = "story-group"
_LABELS = {"story": "group"}
_CUT_AFTER, _GOES_ON_TO = 3, 5  # rounds

Steps = list[tuple[str, Callable[[], Awaitable[str]]]]


class GroupStory:
    """The steps of the story, on a scene that is set."""

    def __init__(self, on: scene.Scene) -> None:
        """Play on this scene."""
        self._scene = on
        self._cluster = on.cluster
        self._progress = on.progress

    def steps(self) -> Steps:
        """Return each step with its title."""
        return [
            ("write the same rounds to three volumes", self.write_rounds),
            ("take one group snapshot of all three", self.take_group),
            ("go on writing to all three", self.write_on),
            ("restore every member: one and the same moment", self.restore_members),
            ("delete the group: members, contents and files go", self.delete_group),
        ]

    async def write_rounds(self) -> str:
        """Make the claims, and write the first rounds."""
        for claim in CLAIMS:
            labelled = {"metadata": {"labels": _LABELS}, **scene.claim()}
            await self._cluster.bring("persistentvolumeclaims", claim, labelled)
        folders = [await self._scene.folder_of(claim) for claim in CLAIMS]
        _write(folders, 1, _CUT_AFTER)
        for claim, folder in zip(CLAIMS, folders, strict=True):
            self._progress.rounds[claim] = scene.checksum(folder)
        return f"rounds 1 to {_CUT_AFTER} in each of {', '.join(CLAIMS)}"

    async def take_group(self) -> str:
        """Take the group snapshot with the default class."""
        source = {"selector": {"matchLabels": _LABELS}}
        await self._cluster.bring("volumegroupsnapshots", GROUP, {"spec": {"source": source}})
        group = await self._scene.ready(GROUP, "volumegroupsnapshots")
        moments = set()
        for each in await self._cluster.all("volumesnapshots"):
            if each.get("status", {}).get("volumeGroupSnapshotName") != GROUP:
                continue
            name, status = each["metadata"]["name"], each["status"]
            content = await self._scene.content_of(name)
            claim = each["spec"]["source"]["persistentVolumeClaimName"]
            self._progress.members[claim] = scene.Cut(
                name, content["metadata"]["name"], content["status"]["snapshotHandle"]
            )
            moments.add(status["creationTime"])
        if set(self._progress.members) != set(CLAIMS):
            raise scene.Failed(f"its members are of {sorted(self._progress.members)}")
        if moments != {group["status"]["creationTime"]}:
            raise scene.Failed(f"its members were cut at {sorted(moments)}")
        return f"{GROUP} is ready: {len(CLAIMS)} members, all cut at {moments.pop()}"

    async def write_on(self) -> str:
        """Write more rounds, which no member may hold."""
        folders = [await self._scene.folder_of(claim) for claim in CLAIMS]
        _write(folders, _CUT_AFTER + 1, _GOES_ON_TO)
        return f"rounds {_CUT_AFTER + 1} to {_GOES_ON_TO} in each"

    async def restore_members(self) -> str:
        """Restore each member into a new claim, and compare the files with those of the cut."""
        for claim, member in self._progress.members.items():
            restored = scene.claim(member.snapshot)
            await self._cluster.bring("persistentvolumeclaims", RESTORED[claim], restored)
        for claim in CLAIMS:
            folder = await self._scene.folder_of(RESTORED[claim])
            found = _rounds_in(folder)
            if found != _CUT_AFTER or scene.checksum(folder) != self._progress.rounds[claim]:
                raise scene.Failed(f"the files in {folder} end with round {found}, not as cut")
            source = _rounds_in(await self._scene.folder_of(claim))
            if source != _GOES_ON_TO:
                raise scene.Failed(f"{claim} ends with round {source}")
        return f"each ends with round {_CUT_AFTER}; their sources with round {_GOES_ON_TO}"

    async def delete_group(self) -> str:
        """Delete the group, and see all that was made for it go."""
        await self._cluster.delete("volumegroupsnapshots", GROUP)
        await self._cluster.gone("volumegroupsnapshots", GROUP)
        for member in self._progress.members.values():
            await self._cluster.gone("volumesnapshots", member.snapshot)
            await self._cluster.gone("volumesnapshotcontents", member.content)
        for content in await self._cluster.all("volumegroupsnapshotcontents"):
            if content["spec"]["volumeGroupSnapshotRef"]["name"] == GROUP:
                await self._cluster.gone("volumegroupsnapshotcontents", content["metadata"]["name"])
        await self._scene.until(self._no_trees, "the files of the members are still there")
        return f"{len(CLAIMS)} members, their contents and their files are gone"

    async def _no_trees(self) -> bool:
        members = self._progress.members.values()
        return not any(self._scene.tree(each.handle).exists() for each in members)


def _write(folders: list[Path], first: int, last: int) -> None:
    for number in range(first, last + 1):
        for folder in folders:
            (folder / f"round-{number}").write_bytes(f"round {number}\n".encode() * 1024)


def _rounds_in(folder: Path) -> int:
    """Return the last round that a volume holds, 0 if one before it is missing."""
    found = sorted(int(each.name.removeprefix("round-")) for each in folder.glob("round-*"))
    return found[-1] if found and found == list(range(1, found[-1] + 1)) else 0
