"""A sidecar between the simulated API and a driver that keeps snapshots, over a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import beside_driver
import keeping_groups
import objects
import pytest
import scripted_driver

from snapshotd.csi import connection


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[scripted_driver.Keeping]:
    """A driver that takes snapshots and can do nothing else, until a test adds to `able`."""
    servicer = scripted_driver.keeping(objects.DRIVER)
    server = await scripted_driver.serve(servicer, tmp_path / "csi.sock")
    yield servicer
    await server.stop(None)


@pytest.fixture
async def story(
    driver: scripted_driver.Keeping, link: connection.Connection
) -> beside_driver.Story:
    """A class, a driver, and a sidecar that is not started yet."""
    told = beside_driver.Story(driver, link)
    told.api.put(objects.class_())
    return told


@pytest.fixture
async def group_driver(tmp_path: Path) -> AsyncIterator[keeping_groups.KeepingGroups]:
    """A driver that takes snapshots of groups as well."""
    servicer = keeping_groups.keeping(objects.DRIVER)
    server = await scripted_driver.serve(servicer, tmp_path / "csi.sock")
    yield servicer
    await server.stop(None)


@pytest.fixture
async def grouped(
    group_driver: keeping_groups.KeepingGroups, link: connection.Connection
) -> beside_driver.GroupStory:
    """A group class, that driver, and a sidecar that is not started yet."""
    told = beside_driver.GroupStory(group_driver, link)
    told.api.put(objects.group_class())
    return told
