"""The channel of an idle sidecar: it tells when its driver goes, and when it is back."""

from pathlib import Path

import anyio
import scripted_driver

from snapshotd.csi import connection, driver
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets


async def test_a_watch_tells_of_each_loss_and_return_until_the_end(tmp_path: Path) -> None:
    """Without any call being made: an idle sidecar must see its driver go."""
    servicer = scripted_driver.scripted()
    socket = tmp_path / "csi.sock"
    link = connection.Connection(str(socket))
    told, changes = anyio.create_memory_object_stream[bool](10)
    with told, changes, anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(link.watch, told.send_nowait)
            first = await scripted_driver.serve(servicer, socket)
            assert await changes.receive()
            await first.stop(None)
            assert not await changes.receive()
            second = await scripted_driver.serve(servicer, socket)
            assert await changes.receive()
            await link.close()  # and the watch ends of itself
        await second.stop(None)


async def test_a_cancelled_watch_ends_its_scope(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    del scripted
    with anyio.move_on_after(0.05) as scope:
        await link.watch(lambda _up: None)
    assert scope.cancelled_caught


async def test_a_driver_that_came_back_is_called_without_being_waited_for(tmp_path: Path) -> None:
    """The watch alone brings the connection back: the call that follows finds it up."""
    servicer = scripted_driver.scripted()
    socket = tmp_path / "csi.sock"
    link = connection.Connection(str(socket), timeout=10.0)
    told, changes = anyio.create_memory_object_stream[bool](10)
    delete = intents.DeleteSnapshot("handle")
    with told, changes, anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(link.watch, told.send_nowait)
            first = await scripted_driver.serve(servicer, socket)
            assert await changes.receive()
            assert link.connected()
            await first.stop(None)
            assert not await changes.receive()
            assert not link.connected()
            assert servicer.requests == []
            second = await scripted_driver.serve(servicer, socket)
            assert await changes.receive()
            assert link.connected()
            answer = await driver.Driver(link).delete_snapshot(delete, secrets.NO_CREDENTIALS)
            assert answer == outcomes.Deleted()
            await link.close()
        await second.stop(None)
