"""A kind that not every cluster has: why it is not to be had, and when it is after all."""

from typing import Any

import pytest
import reflecting
import scripted
import structlog

from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches

GROUP = keys.Kind.VOLUME_GROUP_SNAPSHOT
PAGES = reflectors.Scope(GROUP, optional=True)
STREAMED = reflectors.Scope(GROUP, optional=True, streaming=True)
NOT_SERVED = "the API server does not serve it; it is asked again now and then"
Store = caches.Store[wire.Object]


def group(name: str, version: int) -> scripted.Json:
    metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"source": {"selector": {}}}}


def missing(server: scripted.Server, scope: reflectors.Scope) -> None:
    """Have the kind missing once: a streamed list is tried first, and then a plain one."""
    for _ in range(2 if scope.streaming else 1):
        server.reply(404, b"404 page not found\n")


def told(logs: list[Any], event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]


@pytest.mark.parametrize("scope", [PAGES, STREAMED], ids=["pages", "streamed"])
async def test_a_missing_kind_is_absent_and_holds_nobody_up(
    server: scripted.Server, make: reflecting.Maker, scope: reflectors.Scope
) -> None:
    missing(server, scope)
    missing(server, PAGES)  # again and again, and no warning: `process` tells of it once
    reflector = make(scope)
    assert reflector.absent == ""

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, reflector)

    assert reflector.absent == NOT_SERVED
    assert reflector.synced.is_set()
    assert reflector.check() is None
    assert {entry["log_level"] for entry in told(logs, "reflector_failed")} == {"debug"}


async def test_a_kind_that_may_not_be_read_is_absent_for_what_the_server_says(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.fail(403, "Forbidden")
    reflector = make(PAGES)

    await reflecting.until_idle(server, reflector)

    assert "403" in reflector.absent
    assert reflector.absent.endswith("; it is asked again now and then")
    assert reflector.synced.is_set()


async def test_a_server_that_fails_says_nothing_of_whether_a_kind_is_there(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.fail(500)
    reflector = make(PAGES)

    await reflecting.until_idle(server, reflector)

    assert reflector.absent == ""
    assert not reflector.synced.is_set()


async def test_a_kind_that_must_be_there_is_waited_for_and_never_absent(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.reply(404, b"404 page not found\n")
    reflector = make(reflectors.Scope(GROUP))

    await reflecting.until_idle(server, reflector)

    assert reflector.absent == ""
    assert not reflector.synced.is_set()


@pytest.mark.parametrize("scope", [PAGES, STREAMED], ids=["pages", "streamed"])
async def test_a_kind_that_appears_is_served_from_then_on_and_told_once(
    server: scripted.Server, make: reflecting.Maker, store: Store, scope: reflectors.Scope
) -> None:
    missing(server, scope)
    missing(server, PAGES)
    server.reply(200, scripted.listing(5, group("a", 3)))
    server.stream(scripted.event("ADDED", group("b", 6)))
    reflector = make(scope)

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, reflector)

    assert reflector.absent == ""
    assert {each.metadata.name for each in store.of_kind(GROUP)} == {"a", "b"}
    (entry,) = told(logs, "kind_served_now")
    assert (entry["log_level"], entry["kind"], entry["objects"]) == ("info", str(GROUP), 1)


async def test_a_kind_that_was_there_from_the_start_is_no_news(
    server: scripted.Server, make: reflecting.Maker
) -> None:
    server.reply(200, scripted.listing(5, group("a", 3)))
    server.fail(410, "Expired")
    server.reply(200, scripted.listing(9, group("a", 3)))

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, make(PAGES))

    assert told(logs, "kind_served_now") == []


def expired_status(server: scripted.Server) -> None:
    server.fail(410, "Expired")


def expired_event(server: scripted.Server) -> None:
    server.stream(scripted.event("ERROR", scripted.status(410, "Expired")))


@pytest.mark.parametrize("expire", [expired_status, expired_event])
async def test_a_watch_whose_version_is_too_old_says_nothing_of_the_kind(
    server: scripted.Server, make: reflecting.Maker, store: Store, expire: Any
) -> None:
    """Both are Gone: a version that is no longer there, and a kind that never was."""
    server.reply(200, scripted.listing(5, group("a", 3)))
    expire(server)
    reflector = make(PAGES)

    await reflecting.until_idle(server, reflector)

    assert reflector.absent == ""
    assert store.count(GROUP) == 1
    assert "resourceVersion" not in server.seen[-1].query  # a list, after the gap


async def test_a_kind_that_is_taken_away_is_absent_until_it_comes_back(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    server.reply(200, scripted.listing(5, group("a", 3)))
    missing(server, PAGES)  # the watch
    missing(server, PAGES)  # and the list, by which it is known
    server.reply(200, scripted.listing(9))
    reflector = make(PAGES)

    with structlog.testing.capture_logs() as logs:
        await reflecting.until_idle(server, reflector)

    assert reflector.absent == ""
    assert store.count(GROUP) == 0
    assert len(told(logs, "kind_served_now")) == 1
