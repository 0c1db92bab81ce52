"""`snapshotd status` of group snapshots: counted by themselves, by the rules of snapshots."""

import io
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import e2e
import objects
import pytest
import rich.console

from snapshotd.app.status import show, survey, watching
from snapshotd.model import groups, keys, snapshots, wire
from snapshotd.runtime import store

LIMITS = survey.Limits(stuck_after=300.0)


def at(seconds: float) -> float:
    return objects.NOW + seconds


def cache_of(*found: Any) -> store.Store[wire.Object]:
    cache: store.Store[wire.Object] = store.Store()
    for each in found:
        cache.put(each)
    return cache


def drawn(told: survey.Survey) -> str:
    file = io.StringIO()
    terminal = rich.console.Console(file=file, width=120, force_terminal=True, color_system=None)
    terminal.print(show.draw(told))
    return file.getvalue()


def grouped(name: str, **fields: Any) -> groups.VolumeGroupSnapshot:
    return objects.group(metadata__name=name, metadata__uid=f"uid-{name}", **fields)


GROUP_FAILED = groups.GroupStatus(error=objects.ERROR)
GROUP_READY = groups.GroupStatus(ready_to_use=True, creation_time=objects.NOW_TEXT)


@pytest.mark.parametrize(
    ("group", "state"),
    [
        (objects.group(), "pending"),
        (objects.group(status=GROUP_FAILED), "failing"),
        (objects.group(status=GROUP_READY), "ready"),
        (objects.group(metadata__deletion_timestamp=objects.NOW_TEXT), "deleting"),
    ],
)
def test_groups_are_counted_by_themselves(group: groups.VolumeGroupSnapshot, state: str) -> None:
    told = survey.of(
        cache_of(group, objects.ready_snapshot(), objects.ready_content()), at(1), LIMITS
    )

    assert {each: count for each, count in told.groups.states.items() if count} == {state: 1}
    assert (told.groups.total, told.total) == (1, 1)
    assert (told.throughput.cut_last_minute, list(told.drivers)) == (0, [objects.DRIVER])


def test_a_group_is_stuck_by_the_rules_of_snapshots_and_told_with_its_contents_error() -> None:
    error = snapshots.SnapshotError(message="the array is full")
    content = objects.group_content(
        metadata__name="groupsnapcontent-uid-slow",
        status=groups.GroupContentStatus(error=error),
    )
    slow = grouped("slow", spec__volume_group_snapshot_class_name="silver")
    going = grouped(
        "going",
        metadata__deletion_timestamp=objects.NOW_TEXT,
        metadata__finalizers=("a/b",),
        spec__volume_group_snapshot_class_name="silver",
    )
    silver = objects.group_class("silver", driver="class.example.com")
    cache = cache_of(grouped("failing", status=GROUP_FAILED), slow, going, content, silver)

    told = survey.of(cache, at(299), LIMITS).groups
    assert ([row.name for row in told.stuck], told.stuck_total) == (["failing"], 1)
    late = survey.of(cache, at(301), LIMITS).groups
    assert late.stuck_total == 3
    rows = {row.name: (row.driver, row.message) for row in late.slowest}
    assert rows == {
        "failing": (survey.NO_DRIVER, "it went wrong"),
        "slow": (objects.DRIVER, "the array is full"),
        "going": ("class.example.com", "held by a/b"),
    }


def test_without_groups_nothing_is_shown_of_them_and_all_that_was_there_is_in_the_json() -> None:
    told = survey.of(cache_of(objects.snapshot()), at(301), LIMITS)

    assert "group" not in drawn(told)
    told_as_json = json.loads(wire.encode(told))
    assert list(told_as_json)[-2:] == ["endpoints", "groups"]
    assert told_as_json["groups"]["states"] == dict.fromkeys(survey.STATES, 0)


def test_a_stuck_group_is_shown_with_the_command_that_explains_it() -> None:
    cache = cache_of(grouped("all", status=GROUP_FAILED), grouped("later"), objects.snapshot())
    text = drawn(survey.of(cache, at(90), LIMITS))

    assert "2 groups: 0 ready  1 pending  1 failing  0 deleting" in text
    assert "Stuck groups: 1" in text
    assert "Groups not settled yet, slowest first" in text
    assert "snapshotd explain -n ns group/all" in text


def test_nothing_but_snapshots_must_be_there_to_be_read() -> None:
    """Group kinds are missing in many clusters, and contents are closed to many people."""
    scopes = {each.kind: each for each in watching._scopes("prod")}
    needed = [kind for kind, scope in scopes.items() if not scope.optional]
    assert needed == [keys.Kind.VOLUME_SNAPSHOT]
    assert scopes[keys.Kind.VOLUME_GROUP_SNAPSHOT].namespace == "prod"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[e2e.Dev]:
    """An API server with a group of nothing, and no controller."""
    running = e2e.Dev(tmp_path_factory.mktemp("status") / "d", "--parts=apiserver").started()
    running.kubectl.apply("""
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: nightly}
spec: {source: {selector: {matchLabels: {app: db}}}}
""")
    yield running
    running.stop()


@pytest.mark.parametrize(("after", "code", "stuck"), [("0", 4, ["nightly"]), ("1h", 0, [])])
def test_a_stuck_group_has_the_exit_code_of_a_stuck_snapshot(
    dev: e2e.Dev, after: str, code: int, stuck: list[str]
) -> None:
    command = [e2e.program("snapshotd"), "status", f"--kubeconfig={dev.kubeconfig}", "-o", "json"]
    done = subprocess.run(
        [*command, f"--stuck-after={after}"],
        capture_output=True,
        text=True,
        timeout=e2e.PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (code, "")
    told = json.loads(done.stdout)
    assert (told["total"], told["stuck_total"]) == (0, 0)
    assert [row["name"] for row in told["groups"]["stuck"]] == stuck
    assert [row["name"] for row in told["groups"]["slowest"]] == ["nightly"]
