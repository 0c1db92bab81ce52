"""Where a proxy stands between, aiohttp carries everything: with the same meaning to all others."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
import scripted

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.telemetry import metrics

API = "http://api.invalid:6443"


@pytest.fixture
def kubeconfig(server: scripted.Server, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    content = scripted.kubeconfig(API, {"token": "t0"}, **{"proxy-url": server.url})
    path.write_text(json.dumps(content))
    return path


async def test_a_request_goes_to_the_proxy_and_names_the_api_server(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.reply(201, {"a": 1})
    response = await connection.request("POST", "/x", query={"q": "a&b"}, body=b'{"b": 2}')
    assert (response.status, json.loads(response.body)) == (201, {"a": 1})
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/x", {"b": 2})
    assert seen.query == {"q": "a&b"}
    assert seen.headers["Host"] == "api.invalid:6443"
    assert seen.headers["Authorization"] == "Bearer t0"
    assert seen.headers["Content-Type"] == "application/json"


async def test_a_refusal_is_told_and_obeyed(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.fail(404, "NotFound")
    with pytest.raises(errors.Gone):
        await connection.request("GET", "/x")
    server.reply(429, headers={"Retry-After": "7"})
    with pytest.raises(errors.Throttled) as raised:
        await connection.request("GET", "/x")
    assert raised.value.retry_after == 7.0


async def test_a_token_that_expired_is_read_again(
    server: scripted.Server, connection: connections.Connection, kubeconfig: Path
) -> None:
    path = anyio.Path(kubeconfig)
    await path.write_text((await path.read_text()).replace("t0", "t1"))
    server.fail(401, "Unauthorized")
    server.reply(200)
    await connection.request("GET", "/x")
    sent = [seen.headers["Authorization"] for seen in server.seen]
    assert sent == ["Bearer t0", "Bearer t1"]


async def test_no_answer_is_unavailable_and_counted(
    server: scripted.Server, connection: connections.Connection, meters: metrics.Metrics
) -> None:
    server.drop()
    with pytest.raises(errors.Unavailable, match="POST /x: no answer"):
        await connection.request("POST", "/x", body=b"{}")
    server.stream(b'{"kind":', cut=True)
    with pytest.raises(errors.Unavailable, match="GET /x: no answer"):
        await connection.request("GET", "/x")
    with pytest.raises(errors.Unavailable, match="GET /slow: no answer"):
        await connection.request("GET", "/slow", timeout=0.05)

    def count(method: str, code: str) -> float | None:
        labels = {"method": method, "code": code, "host": "api.invalid:6443"}
        return meters.registry.get_sample_value("rest_client_requests_total", labels)

    assert (count("POST", "<error>"), count("GET", "200")) == (1, 2)


async def test_a_write_whose_lease_ends_before_its_body_is_sent_is_not_done(
    server: scripted.Server, connection: connections.Connection
) -> None:
    left = [5.0, 0.0]
    connection.work.fence = lambda: left.pop(0) if left else 5.0
    with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="no answer"):
        await connection.request("PATCH", "/x", body=b"{}")
    assert server.seen == []


async def test_a_watch_goes_the_same_way(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.stream(b"a\n")
    async with connection.watches.stream("/x", query={}, silence=5) as stream:
        assert await stream.read() == b"a\n"
    assert server.seen[0].headers["Host"] == "api.invalid:6443"


@pytest.fixture
async def named(
    server: scripted.Server, tmp_path: Path, clock: scripted.Clock, meters: metrics.Metrics
) -> AsyncIterator[connections.Connection]:
    path = tmp_path / "named"
    url = server.url.replace("http://", "http://me:pw@")
    path.write_text(json.dumps(scripted.kubeconfig(url, {})))
    options = connections.Options(kubeconfig=str(path))
    async with connections.Connection(options, clock=clock, meters=meters) as opened:
        yield opened


async def test_a_name_and_password_in_the_url_are_sent(
    server: scripted.Server, named: connections.Connection
) -> None:
    server.reply(200)
    await named.request("GET", "/x")
    told = base64.b64encode(b"me:pw").decode()
    assert server.seen[0].headers["Authorization"] == f"Basic {told}"
