"""Kubernetes Events: told in passing, merged, and dropped first when anything is short.

Invariants: `announce` never waits and never fails; the queue is bounded, its oldest dropped first;
what happens again while it waits is one write; a failure to write costs the Event alone.
"""

import secrets
from collections import OrderedDict
from typing import Final

import anyio
import structlog

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.kube import connection as connections
from snapshotd.kube import correlation, resources
from snapshotd.model import keys, meta, times, wire
from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_QUEUED: Final = 1000
_ATTEMPTS: Final = 3
_RETRY_AFTER: Final = 5.0  # seconds
_LONGEST_MESSAGE: Final = 1024  # bytes; what events.k8s.io allows for a note
_LONGEST_NAME: Final = 253
_WRITE_WITHIN: Final = 10.0  # seconds
_CLUSTER_SCOPED_IN: Final = "default"


class Recorder:
    """Writes Events in the background: `announce` from anywhere, `run` as a task, `stop` to end."""

    def __init__(
        self,
        connection: connections.Connection,
        component: str,
        *,
        clock: clocks.Clock,
        meters: metrics.Metrics,
        drain: float = 5.0,
    ) -> None:
        """Write as `component`; after `stop` there are `drain` seconds for what is queued."""
        self.dropped = 0
        self.failed = 0
        self._connection = connection
        self._component = component
        self._clock = clock
        self._meters = meters.events(component)
        self._drain = drain
        self._correlator = correlation.Correlator()
        self._queue: OrderedDict[correlation.Series, correlation.Entry] = OrderedDict()
        self._more = anyio.Event()
        self._stopping = False
        self._scope: anyio.CancelScope | None = None

    def announce(self, event: intents.Announce) -> None:
        """Have an Event written some time soon, or merged, or dropped."""
        found = self._correlator.observe(event, self._clock.now())
        if found is None:
            self._drop(1)
            return
        series, entry = found
        self._queue[series] = entry
        if len(self._queue) > _QUEUED:
            self._queue.popitem(last=False)
            self._drop(1)
        self._more.set()

    def stop(self) -> None:
        """Ask `run` to write what is queued, within the time there is for it, and return."""
        self._stopping = True
        if self._scope is not None:
            self._scope.deadline = anyio.current_time() + self._drain
        self._more.set()

    async def run(self) -> None:
        """Write Events until asked to stop."""
        with anyio.CancelScope() as self._scope:
            while True:
                while self._queue:
                    _, entry = self._queue.popitem(last=False)
                    await self._settle(entry)
                if self._stopping:
                    return
                self._more = anyio.Event()
                await self._more.wait()
        self._drop(len(self._queue))

    def _drop(self, events: int) -> None:
        self.dropped += events
        self._meters.count("dropped", events)

    async def _settle(self, entry: correlation.Entry) -> None:
        """Write one Event; one that cannot be written is counted in the next of its series."""
        told: errors.SnapshotdError
        for _ in range(_ATTEMPTS):
            pause = 0.0
            try:
                await self._write(entry)
            except errors.Gone as error:
                told = error
                if not entry.name:
                    break  # its namespace is gone
                entry.name = ""  # it expired at the API server: once more, as a new one
            except errors.Retryable as error:
                told = error
                pause = max(_RETRY_AFTER, getattr(error, "retry_after", 0.0))
            except errors.SnapshotdError as error:
                told = error
                break
            else:
                self._meters.count("written")
                return
            await self._clock.sleep(pause)
        self.failed += 1
        self._meters.count("failed")
        log.debug("event_not_written", reason=entry.event.reason, error=str(told))

    async def _write(self, entry: correlation.Entry) -> None:
        namespace = entry.event.about.namespace or _CLUSTER_SCOPED_IN
        resource = resources.of(keys.Kind.EVENT)
        if entry.name:
            change = {
                "count": entry.count,
                "lastTimestamp": times.rfc3339(entry.last),
                "message": _short(entry.message),
            }
            await self._connection.events.request(
                "PATCH",
                resource.object(namespace, entry.name),
                body=wire.encode(change),
                content_type=connections.MERGE_PATCH,
                timeout=_WRITE_WITHIN,
            )
            return
        name = _name(entry.event.about)
        body = self._body(entry, meta.ObjectMeta(name=name, namespace=namespace))
        await self._connection.events.request(
            "POST", resource.collection(namespace), body=body, timeout=_WRITE_WITHIN
        )
        entry.name = name

    def _body(self, entry: correlation.Entry, metadata: meta.ObjectMeta) -> bytes:
        return wire.encode(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": metadata,
                "involvedObject": entry.event.about,
                "type": entry.event.type,
                "reason": entry.event.reason,
                "message": _short(entry.message),
                "source": {"component": self._component},
                "reportingComponent": self._component,
                "firstTimestamp": times.rfc3339(entry.first),
                "lastTimestamp": times.rfc3339(entry.last),
                "count": entry.count,
            }
        )


def _name(about: meta.ObjectReference) -> str:
    """Return a name of the form client-go gives: the object's, a dot, sixteen hex digits."""
    suffix = f".{secrets.token_hex(8)}"
    return about.name[: _LONGEST_NAME - len(suffix)] + suffix


def _short(message: str) -> str:
    return message.encode()[:_LONGEST_MESSAGE].decode("utf-8", "ignore")
