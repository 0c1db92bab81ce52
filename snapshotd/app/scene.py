"""What the demo's stories play on: a cluster, a data folder, and what must not be forgotten.

Every helper here looks or waits; a step that uses them may be repeated.
"""

import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec

from snapshotd.app import cluster

JsonObject = dict[str, Any]


class Cut(msgspec.Struct):
    """One member of the group snapshot: what is to go when the group goes."""

    snapshot: str
    content: str
    handle: str


class Progress(msgspec.Struct):
    """What the story must not forget: steps done, and the checksums of files as they were."""

    done: list[str] = []
    checksum: str = ""
    kept_handle: str = ""
    rounds: dict[str, str] = {}  # of each claim of the group
    members: dict[str, Cut] = {}


class Failed(Exception):
    """A step did not end as it should; the message says what is so, and why."""


class Scene:
    """One running `snapshotd dev`, and how far the story is."""

    def __init__(self, folder: Path, on: cluster.Cluster, progress: Progress) -> None:
        """Join the three."""
        self.folder = folder
        self.cluster = on
        self.progress = progress

    async def until(self, holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """Return once something holds; raises `Failed` saying what is so otherwise."""
        try:
            with anyio.fail_after(cluster.PATIENCE):
                while not await holds():  # noqa: ASYNC110 - another process is waited for
                    await anyio.sleep(0.02)
        except TimeoutError:
            raise Failed(otherwise) from None

    async def ready(self, name: str, plural: str = "volumesnapshots") -> JsonObject:
        """Return a snapshot, or group, once it is ready to use."""
        return await self.cluster.until(
            plural, name, lambda obj: obj.get("status", {}).get("readyToUse") is True
        )

    async def content_of(self, name: str) -> JsonObject:
        """Return the content that a snapshot is bound to."""
        snapshot = await self.cluster.get("volumesnapshots", name)
        bound = (snapshot or {}).get("status", {}).get("boundVolumeSnapshotContentName", "")
        content = await self.cluster.get("volumesnapshotcontents", bound) if bound else None
        if content is None:
            raise Failed(f"the content of {name} is not there")
        return content

    async def tree_of(self, name: str) -> Path:
        """Return where the files of a snapshot are."""
        content = await self.content_of(name)
        return self.tree(str(content["status"]["snapshotHandle"]))

    def tree(self, handle: str) -> Path:
        """Return where the driver keeps the files of a snapshot by its own name for it."""
        return self.folder / "snapshots" / handle

    async def folder_of(self, claim: str) -> Path:
        """Return where the files of a claim's volume are, once it is bound."""
        bound = await self.cluster.until(
            "persistentvolumeclaims",
            claim,
            lambda obj: obj.get("status", {}).get("phase") == "Bound",
        )
        volume = await self.cluster.get("persistentvolumes", bound["spec"]["volumeName"])
        if volume is None:
            raise Failed(f"the volume of {claim} is not there")
        return self.folder / "volumes" / str(volume["spec"]["csi"]["volumeHandle"])

    def left(self) -> JsonObject:
        """Return what is on disk."""
        return {
            "volumes": sorted(each.name for each in (self.folder / "volumes").iterdir()),
            "snapshots": sorted(each.name for each in (self.folder / "snapshots").iterdir()),
        }


def short(path: Path) -> str:
    """Return a path as a person in this folder would type it."""
    return os.path.relpath(path)


def claim(snapshot: str = "") -> JsonObject:
    """Return a claim for a small volume, empty or restored from a snapshot."""
    spec: JsonObject = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    if snapshot:
        spec["dataSource"] = {
            "apiGroup": "snapshot.storage.k8s.io",
            "kind": "VolumeSnapshot",
            "name": snapshot,
        }
    return {"spec": spec}


def checksum(folder: Path) -> str:
    """Return the SHA-256 of a tree: of every file's path and content, in order."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
