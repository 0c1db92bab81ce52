import json
from pathlib import Path

import anyio
import pytest
import scripted
from aiohttp import web

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.kube import sessions
from snapshotd.telemetry import metrics

Connection = connections.Connection


def rewrite(path: Path, content: scripted.Json) -> None:
    path.write_text(json.dumps(content))


async def test_a_success_is_returned_with_its_body(
    server: scripted.Server, connection: Connection
) -> None:
    server.reply(201, {"a": 1})

    response = await connection.request(
        "POST", "/api/v1/x", query={"fieldManager": "a&b"}, body=b'{"b": 2}'
    )

    assert (response.status, json.loads(response.body)) == (201, {"a": 1})
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/x", {"b": 2})
    assert seen.query == {"fieldManager": "a&b"}
    assert seen.headers["Authorization"] == "Bearer t0"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"].startswith("snapshotd/")


async def test_the_query_keeps_what_base64_and_selectors_hold(
    server: scripted.Server, connection: Connection
) -> None:
    query = {"continue": "a+b/c==", "labelSelector": "a in (b,c),!d"}
    server.reply(200)

    await connection.request("GET", "/x", query=query)

    assert server.seen[0].query == query


async def test_a_name_that_is_quoted_stays_quoted(
    server: scripted.Server, connection: Connection
) -> None:
    server.reply(200)

    await connection.request("GET", "/x/a%20b%3Fc")

    assert server.seen[0].path == "/x/a%20b%3Fc"


@pytest.mark.parametrize("code", [302, 400, 404, 409, 500])
async def test_an_answer_that_is_no_success_is_raised(
    server: scripted.Server, connection: Connection, code: int
) -> None:
    server.reply(code, b"no", headers={"Location": "/elsewhere"})

    with pytest.raises(errors.SnapshotdError, match=f"GET /x: {code}: "):
        await connection.request("GET", "/x")
    assert len(server.seen) == 1


@pytest.mark.parametrize(("said", "wait"), [("7", 7.0), ("Tue, 24 Nov 2026 11:20:04 GMT", 1.0)])
async def test_retry_after_holds_back_the_next_request(
    server: scripted.Server, connection: Connection, said: str, wait: float
) -> None:
    server.reply(429, headers={"Retry-After": said})

    with pytest.raises(errors.Throttled) as raised:
        await connection.request("GET", "/x")

    assert raised.value.retry_after == wait
    with pytest.raises(errors.Throttled, match="not sent within"):
        await connection.request("GET", "/x", timeout=0.001)
    assert len(server.seen) == 1


async def test_leases_and_events_pass_by_the_work_that_is_held_back(
    server: scripted.Server, connection: Connection
) -> None:
    server.reply(429, headers={"Retry-After": "60"})
    with pytest.raises(errors.Throttled):
        await connection.request("GET", "/x")

    for channel in (connection.leases, connection.events, connection.watches):
        server.reply(200)
        await channel.request("GET", "/y", timeout=5)


async def test_a_lost_connection_has_no_definite_answer(
    server: scripted.Server, connection: Connection
) -> None:
    server.drop()

    with pytest.raises(errors.Unavailable, match="POST /x: no answer"):
        await connection.request("POST", "/x", body=b"{}")


async def test_an_answer_that_breaks_off_is_no_answer(
    server: scripted.Server, connection: Connection
) -> None:
    server.stream(b'{"kind":', cut=True)

    with pytest.raises(errors.Unavailable, match="no answer"):
        await connection.request("GET", "/x")


async def test_a_server_that_hangs_is_given_up(
    server: scripted.Server, connection: Connection
) -> None:
    with pytest.raises(errors.Unavailable, match="no answer"):
        await connection.request("GET", "/x", timeout=0.01)
    assert server.idle.is_set()


async def test_a_server_that_is_not_there_is_unavailable(
    tmp_path: Path, clock: scripted.Clock, meters: metrics.Metrics
) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps(scripted.kubeconfig("http://127.0.0.1:1", {})))
    options = connections.Options(kubeconfig=str(path))

    async with Connection(options, clock=clock, meters=meters) as opened:
        with pytest.raises(errors.Unavailable, match="GET /x: no answer"):
            await opened.request("GET", "/x")


async def test_cancelling_a_request_leaves_the_connection_usable(
    server: scripted.Server, connection: Connection
) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(connection.request, "GET", "/slow")
        await server.idle.wait()
        group.cancel_scope.cancel()

    server.reply(200, {"ok": 1})
    response = await connection.request("GET", "/x")
    assert json.loads(response.body) == {"ok": 1}


async def test_a_token_that_expired_is_read_again_and_the_request_repeated(
    server: scripted.Server, connection: Connection, kubeconfig: Path
) -> None:
    rewrite(kubeconfig, scripted.kubeconfig(server.url, {"token": "t1"}))
    server.fail(401, "Unauthorized")
    server.reply(200)

    await connection.request("GET", "/x")

    sent = [seen.headers["Authorization"] for seen in server.seen]
    assert sent == ["Bearer t0", "Bearer t1"]


async def test_a_token_that_stays_refused_is_tried_once(
    server: scripted.Server, connection: Connection
) -> None:
    server.fail(401, "Unauthorized")

    with pytest.raises(errors.Refused, match="401 Unauthorized"):
        await connection.request("GET", "/x")
    assert len(server.seen) == 1


async def test_a_watch_is_opened_again_with_a_new_token(
    server: scripted.Server, connection: Connection, kubeconfig: Path
) -> None:
    rewrite(kubeconfig, scripted.kubeconfig(server.url, {"token": "t1"}))
    server.fail(401, "Unauthorized")
    server.stream(b"a\n")

    async with connection.watches.stream("/x", query={}, silence=5) as stream:
        assert await stream.read() == b"a\n"
        assert await stream.read() == b""


async def test_a_stream_that_falls_silent_is_given_up(
    server: scripted.Server, connection: Connection
) -> None:
    assert not server.answers  # hangs
    async with connection.watches.stream("/x", query={}, silence=0.01) as stream:
        with pytest.raises(errors.Unavailable, match="no answer"):
            await stream.read()


async def test_a_stream_that_does_not_begin_is_given_up_long_before_a_silent_one(
    server: scripted.Server, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open connection: taken, and not even the head of an answer comes."""
    monkeypatch.setattr(sessions, "_HEAD_WITHIN", 0.1)

    async def take(_: web.Request) -> web.StreamResponse:
        await server.hung_up.wait()
        return web.Response()

    server.answers.append(take)
    with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="no answer"):
        async with connection.watches.stream("/x", query={}, silence=600.0):
            pass
    server.hung_up.set()


async def test_every_request_is_counted_by_its_code(
    server: scripted.Server, connection: Connection, meters: metrics.Metrics
) -> None:
    server.reply(200)
    server.fail(404, "NotFound")
    server.drop()

    await connection.request("GET", "/x")
    for _ in range(2):
        with pytest.raises(errors.SnapshotdError):
            await connection.request("POST", "/x")

    def count(method: str, code: str) -> float | None:
        labels = {"method": method, "code": code, "host": server.url.removeprefix("http://")}
        return meters.registry.get_sample_value("rest_client_requests_total", labels)

    assert (count("GET", "200"), count("POST", "404"), count("POST", "<error>")) == (1, 1, 1)


async def test_the_cap_on_requests_a_second_is_kept(
    server: scripted.Server, kubeconfig: Path, clock: scripted.Clock, meters: metrics.Metrics
) -> None:
    options = connections.Options(kubeconfig=str(kubeconfig), qps=5, burst=2)
    async with Connection(options, clock=clock, meters=meters) as opened:
        for _ in range(4):
            server.reply(200)
            await opened.request("GET", "/x")

    assert clock.slept == pytest.approx([0.2, 0.2])
