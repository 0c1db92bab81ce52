"""Users of a cluster: they take, restore, delete and adopt snapshots, each a story in steps.

A story is a generator that yields until what it waits for is there. All look at the cluster
together, and what they want in one step is asked for together, since kubectl is slow to start.
"""

import collections
import json
import random
from collections.abc import Iterator
from typing import Final

import e2e
import faulty

CLAIMS: Final = 8
_DRIVER: Final = "hostpath.csi.k8s.io"
_CLASSES: Final = {"Delete": "csi-hostpath-snapclass", "Retain": "retain"}
_KINDS: Final = "volumesnapshots,volumesnapshotcontents,persistentvolumeclaims"

SNAPSHOT, CONTENT, CLAIM = "VolumeSnapshot", "VolumeSnapshotContent", "PersistentVolumeClaim"
_API = "snapshot.storage.k8s.io/v1"

Story = Iterator[None]


def claim(name: str, source: str = "") -> e2e.JsonObject:
    spec: e2e.JsonObject = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    if source:
        group = _API.partition("/")[0]
        spec["dataSource"] = {"apiGroup": group, "kind": SNAPSHOT, "name": source}
    return {"apiVersion": "v1", "kind": CLAIM, "metadata": {"name": name}, "spec": spec}


def snapshot(name: str, source: e2e.JsonObject, policy: str) -> e2e.JsonObject:
    spec: e2e.JsonObject = {"source": source}
    if "persistentVolumeClaimName" in source:
        spec |= {"volumeSnapshotClassName": _CLASSES[policy]}
    return {"apiVersion": _API, "kind": SNAPSHOT, "metadata": {"name": name}, "spec": spec}


def content(name: str, handle: str, policy: str) -> e2e.JsonObject:
    return {
        "apiVersion": _API,
        "kind": CONTENT,
        "metadata": {"name": name},
        "spec": {
            "deletionPolicy": policy,
            "driver": _DRIVER,
            "source": {"snapshotHandle": handle},
            "volumeSnapshotRef": {"name": name, "namespace": "default"},
        },
    }


RETAIN: Final = {
    "apiVersion": _API,
    "kind": "VolumeSnapshotClass",
    "metadata": {"name": "retain"},
    "driver": _DRIVER,
    "deletionPolicy": "Retain",
}


class Users:
    """All of them, and what they know."""

    def __init__(self, cluster: faulty.Cluster, dice: random.Random) -> None:
        self.ready: dict[str, str] = {}  # snapshots that nobody works on, and their policy
        self.forgotten: set[str] = set()  # handles on storage that no object shows any more
        self.done: collections.Counter[str] = collections.Counter()
        self.stories: dict[str, Story] = {}
        self._cluster = cluster
        self._dice = dice
        self._number = 0
        self._seen: dict[tuple[str, str], e2e.JsonObject] = {}
        self._wanted: list[e2e.JsonObject] = []
        self._unwanted: list[str] = []

    def begin(self) -> None:
        """Make the class and the claims that all is taken of."""
        self._wanted = [RETAIN, *(claim(f"claim-{number}") for number in range(CLAIMS))]
        self._ask()

    def look(self) -> None:
        """See what is there, and let each story go on."""
        found = self._cluster.kubectl.items(_KINDS)
        self._seen = {(each["kind"], each["metadata"]["name"]): each for each in found}
        for name, story in list(self.stories.items()):
            if next(story, self) is self:
                del self.stories[name]
        self._ask()

    def more(self) -> None:
        """Begin a few stories."""
        dice = self._dice
        for _ in range(dice.randint(2, 6)):
            policy = dice.choice(["Delete", "Delete", "Retain"])
            self._tell("take", self._take(self._name("snap"), policy))
        for name in dice.sample(sorted(self.ready), k=len(self.ready) // 4):
            policy = self.ready.pop(name)
            if dice.random() < 0.2:
                self._tell("restore", self._restore(name, policy))
            elif policy == "Delete":
                self._tell("drop", self._drop(name))
            else:
                self._tell("retire", self._retire(name))

    def seen(self, kind: str) -> list[e2e.JsonObject]:
        return [each for (found, _), each in self._seen.items() if found == kind]

    def handles(self) -> set[str]:
        """Return the handles that contents show."""
        return {str(each["status"]["snapshotHandle"]) for each in self.seen(CONTENT)}

    def _tell(self, kind: str, story: Story) -> None:
        self.done[kind] += 1
        self.stories[f"{kind} {self.done[kind]}"] = story

    def _take(self, name: str, policy: str) -> Story:
        source = {"persistentVolumeClaimName": f"claim-{self._dice.randrange(CLAIMS)}"}
        self._wanted.append(snapshot(name, source, policy))
        yield
        if policy == "Delete" and self._dice.random() < 0.1:  # somebody thinks better of it
            self.done["given up"] += 1
            yield from self._drop(name)
        else:
            yield from self._until_ready(name)
            self.ready[name] = policy

    def _drop(self, name: str) -> Story:
        yield from self._remove(SNAPSHOT, name)

    def _restore(self, name: str, policy: str) -> Story:
        restored = self._name("restored")
        self._wanted.append(claim(restored, name))
        yield
        while self._field(CLAIM, restored, "phase") != "Bound":
            yield
        self.ready[name] = policy
        if self._dice.random() < 0.5:
            yield from self._remove(CLAIM, restored)

    def _retire(self, name: str) -> Story:
        """Delete a snapshot whose storage stays, and do something with what is left."""
        bound = str(self._field(SNAPSHOT, name, "boundVolumeSnapshotContentName"))
        handle = str(self._field(CONTENT, bound, "snapshotHandle"))
        fate = self._dice.choice(["keep", "forget", "adopt", "adopt"])
        self.done[fate] += 1
        yield from self._remove(SNAPSHOT, name)
        if fate == "keep":
            return
        yield from self._remove(CONTENT, bound)
        self.forgotten.add(handle)
        if fate == "adopt":
            again, policy = self._name("adopted"), self._dice.choice(["Delete", "Retain"])
            self.forgotten.remove(handle)
            source = {"volumeSnapshotContentName": again}
            self._wanted += [content(again, handle, policy), snapshot(again, source, policy)]
            yield
            yield from self._until_ready(again)
            self.ready[again] = policy

    def _until_ready(self, name: str) -> Story:
        while self._field(SNAPSHOT, name, "readyToUse") is not True:
            yield

    def _remove(self, kind: str, name: str) -> Story:
        self._unwanted.append(f"{kind.lower()}/{name}")
        yield
        while (kind, name) in self._seen:
            yield

    def _field(self, kind: str, name: str, field: str) -> object:
        return self._seen.get((kind, name), {}).get("status", {}).get(field)

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"

    def _ask(self) -> None:
        wanted, self._wanted = self._wanted, []
        unwanted, self._unwanted = self._unwanted, []
        if wanted:
            manifest = "\n---\n".join(map(json.dumps, wanted))
            self._cluster.kubectl("create", "-f", "-", given=manifest)
        if unwanted:
            self._cluster.kubectl("delete", "--wait=false", "--ignore-not-found", *unwanted)
