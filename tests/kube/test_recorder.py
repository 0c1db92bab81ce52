from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
import scripted

from snapshotd.actors import ports
from snapshotd.decide import intents
from snapshotd.kube import connection as connections
from snapshotd.kube import recorder as recorders
from snapshotd.model import meta
from snapshotd.telemetry import metrics

EVENTS = "/api/v1/namespaces/default/events"


def happening(
    message: str = "done", *, name: str = "s", namespace: str = "default"
) -> intents.Announce:
    about = meta.ObjectReference(
        api_version="snapshot.storage.k8s.io/v1",
        kind="VolumeSnapshot",
        namespace=namespace,
        name=name,
        uid=f"uid-{name}",
        resource_version="7",
    )
    return intents.Announce(about, "Normal", "SnapshotReady", message)


@pytest.fixture
def recorder(
    connection: connections.Connection, clock: scripted.Clock, meters: metrics.Metrics
) -> recorders.Recorder:
    return recorders.Recorder(
        connection, "snapshot-controller", clock=clock, meters=meters, drain=0.2
    )


def as_port(recorder: recorders.Recorder) -> ports.Recorder:
    """The type checker proves here that it fits."""
    return recorder


@asynccontextmanager
async def running(recorder: recorders.Recorder) -> AsyncIterator[None]:
    """Run; at the end let it write what is queued."""
    async with anyio.create_task_group() as group:
        group.start_soon(recorder.run)
        await anyio.wait_all_tasks_blocked()
        yield
        recorder.stop()


async def test_an_event_says_what_the_reference_says(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    server.reply(201)

    async with running(recorder):
        as_port(recorder).announce(happening())

    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", EVENTS)
    name = seen.body["metadata"].pop("name")
    assert name.startswith("s.")
    assert len(name) == len("s.") + 16
    assert seen.body == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "default"},
        "involvedObject": {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "namespace": "default",
            "name": "s",
            "uid": "uid-s",
            "resourceVersion": "7",
        },
        "type": "Normal",
        "reason": "SnapshotReady",
        "message": "done",
        "source": {"component": "snapshot-controller"},
        "reportingComponent": "snapshot-controller",
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "count": 1,
    }


async def test_events_of_what_has_no_namespace_go_to_default(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    server.reply(201)

    async with running(recorder):
        recorder.announce(happening(namespace=""))

    assert server.seen[0].path == EVENTS
    assert "namespace" not in server.seen[0].body["involvedObject"]


async def test_what_happens_again_while_it_waits_is_one_write(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    server.reply(201)

    async with running(recorder):
        for _ in range(5):
            recorder.announce(happening())

    assert [seen.body["count"] for seen in server.seen] == [5]


async def test_what_happens_again_later_raises_the_count(
    server: scripted.Server, recorder: recorders.Recorder, clock: scripted.Clock
) -> None:
    written = anyio.Event()
    server.stream(b"{}", then=written)
    server.reply(200)

    async with running(recorder):
        recorder.announce(happening())
        await anyio.wait_all_tasks_blocked()
        clock.passed += 60
        recorder.announce(happening())
        written.set()

    first, second = server.seen
    assert second.method == "PATCH"
    assert second.path == f"{EVENTS}/{first.body['metadata']['name']}"
    assert second.headers["Content-Type"] == "application/merge-patch+json"
    assert second.body["count"] == 2
    assert second.body["lastTimestamp"] == "2023-11-14T22:14:20Z"


async def test_an_event_that_expired_is_written_anew(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    written = anyio.Event()
    server.stream(b"{}", then=written)
    server.fail(404, "NotFound")
    server.reply(201)

    async with running(recorder):
        recorder.announce(happening())
        await anyio.wait_all_tasks_blocked()
        recorder.announce(happening())
        written.set()

    assert [seen.method for seen in server.seen] == ["POST", "PATCH", "POST"]
    assert recorder.failed == 0


async def test_an_event_that_cannot_be_written_now_is_tried_again(
    server: scripted.Server, recorder: recorders.Recorder, clock: scripted.Clock
) -> None:
    server.reply(429, headers={"Retry-After": "9"})
    server.fail(500)
    server.reply(201)

    async with running(recorder):
        recorder.announce(happening())

    assert clock.slept == [9.0, 5.0]
    assert recorder.failed == 0


@pytest.mark.parametrize(("code", "attempts"), [(403, 1), (404, 1), (422, 1), (500, 3), (409, 3)])
async def test_an_event_that_cannot_be_written_costs_itself_alone(
    server: scripted.Server, recorder: recorders.Recorder, code: int, attempts: int
) -> None:
    for _ in range(attempts):
        server.fail(code)
    server.reply(201)

    async with running(recorder):
        recorder.announce(happening("first"))
        recorder.announce(happening("second"))

    assert recorder.failed == 1
    assert [seen.body["message"] for seen in server.seen] == ["first"] * attempts + ["second"]


async def test_what_could_not_be_written_is_counted_in_the_next(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    server.fail(403)
    server.reply(201)
    recorder.stop()

    for _ in range(2):
        recorder.announce(happening())
        await recorder.run()

    assert [seen.method for seen in server.seen] == ["POST", "POST"]
    assert server.seen[1].body["count"] == 2


async def test_the_queue_is_bounded_and_drops_its_oldest(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    for number in range(1003):
        recorder.announce(happening(name=f"s{number}"))
    server.reply(201)

    assert recorder.dropped == 3
    async with running(recorder):
        with anyio.fail_after(5):
            await server.idle.wait()
    assert server.seen[0].body["involvedObject"]["name"] == "s3"


async def test_the_end_waits_for_events_no_longer_than_it_may(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    async with running(recorder):
        recorder.announce(happening("a"))
        recorder.announce(happening("b"))
        await server.idle.wait()  # the server hangs

    assert recorder.dropped == 1


async def test_an_object_that_talks_too_much_is_not_heard(
    server: scripted.Server, recorder: recorders.Recorder
) -> None:
    server.reply(201)

    async with running(recorder):
        for _ in range(40):
            recorder.announce(happening())

    assert recorder.dropped == 15


async def test_long_words_are_cut(server: scripted.Server, recorder: recorders.Recorder) -> None:
    server.reply(201)

    async with running(recorder):
        recorder.announce(happening("é" * 4000, name="n" * 253))

    body = server.seen[0].body
    assert len(body["message"].encode()) == 1024
    assert len(body["metadata"]["name"]) == 253


async def test_what_becomes_of_events_is_counted(
    server: scripted.Server, recorder: recorders.Recorder, meters: metrics.Metrics
) -> None:
    server.reply(201)
    server.reply(403)
    for number in range(1003):
        recorder.announce(happening(name=f"s{number}"))

    async with running(recorder):
        await server.idle.wait()  # it wrote one, failed with one, and the server hangs

    def counted(result: str) -> float | None:
        labels = {"component": "snapshot-controller", "result": result}
        return meters.registry.get_sample_value("snapshotd_events_total", labels)

    assert counted("written") == 1
    assert counted("failed") == recorder.failed == 1
    assert counted("dropped") == recorder.dropped
    assert recorder.dropped >= 1000
