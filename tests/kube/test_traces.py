"""A span for every request to the API server, and no secret in one."""

import pytest
import scripted
import traced

from snapshotd import errors
from snapshotd.kube import connection as connections


async def test_a_request_is_a_span_that_the_api_server_can_join(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.reply(200, {})
    with traced.memory() as kept:
        await connection.request("GET", "/api/v1/x", query={"limit": "1"})

    (span,) = kept.get_finished_spans()
    assert (span.name, span.kind.name) == ("GET", "CLIENT")
    assert span.attributes == {
        "http.request.method": "GET",
        "url.path": "/api/v1/x",
        "http.response.status_code": 200,
    }
    assert span.context
    assert f"{span.context.span_id:016x}" in server.seen[0].headers["traceparent"]


async def test_a_refusal_is_a_span_that_failed_and_shows_no_credentials(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.fail(403, "Forbidden")
    with traced.memory() as kept, pytest.raises(errors.Refused):
        await connection.request("PATCH", "/api/v1/x", body=b'{"data": "s3cret"}')

    (span,) = kept.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes
    assert span.attributes["http.response.status_code"] == 403
    assert "s3cret" not in span.to_json()
    assert "t0" not in str(span.attributes)


async def test_without_tracing_no_header_is_added(
    server: scripted.Server, connection: connections.Connection
) -> None:
    server.reply(200, {})
    await connection.request("GET", "/api/v1/x")

    assert "traceparent" not in server.seen[0].headers
