"""`snapshotd dev --demo`: the story of a snapshot, and of a group of them, checked at every step.

Every step is named and idempotent, and keeps what it must not forget in one file below the data
folder: killed at any moment and started again, the story goes on and ends in the same way.
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.abc
import msgspec

from snapshotd import errors
from snapshotd.app import cluster, group_story, scene, stage

CLAIM, RESTORED, ADOPTED = "story-data", "story-restored", "story-adopted"
SNAPSHOT, KEPT, GIVEN = "story-snapshot", "story-kept", "story-given"
RETAIN_CLASS = "story-retain"
_CLAIMS = (CLAIM, RESTORED, ADOPTED, *group_story.CLAIMS, *group_story.RESTORED.values())
_FILES = {"letter.txt": b"what was written before\n", "photos/cat.bin": bytes(range(256)) * 512}


class Story:
    """The story over one running `snapshotd dev`."""

    def __init__(self, folder: Path, kubeconfig: Path, *, output: str) -> None:
        """Take up the story where it was left."""
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._file = folder / "story.json"
        self._stage = stage.Stage(output)
        self._progress = self._load()

    def _load(self) -> scene.Progress:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=scene.Progress)
        except (OSError, msgspec.DecodeError):
            return scene.Progress()

    def _keep(self) -> None:
        unfinished = self._file.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(self._progress))
        unfinished.rename(self._file)

    async def run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Play every step; raises `Refused` naming the step that did not end as it should."""
        task_status.started()
        async with cluster.Cluster(self._kubeconfig) as self._cluster:
            self._scene = scene.Scene(self._folder, self._cluster, self._progress)
            steps = self._steps()
            self._stage.begin(len(steps))
            for title, step in steps:
                await self._play(title, step)
        self._file.unlink(missing_ok=True)
        self._stage.end(self._scene.left())

    def _steps(self) -> group_story.Steps:
        return [
            ("make a volume and write files into it", self.make_volume),
            ("take a snapshot of it", self.take_snapshot),
            ("change the files", self.change_files),
            ("restore the snapshot into a new volume", self.restore),
            ("compare: the restored files are the old ones", self.compare),
            ("take a snapshot that is to be kept (policy Retain)", self.take_kept),
            ("bring the kept one back as a pre-provisioned snapshot", self.adopt),
            ("delete with policy Delete: all of it goes", self.delete),
            ("delete with policy Retain: the files stay", self.delete_kept),
            *group_story.GroupStory(self._scene).steps(),
            ("tidy up", self.tidy),
        ]

    async def _play(self, title: str, step: Callable[[], Awaitable[str]]) -> None:
        name = step.__name__
        if name in self._progress.done:
            self._stage.skipped(title)
            return
        self._stage.starting(title)
        began = time.monotonic()
        try:
            told = await step()
        except (scene.Failed, errors.SnapshotdError) as error:
            self._stage.failed(title, str(error), time.monotonic() - began)
            raise errors.Refused(f"the demo failed at '{title}': {error}") from None
        self._stage.finished(title, told, time.monotonic() - began)
        self._progress.done.append(name)
        self._keep()

    async def make_volume(self) -> str:
        """Make the claim, and fill its volume."""
        await self._cluster.bring("persistentvolumeclaims", CLAIM, scene.claim())
        folder = await self._scene.folder_of(CLAIM)
        for path, content in _FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        self._progress.checksum = scene.checksum(folder)
        return f"{len(_FILES)} files in {scene.short(folder)}"

    async def take_snapshot(self) -> str:
        """Take the snapshot with the default class."""
        source = {"persistentVolumeClaimName": CLAIM}
        await self._cluster.bring("volumesnapshots", SNAPSHOT, {"spec": {"source": source}})
        await self._scene.ready(SNAPSHOT)
        return f"{SNAPSHOT} is ready: {scene.short(await self._scene.tree_of(SNAPSHOT))}"

    async def change_files(self) -> str:
        """Change one file and remove the other."""
        folder = await self._scene.folder_of(CLAIM)
        (folder / "letter.txt").write_bytes(b"what was written after\n")
        (folder / "photos/cat.bin").unlink(missing_ok=True)
        if scene.checksum(folder) == self._progress.checksum:
            raise scene.Failed("the files are still the old ones")
        return "one file changed, one removed"

    async def restore(self) -> str:
        """Restore into a new claim."""
        await self._cluster.bring("persistentvolumeclaims", RESTORED, scene.claim(SNAPSHOT))
        folder = await self._scene.folder_of(RESTORED)
        return f"{RESTORED} is bound: {scene.short(folder)}"

    async def compare(self) -> str:
        """Compare checksums."""
        old, new = await self._scene.folder_of(RESTORED), await self._scene.folder_of(CLAIM)
        if scene.checksum(old) != self._progress.checksum:
            raise scene.Failed(f"the restored files in {old} are not the old ones")
        if scene.checksum(new) == self._progress.checksum:
            raise scene.Failed(f"the changed files in {new} are the old ones")
        before, after = scene.checksum(old)[:12], scene.checksum(new)[:12]
        return f"restored {before} = before; source {after} = after"

    async def take_kept(self) -> str:
        """Take a snapshot by a class that retains."""
        driver = "hostpath.csi.k8s.io"
        class_ = {"driver": driver, "deletionPolicy": "Retain"}
        await self._cluster.bring("volumesnapshotclasses", RETAIN_CLASS, class_)
        spec = {
            "volumeSnapshotClassName": RETAIN_CLASS,
            "source": {"persistentVolumeClaimName": RESTORED},
        }
        await self._cluster.bring("volumesnapshots", KEPT, {"spec": spec})
        await self._scene.ready(KEPT)
        content = await self._scene.content_of(KEPT)
        self._progress.kept_handle = content["status"]["snapshotHandle"]
        return f"{KEPT} is ready: handle {self._progress.kept_handle[:8]}..."

    async def adopt(self) -> str:
        """Make content and snapshot by hand for a handle that exists, and restore from them."""
        spec = {"source": {"volumeSnapshotContentName": GIVEN}}
        await self._cluster.bring("volumesnapshots", GIVEN, {"spec": spec})
        content = {
            "spec": {
                "deletionPolicy": "Retain",
                "driver": "hostpath.csi.k8s.io",
                "source": {"snapshotHandle": self._progress.kept_handle},
                "volumeSnapshotRef": {"name": GIVEN, "namespace": "default"},
            }
        }
        await self._cluster.bring("volumesnapshotcontents", GIVEN, content)
        await self._scene.ready(GIVEN)
        await self._cluster.bring("persistentvolumeclaims", ADOPTED, scene.claim(GIVEN))
        folder = await self._scene.folder_of(ADOPTED)
        if scene.checksum(folder) != self._progress.checksum:
            raise scene.Failed(f"the files in {folder} are not the old ones")
        return f"{GIVEN} bound to a content made by hand, and restored into {ADOPTED}"

    async def delete(self) -> str:
        """Delete the snapshot whose policy is Delete."""
        found = await self._cluster.get("volumesnapshots", SNAPSHOT)
        if found is None:
            return "gone already"
        name = found["status"]["boundVolumeSnapshotContentName"]
        content = await self._cluster.get("volumesnapshotcontents", name)
        await self._cluster.delete("volumesnapshots", SNAPSHOT)
        await self._cluster.gone("volumesnapshots", SNAPSHOT)
        if await self._cluster.get("volumesnapshotcontents", name) is not None:
            raise scene.Failed(f"its content {name} is still there")
        if content is not None:
            tree = self._scene.tree(content["status"]["snapshotHandle"])
            if tree.exists():
                raise scene.Failed(f"its files {tree} are still there")
        return "snapshot, content and files are gone"

    async def delete_kept(self) -> str:
        """Delete the snapshots whose policy is Retain."""
        for name in (GIVEN, KEPT):
            await self._cluster.delete("volumesnapshots", name)
            await self._cluster.gone("volumesnapshots", name)
        tree = self._scene.tree(self._progress.kept_handle)
        if scene.checksum(tree) != self._progress.checksum:
            raise scene.Failed(f"the files in {tree} are not what they were")
        if await self._cluster.get("volumesnapshotcontents", GIVEN) is None:
            raise scene.Failed(f"the content {GIVEN} is gone")
        return f"the contents stay, and so does {scene.short(tree)}"

    async def tidy(self) -> str:
        """Delete what the story made, but for the files that policy Retain keeps."""
        for name in _CLAIMS:
            await self._cluster.delete("persistentvolumeclaims", name)
        for name in _CLAIMS:
            await self._cluster.gone("persistentvolumeclaims", name)
        for content in await self._cluster.all("volumesnapshotcontents"):
            if content["spec"]["volumeSnapshotRef"]["name"] in {GIVEN, KEPT}:
                name = content["metadata"]["name"]
                await self._cluster.delete("volumesnapshotcontents", name)
                await self._cluster.gone("volumesnapshotcontents", name)
        await self._cluster.delete("volumesnapshotclasses", RETAIN_CLASS)
        await self._scene.until(self._no_volumes, "the volumes of the claims are still there")
        return "claims and volumes are gone"

    async def _no_volumes(self) -> bool:
        found = await self._cluster.all("persistentvolumes")
        return not any(each["spec"].get("claimRef", {}).get("name") in _CLAIMS for each in found)
