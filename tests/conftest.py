"""Fixtures for every test: asyncio is the only backend, since aiohttp and grpc.aio need it."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
