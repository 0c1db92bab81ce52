"""The embedded API server and the real one, side by side: where they differ, ours is wrong."""

import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import api
import choice
import controlplane
import e2e
import pytest
import yaml

from snapshotd.devcluster.apiserver import server

CRDS = Path(__file__).parents[3] / "config" / "crd"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[controlplane.ControlPlane]:
    """A kube-apiserver with the snapshot CRDs; skips, saying why, where there is none."""
    try:
        with controlplane.running(tmp_path_factory.mktemp("real")) as plane:
            kubectl = e2e.Kubectl(plane.administrator)
            kubectl("apply", "-k", str(CRDS))
            kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
            yield plane
    except controlplane.Unobtainable as error:
        pytest.skip(str(error))
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"the real control plane could not be built in time: {error}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" in metafunc.fixturenames:
        metafunc.parametrize("cluster", choice.servers(metafunc.config), indirect=True)


@pytest.fixture
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[api.Api]:
    """One of the two servers."""
    if request.param == "real":
        plane = request.getfixturevalue("real")
        async with api.Api(plane.url, plane.admin.token) as client:
            yield client
        return
    if request.param == "kubeconfig":
        pytest.skip("these compare the embedded API server with a real one of a known version")
    serving = server.ApiServer(server.Settings(tls=False))
    async with anyio.create_task_group() as group:
        await group.start(serving.run)
        async with api.Api(serving.url, serving.token) as client:
            for path in sorted(CRDS.glob("*snapshot*.yaml")):
                definition = yaml.safe_load(path.read_text())
                await client.create(
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition
                )
            yield client
        group.cancel_scope.cancel()


@pytest.fixture
async def space(cluster: api.Api) -> str:
    """A namespace of the test's own: the path of its snapshots' group."""
    name = f"t-{secrets.token_hex(4)}"
    await cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name
