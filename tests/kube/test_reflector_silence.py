"""A watch that says nothing any more: half-open connections are given up, and taken up again."""

import anyio
import reflecting
import scripted

from snapshotd.kube import connection as connections
from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics


async def test_a_watch_without_a_bookmark_for_too_long_is_opened_anew(
    server: scripted.Server,
    connection: connections.Connection,
    clock: scripted.Clock,
    meters: metrics.Metrics,
) -> None:
    """Its own end may be ten minutes away: nobody waits for that on a dead connection."""
    store: caches.Store[wire.Object] = caches.Store()
    timing = reflectors.Timing(shortest=600.0, longest=600.0, silence=0.2)
    scope = reflectors.Scope(keys.Kind.CLAIM)
    reflector = reflectors.Reflector(
        connection, scope, store=store, clock=clock, meters=meters, timing=timing
    )
    server.reply(200, scripted.listing(5))
    server.stream(scripted.event("ADDED", scripted.claim("a", 6)), then=anyio.Event())
    server.stream(scripted.event("ADDED", scripted.claim("b", 7)))
    await reflecting.until_idle(server, reflector)

    assert reflecting.claims_in(store) == {"a": "6", "b": "7"}
    assert [seen.query.get("resourceVersion") for seen in server.seen[1:3]] == ["5", "6"]
    assert server.seen[1].query["timeoutSeconds"] == "600"
