"""A soak: users at work, two controllers and two sidecars that contend, and everything goes wrong.

In the end the API objects and the storage agree exactly, and no write was made by a process without
the lease. `SOAK_SECONDS` sets how long, `SOAK_SEED` which; both are told by a failure.

What the fence guarantees: a leader looks at its lease just before it hands the bytes of a write to
the kernel, and cuts what is under way half-way between its own renew deadline and the moment at
which another may begin; so the proxy holds no request for longer than the other half. What it
cannot prevent is told in `lease_history`, is excused at most once a freeze, and is counted.
"""

import collections
import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import e2e
import faulty
import pytest
from fault_plan import Fault
from lease_history import judge, tenures
from soak_strikes import ROLES, Strikes
from soak_users import CLAIM, CONTENT, SNAPSHOT, Users

pytestmark = pytest.mark.e2e

SECONDS = float(os.environ.get("SOAK_SECONDS", "90"))  # about two minutes in all
SEED = int(os.environ.get("SOAK_SEED", "1"))
ROUND = 0.3  # seconds between two looks of the users
WEATHER = 5.0  # seconds
BLOWS = 2.5  # seconds between two, at least
AT_ONCE = 100  # stories of users
SETTLED = 120.0  # seconds for all to be as wanted, after the last fault


class Soak:
    def __init__(self, cluster: faulty.Cluster, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - a soak that can be had again
        self.cluster = cluster
        self.users = Users(cluster, dice)
        self.strikes = Strikes(cluster, dice)

    def run(self, seconds: float) -> None:
        for name in ROLES:
            self.cluster.start(name)
        self.users.begin()
        end = time.monotonic() + seconds
        weather = blow = time.monotonic()
        while (now := time.monotonic()) < end:
            if now >= weather:
                self.strikes.weather()
                weather = now + WEATHER
            if len(self.users.stories) < AT_ONCE:
                self.users.more()
            self.users.look()
            if now >= blow:  # just now, when all are busy with what the users have asked for
                self.strikes.strike()
                blow = time.monotonic() + BLOWS
            self.strikes.keep()
            self.cluster.linger(ROUND)

    def settle(self) -> None:
        """Let nothing go wrong any more, and wait until everybody has what he wants."""
        self.strikes.calm()
        deadline = time.monotonic() + SETTLED
        while self.users.stories:
            assert time.monotonic() < deadline, self.waits()
            self.strikes.keep()
            self.users.look()
            self.cluster.linger(ROUND)

    def clear(self) -> None:
        """Delete all there is, and wait until it is gone."""
        for kind in (SNAPSHOT, CONTENT, CLAIM):
            patience = f"--timeout={e2e.PATIENCE:g}s"
            self.cluster.kubectl("delete", kind.lower(), "--all", patience)
        self.users.look()

    def waits(self) -> str:
        stuck = [
            json.dumps(each)[:1500]
            for kind in (SNAPSHOT, CONTENT, CLAIM)
            for each in self.users.seen(kind)
            if not as_wanted(each)
        ]
        told = "\n".join(stuck[:10])
        return f"{sorted(self.users.stories)}\n{told}\n{self.cluster.tails()}"


def as_wanted(obj: e2e.JsonObject) -> bool:
    status = obj.get("status", {})
    settled = status.get("readyToUse") is True or status.get("phase") == "Bound"
    return settled and "deletionTimestamp" not in obj["metadata"]


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[Soak]:
    with faulty.Cluster(tmp_path) as cluster:
        yield Soak(cluster, SEED)
        written = [str(entry) for entry in list(cluster.proxy.log)]
        (tmp_path / "proxy.log").write_text("\n".join(written))


@contextlib.contextmanager
def told(soak: Soak) -> Iterator[None]:
    """Say with a failure how to have it again."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"SOAK_SECONDS={SECONDS:g} SOAK_SEED={SEED}")
        error.add_note(f"users {dict(soak.users.done)}, blows {dict(soak.strikes.done)}")
        raise


def test_after_a_soak_storage_and_api_agree_and_only_leaders_have_written(soak: Soak) -> None:
    with told(soak):
        soak.run(SECONDS)
        soak.settle()
        check_agreement(soak)
        check_fence(soak)
        check_that_it_was_a_soak(soak)
        kept = soak.users.forgotten | retained(soak)
        soak.clear()
        assert soak.cluster.on_disk() == kept
        assert soak.cluster.on_disk("volumes") == set()
        assert [soak.users.seen(kind) for kind in (SNAPSHOT, CONTENT, CLAIM)] == [[], [], []]


def retained(soak: Soak) -> set[str]:
    return {
        each["status"]["snapshotHandle"]
        for each in soak.users.seen(CONTENT)
        if each["spec"]["deletionPolicy"] == "Retain"
    }


def check_agreement(soak: Soak) -> None:
    users, cluster = soak.users, soak.cluster
    users.look()
    everything = [each for kind in (SNAPSHOT, CONTENT, CLAIM) for each in users.seen(kind)]
    assert [each for each in everything if not as_wanted(each)] == []
    assert {each["metadata"]["name"] for each in users.seen(SNAPSHOT)} == users.ready.keys()
    shown = [each["status"]["snapshotHandle"] for each in users.seen(CONTENT)]
    assert [handle for handle, times in collections.Counter(shown).items() if times > 1] == []
    assert cluster.on_disk() == set(shown) | users.forgotten
    bound = {each["status"]["boundVolumeSnapshotContentName"] for each in users.seen(SNAPSHOT)}
    contents = {each["metadata"]["name"]: each for each in users.seen(CONTENT)}
    left = [each for name, each in contents.items() if name not in bound]
    assert [each for each in left if each["spec"]["deletionPolicy"] != "Retain"] == []
    volumes = {
        each["spec"]["csi"]["volumeHandle"] for each in cluster.kubectl.items("persistentvolumes")
    }
    assert cluster.on_disk("volumes") == volumes

    def held() -> list[str]:
        found = (each["metadata"].get("finalizers", []) for each in cluster.kubectl.items("pvc"))
        return [name for names in found for name in names if "snapshot" in name]

    cluster.until(lambda: held() == [], "a claim is not released")


def check_fence(soak: Soak) -> None:
    log = list(soak.cluster.proxy.log)
    everybody = [*soak.cluster.past, *soak.cluster.roles.values()]
    woken = {role.who: role.woken for role in everybody}
    for role in ("controller", "sidecar"):
        held = tenures(log, role, faulty.LEASE)
        verdict = judge(log, role, held, woken)
        assert verdict.blamed == [], "writes without the lease"
        freezes = sum(len(each) for each in woken.values())
        soak.users.done[f"{role}: fair writes"] = verdict.fair
        soak.users.done[f"{role}: excused writes"] = len(verdict.excused)
        soak.users.done[f"{role}: tenures"] = len(held)
        assert len(verdict.excused) <= freezes
        assert len({each.who for each in held}) > 2, "nobody took over"


def check_that_it_was_a_soak(soak: Soak) -> None:
    everybody = [*soak.cluster.past, *soak.cluster.roles.values()]
    assert [role.who for role in everybody if "Traceback" in role.log()] == []
    assert soak.strikes.surprises == []
    assert soak.strikes.done["freeze_leader"] > 0
    assert set(Fault) - set(+soak.strikes.struck) == set(), "these never struck"
    assert soak.users.done["take"] >= SECONDS
