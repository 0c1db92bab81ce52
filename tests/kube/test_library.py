import subprocess
import sys

import pytest

# Each runs in a process of its own: what is loaded is the subject
LEAN = """
import sys
from snapshotd.kube import library
found = library.load()
assert found.Configuration.__module__ == "kubernetes_asyncio.client.configuration"
loaded = [name for name in sys.modules if name.startswith("kubernetes_asyncio")]
assert "kubernetes_asyncio.client.models" not in sys.modules, loaded
assert len(loaded) < 20, loaded
"""
LATER = """
from snapshotd.kube import library
found = library.load()
import kubernetes_asyncio
assert kubernetes_asyncio.client.Configuration is found.Configuration
assert kubernetes_asyncio.config.load_kube_config is found.load_kube_config
assert kubernetes_asyncio.client.CoreV1Api
assert library.load().Configuration is found.Configuration
"""
ANOTHER_LAYOUT = """
import importlib.abc, sys

class Moved(importlib.abc.MetaPathFinder):
    armed = True
    def find_spec(self, name, path=None, target=None):
        if self.armed and name == "kubernetes_asyncio.config":
            Moved.armed = False
            raise ImportError("moved")
        return None

sys.meta_path.insert(0, Moved())
from snapshotd.kube import library
found = library.load()
assert not Moved.armed
import kubernetes_asyncio
assert kubernetes_asyncio.client.Configuration is found.Configuration
assert kubernetes_asyncio.client.CoreV1Api
"""


@pytest.mark.parametrize("program", [LEAN, LATER, ANOTHER_LAYOUT])
def test_the_library_loads_as_little_as_it_can(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
