"""`snapshotd` as users run it: over the embedded API server, a real one, or any cluster."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import choice
import clusters
import controlplane
import e2e
import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dev" in metafunc.fixturenames:
        metafunc.parametrize("dev", choice.servers(metafunc.config), indirect=True)


@pytest.fixture
def dev(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[e2e.Dev]:
    """Everything that runs, started."""
    servers = {"embedded": _embedded, "real": _real, "kubeconfig": _borrowed}
    try:
        with servers[request.param](tmp_path, request.config) as running:
            yield running
    except controlplane.Unobtainable as error:
        pytest.skip(str(error))
    except clusters.Unsuitable as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def plane(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[controlplane.ControlPlane]:
    """The real control plane with nothing of ours in it."""
    if "real" not in choice.servers(request.config):
        pytest.skip("this needs the real control plane")
    try:
        with controlplane.running(tmp_path / "plane") as running:
            yield running
    except controlplane.Unobtainable as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def _embedded(folder: Path, _: pytest.Config) -> Iterator[e2e.Dev]:
    running = e2e.Dev(folder / "d").started()
    yield running
    running.stop()


@contextlib.contextmanager
def _real(folder: Path, _: pytest.Config) -> Iterator[e2e.Dev]:
    with controlplane.running(folder / "plane") as plane:
        running = clusters.RealDev(folder / "d", plane).started()
        yield running
        assert running.stop() == 0


@contextlib.contextmanager
def _borrowed(folder: Path, config: pytest.Config) -> Iterator[e2e.Dev]:
    with clusters.borrowed(config.getoption("--kubeconfig"), folder) as running:
        yield running
