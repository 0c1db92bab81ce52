"""Lists that are streamed (KEP-3157), and the servers that cannot do that."""

from typing import Any

import anyio
import pytest
import reflecting
import scripted

from snapshotd.kube import connection as connections
from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, volumes, wire
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

CLAIM = keys.Kind.CLAIM
STREAMED = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
Store = caches.Store[wire.Object]


def end(version: int) -> bytes:
    """The bookmark that says: that was all of it."""
    meta = {
        "resourceVersion": str(version),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    return scripted.event("BOOKMARK", {"kind": "X", "metadata": meta})


@pytest.fixture
def store() -> Store:
    return caches.Store()


@pytest.fixture
def reflector(
    connection: connections.Connection,
    store: Store,
    clock: scripted.Clock,
    meters: metrics.Metrics,
) -> reflectors.Reflector:
    return reflectors.Reflector(
        connection,
        reflectors.Scope(CLAIM, streaming=True),
        store=store,
        clock=clock,
        meters=meters,
        timing=reflectors.Timing(initial_silence=0.2),
    )


def asked(server: scripted.Server) -> list[dict[str, str]]:
    return [
        {name: value for name, value in seen.query.items() if name != "timeoutSeconds"}
        for seen in server.seen
    ]


WATCH = {"watch": "1", "allowWatchBookmarks": "true"}


async def test_list_and_watch_are_one_request(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    server.stream(
        scripted.event("ADDED", scripted.claim("a", 1))
        + scripted.event("ADDED", scripted.claim("b", 2))
        + end(9),
        scripted.event("MODIFIED", scripted.claim("a", 10)),
    )
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "10", "b": "2"}
    assert reflector.synced.is_set()
    assert asked(server) == [{**WATCH, **STREAMED}, {**WATCH, "resourceVersion": "10"}]


async def test_nothing_is_shown_before_the_list_is_complete(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    store.put(wire.decode(CLAIM, wire.encode(scripted.claim("gone", 3))))
    rest = anyio.Event()
    half = anyio.Event()
    server.stream(
        scripted.event("ADDED", scripted.claim("a", 1)), meanwhile=half.set, then=rest, cut=True
    )
    server.stream(scripted.event("ADDED", scripted.claim("a", 1)) + end(9))
    async with reflecting.running(reflector):
        await half.wait()
        assert reflecting.claims_in(store) == {"gone": "3"}
        assert not reflector.synced.is_set()
        rest.set()
        await server.idle.wait()

    assert reflecting.claims_in(store) == {"a": "1"}
    assert asked(server)[:2] == [{**WATCH, **STREAMED}] * 2


async def test_what_goes_while_the_list_is_streamed_is_not_in_it(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    server.stream(
        scripted.event("ADDED", scripted.claim("a", 1))
        + scripted.event("ADDED", scripted.claim("b", 2))
        + scripted.event("DELETED", scripted.claim("a", 5))
        + scripted.event("MODIFIED", scripted.claim("b", 6))
        + scripted.bookmark(7)
        + end(9)
    )
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"b": "6"}
    assert server.seen[-1].query["resourceVersion"] == "9"


async def test_an_object_that_cannot_be_read_stays_as_it_was(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    store.put(wire.decode(CLAIM, wire.encode(scripted.claim("odd", 3))))
    broken: dict[str, Any] = {**scripted.claim("odd", 4), "spec": 7}
    server.stream(
        scripted.event("ADDED", broken) + scripted.event("ADDED", scripted.claim("a", 1)) + end(9)
    )
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"odd": "3", "a": "1"}


async def test_a_history_that_is_gone_is_streamed_anew_and_loses_no_deletion(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    server.stream(scripted.event("ADDED", scripted.claim("a", 1)) + end(5))
    server.fail(410, "Expired")
    server.stream(scripted.event("ADDED", scripted.claim("b", 7)) + end(9))
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"b": "7"}
    assert store.was_deleted(volumes.claim_key("default", "a"), "uid-a")
    assert asked(server)[2] == {**WATCH, **STREAMED}


def refuses(server: scripted.Server) -> None:
    """A server without the feature, or with it switched off."""
    server.fail(422, "Invalid")


def answers_an_error(server: scripted.Server) -> None:
    """A kube-apiserver over an etcd that tells no progress."""
    server.stream(scripted.event("ERROR", scripted.status(500, "InternalError")))


def ends_nothing(server: scripted.Server) -> None:
    """A server that knows nothing of it sends what there is, and then changes."""
    never = anyio.Event()
    server.stream(scripted.event("ADDED", scripted.claim("a", 1)), then=never)


@pytest.mark.parametrize("cannot", [refuses, answers_an_error, ends_nothing])
async def test_a_server_that_cannot_stream_is_listed_from_then_on(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store, cannot: Any
) -> None:
    cannot(server)
    server.reply(200, scripted.listing(5, scripted.claim("a", 1)))
    server.stream(scripted.event("ADDED", scripted.claim("b", 6)))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(9, scripted.claim("b", 6)))
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"b": "6"}
    assert asked(server)[1] == {"limit": "500"}
    assert asked(server)[4] == {"limit": "500"}
    assert reflector.synced.is_set()


async def test_a_server_that_is_down_is_not_taken_for_one_that_cannot_stream(
    server: scripted.Server, reflector: reflectors.Reflector, store: Store
) -> None:
    server.fail(503, "ServiceUnavailable")
    server.drop()
    server.stream(scripted.event("ADDED", scripted.claim("a", 1)) + end(9))
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "1"}
    assert asked(server)[:3] == [{**WATCH, **STREAMED}] * 3


async def test_a_kind_that_is_not_served_says_what_to_do(
    server: scripted.Server, reflector: reflectors.Reflector
) -> None:
    server.fail(404, "NotFound")
    server.fail(404, "NotFound")
    await reflecting.until_idle(server, reflector)

    assert "the API server does not serve PersistentVolumeClaim" in (reflector.check() or "")
