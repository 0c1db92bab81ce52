"""One cluster with faults for a file of tests: a controller and a sidecar, both leading."""

from collections.abc import Iterator

import faulty
import pytest

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[faulty.Cluster]:
    with faulty.Cluster(tmp_path_factory.mktemp("faults")) as cluster:
        cluster.kubectl.apply(CLAIM)
        for name in ("controller-a", "sidecar-a"):
            cluster.start(name)
        yield cluster


@pytest.fixture
def cluster(shared: faulty.Cluster) -> Iterator[faulty.Cluster]:
    """The shared cluster, with both roles leading and nothing going wrong."""
    shared.until(
        lambda: all(" leading " in role.log() for role in shared.roles.values()),
        "they do not lead",
    )
    yield shared
    for role in shared.roles.values():
        role.thaw()
    shared.calm()
