"""Fixtures for every test: asyncio is the only backend, since aiohttp and grpc.aio need it."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-server",
        choices=["embedded", "real", "both"],
        default=os.environ.get("SNAPSHOTD_API_SERVER", "both"),
        help="which API server the e2e tests use; real skips, saying why, where there is none",
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
