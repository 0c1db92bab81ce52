"""Fixtures for every test: asyncio is the only backend, since aiohttp and grpc.aio need it."""

import choice
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    choice.options(parser)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
