"""Running a reflector against a scripted server, until all that the script holds was taken in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import scripted

from snapshotd.kube import connection as connections
from snapshotd.kube import reflector as reflectors
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics


class Maker:
    """Makes reflectors into one store."""

    def __init__(
        self,
        connection: connections.Connection,
        store: caches.Store[wire.Object],
        *,
        clock: scripted.Clock,
        meters: metrics.Metrics,
    ) -> None:
        self.connection, self.store, self.clock, self.meters = connection, store, clock, meters

    def __call__(
        self, scope: reflectors.Scope | None = None, timing: reflectors.Timing | None = None
    ) -> reflectors.Reflector:
        return reflectors.Reflector(
            self.connection,
            scope or reflectors.Scope(keys.Kind.CLAIM),
            store=self.store,
            clock=self.clock,
            meters=self.meters,
            timing=timing,
        )


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
