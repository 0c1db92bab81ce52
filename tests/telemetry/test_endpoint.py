import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest

from snapshotd import errors
from snapshotd.telemetry import endpoint as endpoints
from snapshotd.telemetry import metrics

LOOPBACK = endpoints.Address("127.0.0.1", 0)


@pytest.fixture
def health() -> endpoints.Health:
    return endpoints.Health()


def built(
    health: endpoints.Health,
    address: endpoints.Address = LOOPBACK,
    metrics_path: str = "/metrics",
) -> endpoints.Endpoint:
    registry = metrics.Metrics().registry
    return endpoints.Endpoint(address, registry=registry, health=health, metrics_path=metrics_path)


class Client:
    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session = session
        self.base = f"http://127.0.0.1:{port}"

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        async with self.session.get(self.base + path, headers=headers) as response:
            return response.status, response.content_type, await response.text()


@asynccontextmanager
async def serving(endpoint: endpoints.Endpoint) -> AsyncIterator[Client]:
    async with anyio.create_task_group() as group:
        await group.start(endpoint.run)
        async with aiohttp.ClientSession() as session:
            yield Client(session, endpoint.port)
        group.cancel_scope.cancel()


async def test_metrics_are_served_as_the_client_asks(health: endpoints.Health) -> None:
    async with serving(built(health)) as client:
        status, kind, text = await client.get("/metrics")
        assert (status, kind) == (200, "text/plain")
        assert "snapshotd_build_info" in text

        _, kind, text = await client.get("/metrics", Accept="application/openmetrics-text")
        assert kind == "application/openmetrics-text"
        assert text.endswith("# EOF\n")


async def test_the_path_of_the_metrics_can_be_changed(health: endpoints.Health) -> None:
    async with serving(built(health, metrics_path="/m")) as client:
        assert (await client.get("/m"))[0] == 200
        assert (await client.get("/metrics"))[0] == 404


@pytest.mark.parametrize("path", ["metrics", "", "/readyz", "/healthz/leader-election"])
def test_a_metrics_path_that_cannot_be_is_refused(health: endpoints.Health, path: str) -> None:
    with pytest.raises(errors.Misconfigured, match="--metrics-path"):
        built(health, metrics_path=path)


async def test_with_no_checks_all_is_well(health: endpoints.Health) -> None:
    async with serving(built(health)) as client:
        for path in ("/livez", "/healthz", "/readyz"):
            assert await client.get(path) == (200, "text/plain", "ok")


async def test_a_problem_of_readiness_is_no_reason_to_restart(health: endpoints.Health) -> None:
    health.add_live("loop", lambda: None)
    health.add_ready("caches", lambda: "VolumeSnapshot is not listed yet")

    async with serving(built(health)) as client:
        assert (await client.get("/healthz"))[0] == 200
        assert await client.get("/readyz") == (
            500,
            "text/plain",
            "[+]loop ok\n[-]caches: VolumeSnapshot is not listed yet\n",
        )


async def test_a_problem_of_liveness_is_one_of_readiness_too(health: endpoints.Health) -> None:
    health.add_live("actors", lambda: "stuck")

    async with serving(built(health)) as client:
        for path in ("/livez", "/healthz", "/readyz"):
            assert await client.get(path) == (500, "text/plain", "[-]actors: stuck\n")


async def test_health_follows_its_checks(health: endpoints.Health) -> None:
    problems: list[str | None] = [None, "later"]
    health.add_ready("driver", problems.pop)

    async with serving(built(health)) as client:
        assert (await client.get("/readyz"))[0] == 500
        assert (await client.get("/readyz"))[0] == 200


async def test_what_was_checked_is_shown_on_request(health: endpoints.Health) -> None:
    health.add_ready("driver", lambda: None)

    async with serving(built(health)) as client:
        assert await client.get("/readyz?verbose") == (200, "text/plain", "[+]driver ok\n")


async def test_a_check_that_crashes_is_a_problem(health: endpoints.Health) -> None:
    def broken() -> str | None:
        message = "a defect"
        raise LookupError(message)

    health.add_ready("driver", broken)

    async with serving(built(health)) as client:
        status, _, text = await client.get("/readyz")
    assert (status, text) == (500, "[-]driver: the check itself failed: LookupError: a defect\n")


async def test_the_leader_page_is_there_only_with_an_election(health: endpoints.Health) -> None:
    async with serving(built(health)) as client:
        assert (await client.get("/healthz/leader-election"))[0] == 404
        health.watch_leader(lambda: None)
        assert await client.get("/healthz/leader-election") == (200, "text/plain", "ok")
        health.watch_leader(lambda: "not renewed for 40 s")
        assert (await client.get("/healthz/leader-election"))[0] == 500


async def test_a_busy_port_is_told_with_what_to_do(health: endpoints.Health) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(errors.Misconfigured, match=f"{port}: the port is in use: choose"):
            await built(health, endpoints.Address("127.0.0.1", port)).run()


async def test_an_address_of_another_machine_is_told(health: endpoints.Health) -> None:
    with pytest.raises(errors.Misconfigured, match="cannot listen there"):
        await built(health, endpoints.Address("192.0.2.1", 8080)).run()


def test_a_port_that_is_not_allowed_is_told() -> None:
    advice = endpoints._advice(endpoints.Address(None, 80), PermissionError(13, "denied"))

    assert advice == "--http-endpoint :80: not allowed: choose a port of 1024 or above"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":8080", None, 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),  # noqa: S104 - only parsed
        ("localhost:65535", "localhost", 65535),
        ("[::1]:8080", "::1", 8080),
    ],
)
def test_an_address_is_read_as_go_reads_it(text: str, host: str | None, port: int) -> None:
    address = endpoints.parse_address(text)

    assert address == endpoints.Address(host, port)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8080", "host", "host:", ":http", ":65536", "::1:80", ":-1"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(errors.Misconfigured, match="write host:port, such as"):
        endpoints.parse_address(text)
