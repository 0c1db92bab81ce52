"""Fixtures for every test: asyncio is the only backend, since aiohttp and grpc.aio need it."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import choice
import patient
import pytest
import structlog


def pytest_addoption(parser: pytest.Parser) -> None:
    choice.options(parser)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]]:
    return "asyncio", {"loop_factory": patient.Loop}


@pytest.fixture
def logs_put_back() -> Iterator[None]:
    """Whatever a test configures of the logs, the next one finds them as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
