"""`snapshotd dev` as users run it, for every e2e test."""

from collections.abc import Iterator
from pathlib import Path

import e2e
import pytest


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[e2e.Dev]:
    """A fresh `snapshotd dev`, started."""
    running = e2e.Dev(tmp_path / "d").started()
    yield running
    running.stop()
