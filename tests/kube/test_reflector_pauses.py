"""How long a reflector waits before it asks a server again that failed it."""

import itertools

import pytest
import reflecting
import scripted

from snapshotd.model import wire
from snapshotd.runtime import store as caches

Store = caches.Store[wire.Object]


async def test_failures_are_answered_ever_later(
    server: scripted.Server, make: reflecting.Maker, clock: scripted.Clock
) -> None:
    for _ in range(12):
        server.fail(500)

    await reflecting.until_idle(server, make())

    assert len(clock.slept) == 12
    for slept, ceiling in zip(clock.slept, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=False):
        assert ceiling / 2 <= slept <= ceiling


async def test_a_server_that_asks_for_time_gets_it(
    server: scripted.Server, make: reflecting.Maker, clock: scripted.Clock
) -> None:
    server.reply(429, headers={"Retry-After": "40"})

    await reflecting.until_idle(server, make())

    assert clock.slept == [40.0]


async def test_a_stream_that_ends_at_once_is_no_reason_to_hurry(
    server: scripted.Server, make: reflecting.Maker, clock: scripted.Clock
) -> None:
    server.reply(200, scripted.listing(5))
    for _ in range(5):
        server.stream()

    await reflecting.until_idle(server, make())

    assert len(clock.slept) == 5
    assert all(later > sooner for sooner, later in itertools.pairwise(clock.slept[::2]))


@pytest.mark.parametrize(("end", "pauses"), [(b"", 0), (b'{"type": "ADD', 1)])
async def test_a_watch_that_ends_in_its_time_is_followed_at_once_unless_cut(
    server: scripted.Server, make: reflecting.Maker, *, end: bytes, pauses: int
) -> None:
    deleted = scripted.event("DELETED", scripted.claim("a", 6))
    server.reply(200, scripted.listing(5))
    server.stream(deleted, end, meanwhile=lambda: make.clock.pass_by(400))

    await reflecting.until_idle(server, make())

    assert len(make.clock.slept) == pauses
    assert server.seen[-1].query["resourceVersion"] == "6"


async def test_a_version_that_is_of_no_use_is_given_up(
    server: scripted.Server, make: reflecting.Maker, store: Store
) -> None:
    """A server that came back with less than it had answers 504 to a version ahead of it."""
    server.reply(200, scripted.listing(500))
    for _ in range(8):
        server.fail(504, "Timeout")
    server.reply(200, scripted.listing(600, scripted.claim("a", 550)))

    await reflecting.until_idle(server, make())

    assert reflecting.claims_in(store) == {"a": "550"}


async def test_success_forgets_earlier_failures(
    server: scripted.Server, make: reflecting.Maker, clock: scripted.Clock
) -> None:
    for _ in range(4):
        server.fail(500)
    server.reply(200, scripted.listing(5))
    server.stream(cut=True)

    await reflecting.until_idle(server, make())

    assert clock.slept[-1] <= 0.5
