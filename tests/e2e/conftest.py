"""`snapshotd` as users run it: over the embedded API server, and over a real one."""

from collections.abc import Iterator
from pathlib import Path

import controlplane
import e2e
import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dev" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--api-server")
        servers = ["embedded", "real"] if chosen == "both" else [chosen]
        metafunc.parametrize("dev", servers, indirect=True)


@pytest.fixture
def dev(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[e2e.Dev]:
    """Everything that runs, started."""
    if request.param == "embedded":
        running = e2e.Dev(tmp_path / "d").started()
        yield running
        running.stop()
        return
    try:
        with controlplane.running(tmp_path / "plane") as plane:
            real = e2e.RealDev(tmp_path / "d", plane)
            yield real
            assert real.stop() == 0
    except controlplane.Unobtainable as error:
        pytest.skip(str(error))
