"""What is made of everything that a server may say to one request."""

import anyio
import bytewise
import pytest
from bytewise import HEAD, OK

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.telemetry import metrics

CLOSE = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"


async def test_a_request_is_what_http_asks_for(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[OK]] * 3]
    await connection.request("PATCH", "/x", query={"a": "b c"}, body=b"{}", content_type="t/t")
    await connection.request("GET", "/x")
    await connection.request("DELETE", "/x")
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"PATCH /prefix/x?a=b+c HTTP/1.1"
    assert lines[1] == b"Host: 127.0.0.1:%d" % server.port
    assert sorted(lines[2:]) == sorted(
        [
            lines[2],  # User-Agent
            b"Accept: application/json",
            b"Accept-Encoding: identity",
            b"Content-Type: t/t",
            b"Content-Length: 2",
            b"",
            b"{}",
        ]
    )
    assert b"Content-Length" not in server.requests[1]
    assert b"Content-Length: 0" in server.requests[2]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ([OK], b"ok"),
        ([bytes([each]) for each in OK], b"ok"),
        ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"], b"ok!"),
        (
            [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\no", 0.01, b"k\r\n0\r\nX: y\r\n\r\n"],
            b"ok",
        ),
        ([HEAD + b"Content-Length: 0\r\n\r\n"], b""),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.01, OK], b"ok"),
        ([HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nok"], b"ok"),
        ([HEAD + b"Content-Length: 20000000\r\n\r\n", b"x" * 20_000_000], b"x" * 20_000_000),
    ],
)
async def test_an_answer_in_any_form_is_whole_and_leaves_the_connection_usable(
    server: bytewise.Server,
    connection: connections.Connection,
    answer: list[bytewise.Part],
    body: bytes,
) -> None:
    server.plans = [[answer, [OK]]]
    assert (await connection.request("GET", "/x")).body == body
    assert (await connection.request("GET", "/y")).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        [CLOSE],
        [HEAD + b"\r\no", 0.01, b"k", None],  # as long as the connection
        [b"HTTP/1.0 200 OK\r\n\r\nok", None],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        [OK + b"and more"],
        [OK + OK],
    ],
)
async def test_after_an_answer_that_ends_the_connection_another_is_made(
    server: bytewise.Server,
    connection: connections.Connection,
    answer: list[bytewise.Part],
) -> None:
    server.plans = [[answer], [[OK]]]
    assert (await connection.request("PATCH", "/x", body=b"{}")).body == b"ok"
    assert (await connection.request("PATCH", "/y", body=b"{}")).body == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([HEAD + b"Content-Length: 3\r\n\r\nok", None], "it broke off"),
        ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", None], "it broke off"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"], "it cannot be read"),
        ([HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"], "an encoding"),
        ([HEAD + b"X: " + b"y" * 10_000 + b"\r\n\r\n"], "a header has no end"),
        ([HEAD, *[b"X: " + b"y" * 1000 + b"\r\n"] * 100], "its head has no end"),
        ([HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"], "it cannot be read"),
        ([b"HTTP/2 200 OK\r\n\r\n"], "it cannot be read"),
    ],
)
async def test_an_answer_that_is_not_whole_or_makes_no_sense_is_none(
    server: bytewise.Server,
    connection: connections.Connection,
    answer: list[bytewise.Part],
    why: str,
) -> None:
    server.plans = [[answer], [[OK]]]
    with pytest.raises(errors.Unavailable, match=f"GET /x: no answer: .*{why}"):
        await connection.request("GET", "/x")
    assert (await connection.request("GET", "/y")).body == b"ok"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_answer_that_broke_off_is_not_asked_for_again(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[HEAD + b"Content-Length: 3\r\n\r\nok", None]], [[OK]]]
    with pytest.raises(errors.Unavailable, match="it broke off"):
        await connection.request("GET", "/x")
    assert len(server.requests) == 1


async def test_a_deadline_that_was_kept_ends_nothing_later(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[OK]]]
    await connection.request("GET", "/x", timeout=0.2)
    passed = anyio.current_time() + 0.25
    await bytewise.settled(lambda: anyio.current_time() > passed)
    assert bytewise.idle(connection) == 1


async def test_nothing_of_an_answer_is_taken_for_a_part_of_the_next(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    refused = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n"
    server.plans = [
        [[refused + b"Retry-After: 7\r\n\r\n"], [refused + b"\r\n"], [HEAD + b"\r\nok", None]]
    ]
    for pause in (7.0, 1.0):
        with pytest.raises(errors.Throttled) as raised:
            await connection.leases.request("GET", "/x")
        assert raised.value.retry_after == pause
    assert (await connection.leases.request("GET", "/x")).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("answer", [[], [HEAD], [HEAD + b"Content-Length: 2\r\n\r\no"]])
async def test_an_answer_that_is_late_is_none_and_takes_its_connection_with_it(
    server: bytewise.Server,
    connection: connections.Connection,
    answer: list[bytewise.Part],
) -> None:
    server.plans = [[[*answer, anyio.Event()]], [[OK]]]
    with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="it was not whole"):
        await connection.request("GET", "/x", timeout=0.05)
    assert (await connection.request("GET", "/y")).body == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä"])
async def test_a_path_that_would_be_more_than_a_path_is_not_sent(
    server: bytewise.Server, connection: connections.Connection, path: str
) -> None:
    server.plans = [[[OK]]]
    with pytest.raises(errors.Unavailable, match="is no path"):
        await connection.request("GET", path)
    with pytest.raises(errors.Unavailable, match="Content-Type"):
        await connection.request("POST", "/x", body=b"{}", content_type="a\r\nX: y")
    assert server.connections == 0


async def test_a_status_is_counted_by_its_head_even_if_the_answer_breaks_off(
    server: bytewise.Server, connection: connections.Connection, meters: metrics.Metrics
) -> None:
    server.plans = [[[HEAD + b"Content-Length: 3\r\n\r\nok", None]]]
    with pytest.raises(errors.Unavailable):
        await connection.request("GET", "/x")
    labels = {"method": "GET", "code": "200", "host": f"127.0.0.1:{server.port}"}
    assert meters.registry.get_sample_value("rest_client_requests_total", labels) == 1
