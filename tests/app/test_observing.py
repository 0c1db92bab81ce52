"""What /statusz shows of roles: of one in pieces, and of all that `snapshotd dev` runs."""

import json
import os
import re
import struct
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import browser
import e2e
import pytest
import scripted

from snapshotd import errors
from snapshotd.app import observing
from snapshotd.decide import intents
from snapshotd.model import keys
from snapshotd.runtime import actor, chronicle, workqueue
from snapshotd.telemetry import metrics, statusz

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Mi}}
"""
SNAPSHOT = """
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: %s}
spec: {volumeSnapshotClassName: %s, source: {persistentVolumeClaimName: %s}}
"""
CLASS = "csi-hostpath-snapclass"


def key(name: str) -> keys.Key:
    return keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", name)


class Bench:
    """A view of one actor whose keys do what their names say."""

    def __init__(self, name: str = "role-VolumeSnapshot") -> None:
        self.clock = scripted.Clock()
        meters = metrics.Metrics()
        self.queue: workqueue.WorkQueue[keys.Key] = workqueue.WorkQueue(
            name,
            self.clock,
            backoff=workqueue.BackoffSettings(start=8.0),
            metrics=meters,
            jitter=lambda delay: delay,
        )
        self.actor = actor.Actor(
            "a", self.queue, reconcile=self.reconcile, workers=1, deadline=5, metrics=meters
        )
        self.view = observing.View("role", self.clock)
        self.looked: list[keys.Key] = []
        self.view.works(self, {keys.Kind.VOLUME_SNAPSHOT: self.queue}, [self.actor])

    def look(self, key: keys.Key) -> intents.Decision:
        self.looked.append(key)
        return intents.Decision(why="as of now" if key.name == "waits" else "")

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        if key.name == "fails":
            raise errors.Unavailable("no answer")
        chronicle.because("as it was")
        return actor.Verdict()

    async def work(self, *names: str) -> statusz.Role:
        for name in names:
            self.queue.add(key(name))
        async with anyio.create_task_group() as group:
            group.start_soon(self.actor.run)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        self.clock.pass_by(5.0)
        return self.view.status()


async def test_before_it_has_begun_a_role_is_shown_as_starting() -> None:
    view = observing.View("role", scripted.Clock())

    assert view.status() == statusz.Role("role", "starting", "2023-11-14T22:13:20Z")


async def test_a_role_is_what_it_turned_into_since_it_did() -> None:
    clock = scripted.Clock()
    view = observing.View("role", clock)
    for state in ("standby", "leading", "leading"):
        clock.pass_by(10.0)
        view.turn(state)

    assert (view.status().state, view.status().since) == ("leading", "2023-11-14T22:13:40Z")


async def test_the_reason_is_the_one_of_now_and_else_the_last_that_was_told() -> None:
    role = await Bench().work("waits", "waited")

    assert [(each.key, each.where, each.seconds, each.why) for each in role.waiting] == [
        ("VolumeSnapshot ns/waits", "waits", 5.0, "as of now"),
        ("VolumeSnapshot ns/waited", "waits", 5.0, "as it was"),
    ]
    assert role.waits == 2


async def test_a_key_that_failed_is_shown_once_with_its_error_and_its_retry() -> None:
    role = await Bench().work("fails")

    assert role.waiting == [
        statusz.Waiting("VolumeSnapshot ns/fails", "delayed", 5.0, "no answer", 1, 3.0)
    ]
    assert [(each.key, each.result, each.error) for each in role.failures] == [
        ("VolumeSnapshot ns/fails", "unavailable", "no answer")
    ]
    assert role.queues == [statusz.Queue("role-VolumeSnapshot", 0, 1, 0)]


async def test_of_thousands_only_the_few_that_are_shown_are_asked_for_their_reason() -> None:
    bench, other = Bench(), Bench("role-PersistentVolumeClaim")
    queues = {keys.Kind.VOLUME_SNAPSHOT: bench.queue, keys.Kind.CLAIM: other.queue}
    bench.view.works(bench, queues, [bench.actor, other.actor])
    for number in range(3000):
        bench.queue.add(key(f"k{number}"))
        other.queue.add(key(f"l{number}"))

    role = bench.view.status()
    assert len(role.waiting) == len(bench.looked) == statusz.SHOWN
    assert [queue.due for queue in role.queues] == [3000, 3000]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[e2e.Dev]:
    """All roles, with snapshots that are ready, that wait, and that fail."""
    running = e2e.Dev(tmp_path / "d", "--http-endpoint=127.0.0.1:0").started()
    try:
        kubectl = running.kubectl
        kubectl.apply(CLAIM + "".join(SNAPSHOT % (f"daily-{n}", CLASS, "data") for n in range(3)))
        for number in range(3):
            kubectl.ready(f"daily-{number}")
        running.faults({"methods": {"CreateSnapshot": {"code": "RESOURCE_EXHAUSTED"}}})
        broken = (("weekly", CLASS, "data"), ("gold", "gold", "data"), ("lost", CLASS, "nothing"))
        kubectl.apply("".join(SNAPSHOT % each for each in broken))
        yield running
    finally:
        running.stop()


def url_of(dev: e2e.Dev) -> str:
    found = re.search(r"endpoint_listening .*port=(\d+)", dev.log.read_text())
    assert found, dev.log.read_text()
    return f"http://127.0.0.1:{found[1]}/statusz"


def roles(dev: e2e.Dev) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url_of(dev)}.json") as answer:  # noqa: S310 - http, and ours
        return {each["name"]: each for each in json.load(answer)["roles"]}


def settled(dev: e2e.Dev) -> bool:
    shown = roles(dev)
    return shown["snapshot-controller"]["waits"] >= 3 and bool(shown["csi-snapshotter"]["failures"])


def test_a_browser_shows_all_roles_with_what_waits_and_what_failed(
    dev: e2e.Dev, tmp_path: Path
) -> None:
    dev.until(lambda: settled(dev), "nothing waits, or nothing failed")

    controller, sidecar = roles(dev)["snapshot-controller"], roles(dev)["csi-snapshotter"]
    assert controller["state"] == "working"
    assert {"kind": "VolumeSnapshot", "objects": 6, "synced": True, "problem": ""} in controller[
        "caches"
    ]
    assert sidecar["driver"]["connected"]
    assert sidecar["throttle"]["places"] > 0
    dom = anyio.run(lambda: browser.dom(tmp_path, url_of(dev), seconds=4))
    for shown in (
        "snapshot-controller",
        "hostpath.csi.k8s.io</small>",
        "RESOURCE_EXHAUSTED",
        "default/gold",
    ):
        assert shown in dom
    png = anyio.run(lambda: browser.picture(tmp_path, url_of(dev), width=412, height=915))
    assert struct.unpack(">II", png[16:24]) == (412, 915)
    if wanted := os.environ.get("STATUSZ_PICTURE"):  # `just statusz-picture`
        page = anyio.run(lambda: browser.picture(tmp_path, url_of(dev), width=1000, height=1765))
        Path(wanted).write_bytes(page)
