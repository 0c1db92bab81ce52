"""`snapshotd status`: what a cache comes to, how it is drawn, and the command as users run it."""

import ast
import io
import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import e2e
import objects
import pytest
import rich.console
import scripted
from aiohttp import test_utils, web

import snapshotd
from snapshotd.app.status import show, survey, watching
from snapshotd.model import snapshots, wire
from snapshotd.runtime import store
from snapshotd.telemetry import statusz

LIMITS = survey.Limits(stuck_after=300.0)
CREATED = "metadata__creation_timestamp"
BOTH = snapshots.VolumeSnapshotStatus(ready_to_use=True, error=objects.ERROR)
FAILED = snapshots.VolumeSnapshotStatus(error=objects.ERROR)


def at(seconds: float) -> float:
    return objects.NOW + seconds


def cache_of(*found: Any) -> store.Store[wire.Object]:
    cache: store.Store[wire.Object] = store.Store()
    for each in found:
        cache.put(each)
    return cache


def named(name: str, **fields: Any) -> snapshots.VolumeSnapshot:
    return objects.snapshot(metadata__name=name, metadata__uid=f"uid-{name}", **fields)


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (objects.snapshot(), "pending"),
        (objects.snapshot(status=FAILED), "failing"),
        (objects.ready_snapshot(), "ready"),
        (objects.snapshot(status=BOTH), "ready"),
        (objects.snapshot(metadata__deletion_timestamp=objects.NOW_TEXT), "deleting"),
        (
            objects.snapshot(metadata__deletion_timestamp=objects.NOW_TEXT, status=FAILED),
            "deleting",
        ),
    ],
)
def test_every_snapshot_is_in_one_state(snapshot: snapshots.VolumeSnapshot, state: str) -> None:
    told = survey.of(cache_of(snapshot), at(1), LIMITS)

    assert {each: count for each, count in told.states.items() if count} == {state: 1}
    assert told.total == 1


def test_the_driver_is_that_of_the_content_and_else_that_of_the_class() -> None:
    by_content = objects.snapshot(spec__volume_snapshot_class_name="other")
    by_class = named("b")
    unknown = named("c", spec__volume_snapshot_class_name=None)
    class_ = objects.class_(metadata__name="gold", driver="class.example.com")
    cache = cache_of(by_content, objects.content(), by_class, class_, unknown)

    told = survey.of(cache, at(1), LIMITS)
    assert {driver: counts["pending"] for driver, counts in told.drivers.items()} == {
        objects.DRIVER: 1,
        "class.example.com": 1,
        survey.NO_DRIVER: 1,
    }


def test_what_fails_is_stuck_at_once_and_what_is_under_way_after_a_while() -> None:
    failing = named("failing", status=FAILED)
    slow = named("slow")
    cache = cache_of(failing, slow, objects.ready_snapshot())

    assert [row.name for row in survey.of(cache, at(299), LIMITS).stuck] == ["failing"]
    late = survey.of(cache, at(301), LIMITS)
    assert {row.name for row in late.stuck} == {"failing", "slow"}
    assert late.stuck_total == 2


def test_the_error_told_is_the_snapshots_own_and_else_its_contents() -> None:
    error = snapshots.SnapshotError(message="the array is full")
    content = objects.content(status=snapshots.VolumeSnapshotContentStatus(error=error))
    by_content = survey.of(cache_of(objects.snapshot(), content), at(1), LIMITS).slowest
    own = survey.of(cache_of(objects.snapshot(status=FAILED), content), at(1), LIMITS).slowest

    assert [row.message for row in by_content] == ["the array is full"]
    assert [row.message for row in own] == ["it went wrong"]


def test_a_deletion_is_as_old_as_its_wish_and_names_what_holds_it() -> None:
    snapshot = objects.snapshot(
        metadata__deletion_timestamp="2026-01-01T00:01:40Z", metadata__finalizers=("a/b", "c/d")
    )
    (row,) = survey.of(cache_of(snapshot), at(160), LIMITS).slowest

    assert (row.seconds, row.message) == (60.0, "held by a/b, c/d")


def test_the_slowest_come_first_and_no_more_than_are_asked_for() -> None:
    made = [named(f"s{n}", **{CREATED: f"2026-01-01T00:00:{n:02}Z"}) for n in range(30)]
    told = survey.of(cache_of(*made), at(60), survey.Limits(stuck_after=1.0, most=3))

    assert [row.name for row in told.slowest] == ["s0", "s1", "s2"]
    assert len(told.stuck) == 3
    assert told.stuck_total == 30


def test_what_was_cut_lately_is_counted_and_a_time_that_nobody_can_read_is_not() -> None:
    def cut(name: str, when: str) -> snapshots.VolumeSnapshot:
        status = snapshots.VolumeSnapshotStatus(creation_time=when, ready_to_use=True)
        return named(name, status=status)

    made = (cut("a", "2026-01-01T00:59:30Z"), cut("b", objects.NOW_TEXT), cut("c", "yesterday"))
    told = survey.of(cache_of(*made), at(3600), LIMITS).throughput

    assert (told.cut_last_minute, told.cut_last_hour) == (1, 2)


def test_what_becomes_ready_and_what_goes_is_counted_by_the_minute() -> None:
    clock = scripted.Clock()
    rates = watching.Rates(clock)
    cache = cache_of(named("a"), named("b"))
    cache.subscribe(rates.observe)
    ready = snapshots.VolumeSnapshotStatus(ready_to_use=True)
    clock.pass_by(30.0)
    cache.put(named("a", status=ready, metadata__resource_version="8"))
    cache.put(named("a", status=ready, metadata__resource_version="9"))
    cache.put(objects.content())
    cache.remove(named("b").key, 10)

    told = rates.add_to(survey.Throughput(0, 0))
    assert (told.became_ready_per_minute, told.gone_per_minute) == (2.0, 2.0)
    clock.pass_by(61.0)
    told = rates.add_to(told)
    assert (told.became_ready_per_minute, told.gone_per_minute) == (0.0, 0.0)


def drawn(told: survey.Survey) -> str:
    file = io.StringIO()
    terminal = rich.console.Console(file=file, width=120, force_terminal=True, color_system=None)
    terminal.print(show.draw(told))
    return file.getvalue()


def test_what_others_wrote_is_drawn_as_text_and_moves_no_cursor() -> None:
    error = snapshots.SnapshotError(message="[red]full[/] \x1b[2J\x1b]0;title\x07")
    told = survey.of(
        cache_of(objects.snapshot(status=snapshots.VolumeSnapshotStatus(error=error))),
        at(90),
        LIMITS,
    )

    text = drawn(told)
    assert "[red]full[/]" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "1m30s" in text
    assert "snapshotd explain -n ns snap" in text


@asynccontextmanager
async def serving(**pages: str) -> AsyncIterator[str]:
    app = web.Application()
    for name, page in pages.items():

        async def answer(_: web.Request, page: str = page) -> web.Response:
            return web.Response(text=page)

        app.router.add_get(f"/{name.replace('_', '.')}", answer)
    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        yield f"127.0.0.1:{server.port}"


async def test_endpoints_are_asked_for_their_queues_and_one_that_is_away_is_told() -> None:
    role = statusz.Role("controller", "leading", "", waits=3, queues=[statusz.Queue("q", 1, 2, 4)])
    status = statusz.Status("1", "h", "", "", {}, [role])
    ours = wire.encode(status).decode()
    async with (
        serving(statusz_json=ours) as first,
        serving(metrics='workqueue_depth{name="theirs"} 7\nother 1\n') as second,
        serving() as third,
    ):
        told = await watching.asked([first, f"http://{second}/", third, "127.0.0.1:1"])

    assert told[0].roles == [role]
    assert told[1].queues == [survey.Depth("theirs", 7.0)]
    assert "404" in told[2].problem
    assert "127.0.0.1" in told[3].problem
    whole = survey.Survey(
        "", 0, dict.fromkeys(survey.STATES, 0), {}, [], [], 0, survey.Throughput(0, 0), told
    )
    for shown in ("controller: leading, 3 keys wait", "theirs", "Cannot connect"):
        assert shown in drawn(whole)


def test_rich_is_imported_where_something_is_drawn_for_people_and_nowhere_else() -> None:
    package = Path(snapshotd.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(e.name.startswith("rich") for e in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich"))
    }
    assert found == {"app/stage.py", "app/status/show.py"}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[e2e.Dev]:
    """An API server with a snapshot of nothing, and no controller."""
    folder = tmp_path_factory.mktemp("status") / "d"
    running = e2e.Dev(folder, "--parts=apiserver").started()
    running.kubectl.apply("""
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: nightly}
spec: {source: {persistentVolumeClaimName: data}}
""")
    yield running
    running.stop()


def command(dev: e2e.Dev, *words: str) -> list[str]:
    return [e2e.program("snapshotd"), "status", f"--kubeconfig={dev.kubeconfig}", *words]


def run(dev: e2e.Dev, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(dev, *words), capture_output=True, text=True, timeout=e2e.PATIENCE, check=False
    )


def test_it_tells_once_as_json_that_nothing_is_stuck(dev: e2e.Dev) -> None:
    done = run(dev, "-o", "json")

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["states"] == {"ready": 0, "pending": 1, "failing": 0, "deleting": 0}
    assert [row["name"] for row in told["slowest"]] == ["nightly"]


def test_a_stuck_snapshot_has_an_exit_code_of_its_own(dev: e2e.Dev) -> None:
    done = run(dev, "--once", "--stuck-after=0")

    assert done.returncode == 4, done.stderr
    assert "default/nightly" in done.stdout
    assert "snapshotd explain -n default nightly" in done.stdout


def test_a_reader_who_has_seen_enough_is_no_failure(dev: e2e.Dev) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as broken:
        done = subprocess.run(
            command(dev, "-o", "json"),
            stdout=broken,
            stderr=subprocess.PIPE,
            timeout=e2e.PATIENCE,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, b"")


def test_another_namespace_has_none_of_them(dev: e2e.Dev) -> None:
    done = run(dev, "-n", "kube-system", "-o", "json")

    assert json.loads(done.stdout)["total"] == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("-o", "yaml"), 2, "neither text nor json"),
        (("--interval=0",), 2, "--interval"),
        (("--kubeconfig=/nowhere/kubeconfig", "--once"), 2, "/nowhere/kubeconfig"),
        (("--endpiont=x",), 2, "did you mean --endpoint?"),
    ],
)
def test_a_wrong_command_line_is_told(
    dev: e2e.Dev, words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(dev, *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_an_api_server_that_is_away_is_told(dev: e2e.Dev, tmp_path: Path) -> None:
    config = json.loads(dev.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    done = run(dev, f"--kubeconfig={path}", "--once")

    assert done.returncode == 1
    assert done.stderr.startswith("snapshotd: ")
    assert "no answer" in done.stderr


def rest_of(terminal: int) -> bytes:
    """Return what is left, up to the end that a terminal has: an error."""
    found = b""
    while True:
        try:
            found += os.read(terminal, 65536)
        except OSError:
            return found


def test_the_live_view_is_drawn_anew_until_it_is_interrupted(dev: e2e.Dev) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(dev, "--interval=50ms"), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    watchdog = threading.Timer(e2e.PATIENCE, process.kill)
    watchdog.start()
    drawn = b""
    while drawn.count(b"1 snapshots") < 3:
        drawn += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    drawn += rest_of(ours)
    assert process.wait() == 0
    watchdog.cancel()
    os.close(ours)
    assert b"default/nightly" in drawn
    assert b"Traceback" not in drawn
