"""Everything in this room runs in virtual time."""

from collections.abc import Callable

import pytest
import virtual_time

from snapshotd.telemetry import metrics


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Callable[[], virtual_time.VirtualLoop]]]:
    return "asyncio", {"loop_factory": virtual_time.VirtualLoop}


@pytest.fixture
def clock() -> virtual_time.VirtualClock:
    return virtual_time.VirtualClock()


@pytest.fixture
def meters() -> metrics.Metrics:
    return metrics.Metrics()
