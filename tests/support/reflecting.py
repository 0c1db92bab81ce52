"""Running a reflector against a scripted server, until all that the script holds was taken in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import scripted

from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches


@asynccontextmanager
async def running(reflector: reflectors.Reflector) -> AsyncIterator[None]:
    """Run it for as long as the block lasts, which must not be long."""
    async with anyio.create_task_group() as group:
        group.start_soon(reflector.run)
        with anyio.fail_after(10):
            yield
        group.cancel_scope.cancel()


async def until_idle(server: scripted.Server, reflector: reflectors.Reflector) -> None:
    """Run until the script is at its end: all that came before has been taken in."""
    async with running(reflector):
        await server.idle.wait()


def claims_in(store: caches.Store[wire.Object]) -> dict[str, str]:
    """Return the cached claims' versions by name."""
    found = store.of_kind(keys.Kind.CLAIM)
    return {obj.metadata.name: obj.metadata.resource_version for obj in found}
