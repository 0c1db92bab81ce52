"""With a lease that is over nothing is written any more, however slow a request was."""

import anyio
import pytest
import scripted

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.kube import lease


async def test_without_a_lease_nothing_is_sent(
    server: scripted.Server, connection: connections.Connection
) -> None:
    connection.work.fence = lambda: 0.0
    with pytest.raises(errors.Unavailable, match="PATCH /x: not sent: the lease is not ours"):
        await connection.request("PATCH", "/x", body=b"{}")
    assert server.seen == []


async def test_a_request_that_waited_too_long_for_its_place_is_not_sent(
    server: scripted.Server, connection: connections.Connection
) -> None:
    """The lease was ours when it was asked for, and is not when it is its turn."""
    left = [5.0]
    connection.work.fence = lambda: left.pop(0) if left else 0.0
    server.reply(200, {})
    await connection.request("GET", "/first")
    with pytest.raises(errors.Unavailable, match="not sent"):
        await connection.request("POST", "/second", body=b"{}")
    assert [seen.path for seen in server.seen] == ["/first"]


async def test_a_write_whose_lease_ends_before_its_body_is_sent_is_not_done(
    server: scripted.Server, connection: connections.Connection
) -> None:
    """As when the process is frozen after its turn has come, and wakes when another leads."""
    left = [5.0]
    connection.work.fence = lambda: left.pop(0) if left else 0.0
    with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="no answer"):
        await connection.request("PATCH", "/x", body=b"{}")
    assert server.seen == []


async def test_after_a_write_that_was_held_back_others_go_on(
    server: scripted.Server, connection: connections.Connection
) -> None:
    left = [5.0, 0.0]
    connection.work.fence = lambda: left.pop(0) if left else 5.0
    with pytest.raises(errors.Unavailable):
        await connection.request("PATCH", "/x", body=b"{}")
    server.reply(200, {})
    await connection.request("PATCH", "/y", body=b'{"z": 1}')
    assert [(seen.path, seen.body) for seen in server.seen] == [("/y", {"z": 1})]


async def test_a_request_under_way_is_cut_when_the_lease_ends(
    server: scripted.Server, connection: connections.Connection
) -> None:
    connection.work.fence = lambda: 0.2
    with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="no answer"):
        await connection.request("POST", "/slow", body=b"{}", timeout=30.0)
    assert len(server.seen) == 1


async def test_leases_watches_and_events_are_not_fenced(
    server: scripted.Server, connection: connections.Connection
) -> None:
    connection.work.fence = lambda: 0.0
    for channel in (connection.leases, connection.watches, connection.events):
        server.reply(200, {})
        await channel.request("GET", "/y")
    assert len(server.seen) == 3


class Nothing:
    """No API server: the times are set by hand."""

    async def request(self, *_: object, **__: object) -> connections.Response:
        raise errors.Unavailable("nobody is there")


def test_who_leads_may_write_until_shortly_before_another_may_begin() -> None:
    """Ours ends at 10 s, another's may begin at 15 s: what is under way is cut between."""
    clock = scripted.Clock()
    lock = lease.Lock("kube-system", "x", "me")
    election = lease.LeaderElection(Nothing(), lock, clock=clock)
    assert election.left() == 0.0
    election.leading = True
    election._renewed = clock.monotonic()
    assert election.left() == 12.5
    clock.pass_by(12.0)
    assert election.left() == 0.5
    clock.pass_by(5.0)
    assert election.left() == 0.0
    election._renewed = clock.monotonic()
    election.leading = False
    assert election.left() == 0.0


@pytest.mark.parametrize(("status", "places"), [(429, 10), (500, 10), (503, 10), (404, 20)])
async def test_a_server_that_fails_or_refuses_is_asked_half_as_much(
    server: scripted.Server, connection: connections.Connection, status: int, places: int
) -> None:
    server.fail(status)
    with pytest.raises(errors.SnapshotdError):
        await connection.request("GET", "/x")
    assert connection.throttle.places == places
