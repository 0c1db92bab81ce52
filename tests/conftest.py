"""Fixtures for every test: asyncio is the only backend, since aiohttp and grpc.aio need it."""

import logging
from collections.abc import Iterator

import choice
import pytest
import structlog


def pytest_addoption(parser: pytest.Parser) -> None:
    choice.options(parser)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def logs_put_back() -> Iterator[None]:
    """Whatever a test configures of the logs, the next one finds them as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
