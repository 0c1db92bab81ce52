from collections.abc import Awaitable, Callable

import pytest
import reflecting
import scripted
import structlog

from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, volumes, wire
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

CLAIM = keys.Kind.CLAIM
PATH = "/api/v1/persistentvolumeclaims"
Store = caches.Store[wire.Object]
Run = Callable[[reflectors.Reflector], Awaitable[None]]


async def test_a_list_comes_in_pages_and_is_kept_at_its_version(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    server.reply(200, scripted.listing(9, scripted.claim("a", 1), token="next+page="))
    server.reply(200, scripted.listing(9, scripted.claim("b", 2)))
    reflector = make(timing=reflectors.Timing(page=1, shortest=300, longest=300))
    assert reflector.check() == "PersistentVolumeClaim: not listed yet"

    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "1", "b": "2"}
    assert reflector.synced.is_set()
    assert reflector.check() is None
    assert [seen.query for seen in server.seen] == [
        {"limit": "1"},
        {"limit": "1", "continue": "next+page="},
        {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": "9",
            "timeoutSeconds": "300",
        },
    ]
    assert {seen.path for seen in server.seen} == {PATH}


async def test_a_watch_changes_the_cache(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    server.reply(200, scripted.listing(5, scripted.claim("a", 1), scripted.claim("b", 2)))
    server.stream(
        scripted.event("ADDED", scripted.claim("c", 6))
        + scripted.event("MODIFIED", scripted.claim("a", 7))
        + scripted.event("DELETED", scripted.claim("b", 8))
        + scripted.bookmark(12)
        + scripted.event("SURPRISE", {})
    )

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "7", "c": "6"}
    assert store.was_deleted(volumes.claim_key("default", "b"), "uid-b")
    assert server.seen[-1].query["resourceVersion"] == "12"


async def test_lines_may_be_cut_anywhere(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    stream = scripted.event("ADDED", scripted.claim("a", 6)) + scripted.bookmark(7)
    server.reply(200, scripted.listing(5))
    server.stream(*(stream[at : at + 40] for at in range(0, len(stream), 40)))

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "6"}
    assert server.seen[-1].query["resourceVersion"] == "7"


async def test_a_stream_that_breaks_off_is_taken_up_where_it_was(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    whole = scripted.event("ADDED", scripted.claim("a", 6))
    server.reply(200, scripted.listing(5))
    server.stream(whole, scripted.event("ADDED", scripted.claim("b", 7))[:-20], cut=True)
    server.stream(scripted.event("ADDED", scripted.claim("b", 7))[:-20])

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "6"}
    assert [seen.query.get("resourceVersion") for seen in server.seen] == [None, "5", "6", "6"]


@pytest.mark.parametrize("garbage", [b"<html>502</html>\n", b"\xff\xfe\n", b'{"type": 3}\n'])
async def test_garbage_ends_the_stream_and_nothing_else(
    server: scripted.Server, make: reflecting.Maker, store: Store, garbage: bytes
) -> None:
    server.reply(200, scripted.listing(5))
    server.stream(scripted.event("ADDED", scripted.claim("a", 6)) + garbage)
    server.stream(scripted.event("ADDED", scripted.claim("b", 7)))

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "6", "b": "7"}
    assert [seen.query.get("resourceVersion") for seen in server.seen[1:]] == ["5", "6", "7"]


def expired_status(server: scripted.Server) -> None:
    server.fail(410, "Expired")


def expired_event(server: scripted.Server) -> None:
    server.stream(scripted.event("ERROR", scripted.status(410, "Expired")))


@pytest.mark.parametrize("expire", [expired_status, expired_event])
async def test_an_expired_version_is_listed_again_without_losing_a_deletion(
    server: scripted.Server,
    make: reflecting.Maker,
    store: Store,
    expire: Callable[[scripted.Server], None],
) -> None:
    server.reply(200, scripted.listing(5, scripted.claim("a", 1), scripted.claim("b", 2)))
    expire(server)
    server.reply(200, scripted.listing(20, scripted.claim("b", 15)))
    changes: list[caches.Change[wire.Object]] = []
    store.subscribe(changes.append)

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"b": "15"}
    gone = [change.key.name for change in changes if change.new is None]
    assert gone == ["a"]
    assert server.seen[-1].query["resourceVersion"] == "20"


async def test_another_error_event_keeps_the_version(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.reply(200, scripted.listing(5))
    server.stream(scripted.event("ERROR", scripted.status(500, "InternalError")))

    await reflecting.until_idle(server, make())

    assert [seen.query.get("resourceVersion") for seen in server.seen] == [None, "5", "5"]


async def test_a_page_that_expired_is_replaced_by_one_list_in_one_piece(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    server.reply(200, scripted.listing(5, scripted.claim("gone", 1), token="t"))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(9, scripted.claim("a", 6)))
    reflector = make(reflectors.Scope(CLAIM, "default", "a=b", "metadata.name=x"))

    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "6"}
    selectors = {"labelSelector": "a=b", "fieldSelector": "metadata.name=x"}
    assert server.seen[2].query == selectors
    assert server.seen[0].query == {**selectors, "limit": "500"}
    assert server.seen[3].query.items() > selectors.items()
    assert {seen.path for seen in server.seen} == {
        "/api/v1/namespaces/default/persistentvolumeclaims"
    }


async def test_a_malformed_object_costs_itself_alone(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    bad = scripted.claim("bad", 2)
    bad["spec"] = "no"
    server.reply(200, scripted.listing(5, bad, scripted.claim("a", 1)))
    server.stream(
        scripted.event("MODIFIED", {**bad, "metadata": {**bad["metadata"], "resourceVersion": "6"}})
        + scripted.event("ADDED", {"nothing": "readable"})
        + scripted.event("ADDED", scripted.claim("b", 7))
        + scripted.event(
            "MODIFIED", {**bad, "metadata": {**bad["metadata"], "resourceVersion": "8"}}
        )
    )
    reflector = make()

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "1", "b": "7"}
    assert reflector.skipped == 4
    told = [entry["error"] for entry in logs if entry["event"] == "object_skipped"]
    assert "PersistentVolumeClaim default/bad" in told[0]
    assert server.seen[-1].query["resourceVersion"] == "8"


async def test_an_object_that_became_unreadable_stays_as_it_was(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    bad = scripted.claim("a", 9)
    bad["spec"] = "no"
    server.reply(200, scripted.listing(5, scripted.claim("a", 1)))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(10, bad))

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "1"}


async def test_an_unreadable_object_that_is_deleted_is_gone(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    bad = scripted.claim("a", 9)
    bad["spec"] = "no"
    server.reply(200, scripted.listing(5, scripted.claim("a", 1)))
    server.stream(scripted.event("DELETED", bad))

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {}


async def test_a_kind_that_is_not_served_is_waited_for_with_advice(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.reply(404, b"404 page not found\n")
    server.reply(404, b"404 page not found\n")
    server.reply(200, scripted.listing(5))
    reflector = make(reflectors.Scope(keys.Kind.VOLUME_SNAPSHOT))

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, reflector)

    assert reflector.synced.is_set()
    told = logs[0]["error"]
    assert "does not serve VolumeSnapshot (snapshot.storage.k8s.io/v1)" in told
    assert "volumesnapshots.snapshot.storage.k8s.io" in told
    assert logs[0]["log_level"] == "warning"


async def test_a_missing_kind_shows_in_the_check(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.reply(404, b"404 page not found\n")
    reflector = make(reflectors.Scope(keys.Kind.VOLUME_SNAPSHOT))

    await reflecting.until_idle(server, reflector)

    assert "install its CustomResourceDefinition" in (reflector.check() or "")


@pytest.mark.parametrize("code", [403, 404])
async def test_an_optional_kind_holds_nobody_up(
    server: scripted.Server, make: reflecting.Maker, store: Store, code: int
) -> None:
    server.fail(code)
    server.fail(code)
    node = {"metadata": {"name": "n", "uid": "u", "resourceVersion": "3"}}
    server.reply(200, scripted.listing(5, node))
    reflector = make(reflectors.Scope(keys.Kind.NODE, optional=True))

    async with reflecting.running(reflector):
        await reflector.synced.wait()
        assert store.count(keys.Kind.NODE) == 0
        await server.idle.wait()

    assert store.count(keys.Kind.NODE) == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"metadata": {"resourceVersion": "x"}}'])
async def test_a_broken_list_changes_nothing(
    server: scripted.Server, make: reflecting.Maker, store: Store, body: bytes
) -> None:
    server.reply(200, scripted.listing(5, scripted.claim("a", 1)))
    server.fail(410, "Expired")
    server.reply(200, body)

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "1"}


async def test_what_happens_is_counted(
    server: scripted.Server, make: reflecting.Maker, meters: metrics.Metrics
) -> None:
    server.reply(200, scripted.listing(5, scripted.claim("a", 1)))
    server.stream(scripted.event("ADDED", scripted.claim("b", 6)) + scripted.bookmark(7))
    labels = {"name": str(CLAIM)}
    heard = "snapshotd_reflector_last_heard_timestamp_seconds"
    made = make()
    assert meters.registry.get_sample_value(heard, labels) == 0

    await reflecting.until_idle(server, made)

    def value(name: str, **labels: str) -> float | None:
        return meters.registry.get_sample_value(name, {"name": str(CLAIM), **labels})

    assert value("reflector_lists_total") == 1
    assert value("snapshotd_reflector_list_items") == 1
    assert value("reflector_watches_total") == 1
    assert value("snapshotd_reflector_events_total", type="ADDED") == 1
    assert value("snapshotd_reflector_events_total", type="BOOKMARK") == 1
    assert value("snapshotd_reflector_failures_total") == 1  # it ended at once
    assert value("snapshotd_reflector_synced") == 1
    assert value("snapshotd_reflector_relists_total") == 0
    assert value(heard) == pytest.approx(scripted.Clock().now(), abs=60)
