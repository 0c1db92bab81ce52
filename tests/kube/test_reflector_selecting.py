"""A field selector where the server knows it, and `keep` where it does not."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import scripted
import structlog.testing

from snapshotd.decide import intents
from snapshotd.devcluster.apiserver import server as apiservers
from snapshotd.kube import connection as connections
from snapshotd.kube import reflector as reflectors
from snapshotd.kube import writer as writers
from snapshotd.model import keys, meta, snapshots, wire
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

CONTENT = keys.Kind.VOLUME_SNAPSHOT_CONTENT
SELECTOR = "spec.driver=ours"
NOT_SELECTABLE = 'Unable to find "x": field label not supported: spec.driver'
Store = caches.Store[wire.Object]


def ours(obj: wire.Object) -> bool:
    return isinstance(obj, snapshots.VolumeSnapshotContent) and obj.spec.driver == "ours"


SCOPE = reflectors.Scope(CONTENT, field_selector=SELECTOR, keep=ours)


class Bench:
    """A reflector of this driver's contents, and what became of it."""

    def __init__(self, connection: connections.Connection, clock: clocks.Clock) -> None:
        self.store: Store = caches.Store()
        self.meters = metrics.Metrics()
        self._connection = connection
        self._clock = clock

    def reflector(self, scope: reflectors.Scope = SCOPE) -> reflectors.Reflector:
        return reflectors.Reflector(
            self._connection, scope, store=self.store, clock=self._clock, meters=self.meters
        )

    async def until_idle(
        self, server: scripted.Server, scope: reflectors.Scope = SCOPE
    ) -> reflectors.Reflector:
        """Run until the script is at its end."""
        reflector = self.reflector(scope)
        async with anyio.create_task_group() as group:
            group.start_soon(reflector.run)
            with anyio.fail_after(10):
                await server.idle.wait()
            group.cancel_scope.cancel()
        return reflector

    def names(self) -> dict[str, str]:
        return {
            each.metadata.name: each.metadata.resource_version
            for each in self.store.of_kind(CONTENT)
        }


@pytest.fixture
def bench(connection: connections.Connection, clock: scripted.Clock) -> Bench:
    return Bench(connection, clock)


def content(name: str, version: int, driver: str = "ours") -> dict[str, Any]:
    made = scripted.content(name, version)
    made["spec"]["driver"] = driver
    return made


def refuse(server: scripted.Server, message: str = NOT_SELECTABLE, code: int = 400) -> None:
    server.reply(code, {**scripted.status(code, "BadRequest"), "message": message})


def selectors(server: scripted.Server) -> list[str | None]:
    return [each.query.get("fieldSelector") for each in server.seen]


@contextmanager
def told() -> Iterator[list[str]]:
    """Collect the events that are logged."""
    events: list[str] = []
    with structlog.testing.capture_logs() as lines:
        yield events
    events += [each["event"] for each in lines]


async def test_a_server_that_knows_the_field_is_asked_by_it_each_time(
    server: scripted.Server, bench: Bench
) -> None:
    server.reply(200, scripted.listing(5, content("a", 1)))
    server.stream(scripted.event("ADDED", content("b", 6)))
    with told() as events:
        await bench.until_idle(server)
    assert selectors(server) == 3 * [SELECTOR]
    assert bench.names() == {"a": "1", "b": "6"}
    assert "field_not_selectable" not in events


async def test_a_server_that_does_not_is_asked_for_all_and_that_is_told_once(
    server: scripted.Server, bench: Bench, clock: scripted.Clock
) -> None:
    refuse(server)
    server.reply(200, scripted.listing(5, content("a", 1), content("b", 2, "theirs")))
    server.stream(scripted.event("ADDED", content("c", 6)))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(9, content("c", 6)))
    with told() as events:
        reflector = await bench.until_idle(server)
    assert selectors(server) == [SELECTOR, None, None, None, None, None]
    assert events.count("field_not_selectable") == 1
    assert bench.names() == {"c": "6"}
    assert reflector.check() is None
    assert 30.0 not in clock.slept


async def test_the_list_is_asked_for_again_at_once(
    server: scripted.Server, bench: Bench, clock: scripted.Clock
) -> None:
    """It is no failure: nothing is waited for, and nothing counted."""
    refuse(server)
    server.reply(200, scripted.listing(5))
    await bench.until_idle(server)
    assert clock.slept == []
    labels = {"name": "VolumeSnapshotContent"}
    failed = bench.meters.registry.get_sample_value("snapshotd_reflector_failures_total", labels)
    assert failed == 0


async def test_objects_of_other_drivers_are_not_kept(server: scripted.Server, bench: Bench) -> None:
    refuse(server)
    server.reply(200, scripted.listing(5, content("a", 1), content("b", 2, "theirs")))
    server.stream(
        scripted.event("ADDED", content("c", 6))
        + scripted.event("ADDED", content("d", 7, "theirs"))
        + scripted.event("MODIFIED", content("d", 8, "theirs"))
        + scripted.event("DELETED", content("b", 9, "theirs"))
    )
    await bench.until_idle(server)
    assert bench.names() == {"a": "1", "c": "6"}
    assert server.seen[-1].query["resourceVersion"] == "9"  # what is not kept is still progress


async def test_one_that_becomes_another_drivers_leaves_and_comes_back(
    server: scripted.Server, bench: Bench
) -> None:
    changes: list[tuple[str, bool]] = []
    bench.store.subscribe(lambda change: changes.append((change.key.name, change.new is not None)))
    server.reply(200, scripted.listing(5, content("a", 1), content("b", 2)))
    server.stream(
        scripted.event("MODIFIED", content("a", 6, "theirs"))
        + scripted.event("MODIFIED", content("b", 7, "theirs"))
        + scripted.event("MODIFIED", content("b", 8))
    )
    await bench.until_idle(server)
    assert bench.names() == {"b": "8"}
    assert changes[2:] == [("a", False), ("b", False), ("b", True)]


async def test_one_that_became_another_drivers_unseen_is_gone_after_the_next_list(
    server: scripted.Server, bench: Bench
) -> None:
    refuse(server)
    server.reply(200, scripted.listing(5, content("a", 1)))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(9, content("a", 7, "theirs"), content("b", 8)))
    await bench.until_idle(server)
    assert bench.names() == {"b": "8"}


async def test_one_that_cannot_be_read_stays_as_it_was(
    server: scripted.Server, bench: Bench
) -> None:
    broken = content("a", 6)
    del broken["spec"]["driver"]
    server.reply(200, scripted.listing(5, content("a", 1)))
    server.stream(scripted.event("MODIFIED", broken))
    reflector = await bench.until_idle(server)
    assert bench.names() == {"a": "1"}
    assert reflector.skipped == 1


async def test_a_watch_that_refuses_the_field_has_everything_listed_anew(
    server: scripted.Server, bench: Bench
) -> None:
    """The definition was replaced by one without it, after the list."""
    server.reply(200, scripted.listing(5, content("a", 1)))
    refuse(server)
    server.reply(200, scripted.listing(6, content("a", 1), content("b", 6, "theirs")))
    await bench.until_idle(server)
    assert selectors(server) == [SELECTOR, SELECTOR, None, None]
    assert "watch" not in server.seen[2].query
    assert bench.names() == {"a": "1"}


async def test_a_stream_that_refuses_the_field_counts_as_well(
    server: scripted.Server, bench: Bench
) -> None:
    server.reply(200, scripted.listing(5, content("a", 1)))
    refusal = {**scripted.status(400, "BadRequest"), "message": NOT_SELECTABLE}
    server.stream(scripted.event("ERROR", refusal))
    server.reply(200, scripted.listing(6, content("a", 1)))
    await bench.until_idle(server)
    assert selectors(server) == [SELECTOR, SELECTOR, None, None]


@pytest.mark.parametrize(
    ("scope", "message", "code"),
    [
        (reflectors.Scope(CONTENT, field_selector=SELECTOR), NOT_SELECTABLE, 400),
        (SCOPE, "the limit is not a number", 400),
        (SCOPE, "the server is on fire", 500),
    ],
    ids=["nothing stands in for it", "another refusal", "a failure"],
)
async def test_the_selector_is_dropped_for_nothing_else(
    *,
    server: scripted.Server,
    bench: Bench,
    clock: scripted.Clock,
    scope: reflectors.Scope,
    message: str,
    code: int,
) -> None:
    refuse(server, message, code)
    server.reply(200, scripted.listing(5, content("a", 1)))
    with told() as events:
        await bench.until_idle(server, scope)
    assert selectors(server) == 3 * [SELECTOR]
    assert "field_not_selectable" not in events
    assert len(clock.slept) == 1


async def test_a_server_that_refuses_it_over_and_over_is_not_asked_in_a_row(
    server: scripted.Server, bench: Bench, clock: scripted.Clock
) -> None:
    """Without a selector the same words are a failure like any other."""
    for _ in range(3):
        refuse(server)
    server.reply(200, scripted.listing(5))
    await bench.until_idle(server)
    assert selectors(server) == [SELECTOR, None, None, None, None]
    assert len(clock.slept) == 2


async def test_a_label_selector_stays_when_the_field_goes(
    server: scripted.Server, bench: Bench
) -> None:
    scope = reflectors.Scope(CONTENT, label_selector="node=1", field_selector=SELECTOR, keep=ours)
    refuse(server)
    server.reply(200, scripted.listing(5))
    await bench.until_idle(server, scope)
    assert [each.query.get("labelSelector") for each in server.seen] == 3 * ["node=1"]


async def test_one_that_becomes_another_drivers_while_the_list_is_streamed_is_not_kept(
    server: scripted.Server, bench: Bench
) -> None:
    end = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
    server.stream(
        scripted.event("ADDED", content("a", 1))
        + scripted.event("ADDED", content("b", 2))
        + scripted.event("ADDED", content("c", 3, "theirs"))
        + scripted.event("MODIFIED", content("a", 8, "theirs"))
        + scripted.event("BOOKMARK", {"kind": "X", "metadata": end})
    )
    await bench.until_idle(server, dataclasses.replace(SCOPE, streaming=True))
    assert bench.names() == {"b": "2"}


async def test_a_streamed_list_that_refuses_the_field_is_streamed_without_it(
    server: scripted.Server, bench: Bench
) -> None:
    end = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
    refuse(server)
    server.stream(
        scripted.event("ADDED", content("a", 1))
        + scripted.event("ADDED", content("b", 2, "theirs"))
        + scripted.event("BOOKMARK", {"kind": "X", "metadata": end})
    )
    await bench.until_idle(server, dataclasses.replace(SCOPE, streaming=True))
    assert bench.names() == {"a": "1"}
    assert selectors(server) == [SELECTOR, None, None]
    assert server.seen[1].query["sendInitialEvents"] == "true"


# Against the embedded API server.

OPEN: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(*, selectable: bool) -> dict[str, Any]:
    spec = {**OPEN, "properties": {"driver": {"type": "string"}}}
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {**OPEN, "properties": {"spec": spec}}},
    }
    if selectable:
        version["selectableFields"] = [{"jsonPath": ".spec.driver"}]
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "volumesnapshotcontents.snapshot.storage.k8s.io",
            "annotations": approved,
        },
        "spec": {
            "group": "snapshot.storage.k8s.io",
            "scope": "Cluster",
            "names": {"plural": "volumesnapshotcontents", "kind": "VolumeSnapshotContent"},
            "versions": [version],
        },
    }


def made(name: str, driver: str) -> intents.CreateContent:
    source = snapshots.VolumeSnapshotContentSource(volume_handle="v")
    ref = meta.ObjectReference(name="s", namespace="default", uid="u")
    spec = snapshots.VolumeSnapshotContentSpec("Delete", driver, source, ref)
    return intents.CreateContent(snapshots.VolumeSnapshotContent(meta.ObjectMeta(name=name), spec))


@pytest.mark.parametrize("selectable", [True, False])
async def test_an_embedded_server_of_either_kind_gives_this_drivers_objects_alone(
    *, tmp_path: Path, meters: metrics.Metrics, selectable: bool
) -> None:
    time = clocks.SystemClock()
    embedded = apiservers.ApiServer(apiservers.Settings())
    path = tmp_path / "embedded"
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: embedded.run(task_status=task_status))
            path.write_bytes(msgspec.json.encode(embedded.kubeconfig()))
            options = connections.Options(kubeconfig=str(path))
            async with connections.Connection(options, clock=time, meters=meters) as link:
                definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                await link.request(
                    "POST",
                    definitions,
                    body=msgspec.json.encode(definition(selectable=selectable)),
                )
                await _fill_and_watch(link, time, selectable=selectable)
            group.cancel_scope.cancel()


async def _fill_and_watch(
    link: connections.Connection, time: clocks.Clock, *, selectable: bool
) -> None:
    writer = writers.Writer(link)
    bench = Bench(link, time)
    for name, driver in (("a", "ours"), ("b", "theirs")):
        await writer.write(made(name, driver))
    seen = anyio.Event()

    def notice(change: caches.Change[wire.Object]) -> None:
        if change.key.name == "d":
            seen.set()

    bench.store.subscribe(notice)
    with told() as events:
        async with anyio.create_task_group() as group:
            group.start_soon(bench.reflector().run)
            for name, driver in (("c", "theirs"), ("d", "ours")):
                await writer.write(made(name, driver))
            await seen.wait()
            group.cancel_scope.cancel()
    assert sorted(bench.names()) == ["a", "d"]
    assert events.count("field_not_selectable") == (0 if selectable else 1)
