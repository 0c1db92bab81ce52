"""Leader election on a Lease: at most one replica leads, and another follows soon when it ends.

Invariants: another's lease is judged by how long *we* have seen it unchanged, never by its clock
against ours; who could not renew in time has stopped leading before anybody else may begin (the
renew deadline is shorter than the lease, and both run from before the request was sent); the lease
is given back only when the work it guarded has ended.

Written with PUT and the version read, as the reference's Role allows (get, create, update), with
all that others wrote into the object left in place.
"""

import contextlib
import dataclasses
import math
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio
import msgspec
import structlog

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.kube import connection as connections
from snapshotd.kube import resources
from snapshotd.model import keys, leases, meta, names, times, wire
from snapshotd.runtime import clock as clocks

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_JITTER: Final = 0.2  # of the retry period, so that standbys do not ask in step
_SOONER: Final = 0.2  # of the retry period: how soon after a renewal that failed
_OVERDUE: Final = 20.0  # seconds beyond the lease before health complains, as the reference has it


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """The reference's flags and defaults, in seconds."""

    lease_duration: float = 15.0  # after which others take over
    renew_deadline: float = 10.0  # after which we give up by ourselves
    retry_period: float = 5.0

    def check(self) -> None:
        """Raise `Misconfigured` where the times do not keep two from leading at once."""
        if not self.lease_duration > self.renew_deadline > self.retry_period * (1 + _JITTER) > 0:
            raise errors.Misconfigured(
                "leader election needs --leader-election-lease-duration"
                " > --leader-election-renew-deadline"
                f" > {1 + _JITTER:g} x --leader-election-retry-period > 0, and has"
                f" {self.lease_duration:g} s, {self.renew_deadline:g} s, {self.retry_period:g} s"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Lock:
    """Which Lease, who we are on it, and the labels to put on it."""

    namespace: str
    name: str
    identity: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


def identity() -> str:
    """Return a name for this process: the pod's, and what tells it from its own past."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Record:
    """The Lease as last read, with everything in it, and since when we have seen it so."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.whole: dict[str, Any] = {}
        self.spec = leases.LeaseSpec()
        self._since = float("-inf")

    def observe(self, body: bytes, now: float) -> None:
        """Take what was read or written at `now` (monotonic); the wait starts anew on a change."""
        lease = wire.decode(keys.Kind.LEASE, body)
        assert isinstance(lease, leases.Lease)  # noqa: S101 - for the type checker: decode's table
        if lease.spec != self.spec or not self.whole:
            self._since = now
        self.whole = msgspec.json.decode(body)
        self.spec = lease.spec

    def forget(self) -> None:
        """Take note that there is no Lease."""
        self.whole = {}
        self.spec = leases.LeaseSpec()

    def held_by_another(self, identity: str, now: float, *, default: float) -> bool:
        """Say whether somebody else may be leading; `default` where no duration was written."""
        holder = self.spec.holder_identity
        if not holder or holder == identity:
            return False
        return now < self._since + (self.spec.lease_duration_seconds or default)

    def held_by(self, identity: str, *, at: float, duration: float) -> dict[str, Any]:
        """Return the spec by which `identity` holds the lease from `at` (wall time) on."""
        ours = self.spec.holder_identity == identity
        since = self.spec.acquire_time if ours else None
        before = self.spec.lease_transitions or 0
        return {
            "holderIdentity": identity,
            "leaseDurationSeconds": math.ceil(duration),
            "acquireTime": since or times.rfc3339_micro(at),
            "renewTime": times.rfc3339_micro(at),
            "leaseTransitions": before if ours or not self.whole else before + 1,
        }


def _held_by_nobody(at: float) -> dict[str, Any]:
    now = times.rfc3339_micro(at)
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": now,
        "renewTime": now,
    }


class LeaderElection:
    """One candidate for one lease: `run` does all of it."""

    def __init__(
        self,
        channel: connections.Requests,
        lock: Lock,
        *,
        clock: clocks.Clock,
        timing: Timing | None = None,
        on_change: Callable[[bool], None] | None = None,
        on_slow_path: Callable[[], None] | None = None,
    ) -> None:
        """Prepare, on the connection's `leases`.

        `on_change` is told True on becoming leader and False on ceasing to be; `on_slow_path` is
        told of each renewal for which our own lease had to be read.
        """
        self.leading = False
        self._channel = channel
        self._lock = lock
        self._clock = clock
        self._timing = timing or Timing()
        self._timing.check()
        self._on_change = on_change
        self._on_slow_path = on_slow_path
        self._record = Record()
        self._renewed = float("-inf")
        self._lost = ""

    def left(self) -> float:
        """Return for how many seconds from now our writes may be under way, 0 if not at all.

        Half of the time between our own deadline and the moment another may begin is left to the
        server, for what it had received when we cut the connection.
        """
        if not self.leading:
            return 0.0
        until = (self._timing.renew_deadline + self._timing.lease_duration) / 2
        return max(0.0, self._renewed + until - self._clock.monotonic())

    def check(self) -> str | None:
        """Return why /healthz/leader-election should fail, None if it should not."""
        since = self._clock.monotonic() - self._renewed
        if self.leading and since > self._timing.lease_duration + _OVERDUE:
            return f"lease {self._lock} not renewed for {since:.0f} s"
        return None

    def announcement(self) -> intents.Announce:
        """Return the Event by which the reference tells who leads, or that nobody does here."""
        lock = self._lock
        about = meta.ObjectReference(
            api_version=resources.of(keys.Kind.LEASE).api_version,
            kind=str(keys.Kind.LEASE),
            namespace=lock.namespace,
            name=lock.name,
            uid=self._record.whole.get("metadata", {}).get("uid", ""),
        )
        became = "became leader" if self.leading else "stopped leading"
        return intents.Announce(about, names.NORMAL, "LeaderElection", f"{lock.identity} {became}")

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, call `lead`, renew meanwhile; return when `lead` returns.

        Raises `Unavailable` when the lease is lost: `leading` was False from that moment, `lead`
        was cancelled, and has ended by now. On every other way out the lease is given back, so
        that a successor starts at once.
        """
        await self._acquire()
        self._turn(leading=True)
        try:
            await self._lead(lead)
        finally:
            self._turn(leading=False)
            await self._release()
        if self._lost:
            raise errors.Unavailable(f"lost the lease {self._lock}: {self._lost}")

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep, group.cancel_scope, name=f"renew {self._lock}")
            try:
                await lead()
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group
                failure = error
            group.cancel_scope.cancel()
        if failure is not None and not self._lost:
            raise failure

    async def _acquire(self) -> None:
        told = ""
        while True:
            try:
                if await self._try():
                    return
                state = f"held by {self._record.spec.holder_identity}"
            except errors.SnapshotdError as error:
                state = str(error)
            if state != told:
                told = state
                log.info("waiting_for_lease", lease=str(self._lock), state=state)
            await self._clock.sleep(self._period())

    async def _keep(self, scope: anyio.CancelScope) -> None:
        """Renew until that fails for too long, or somebody else has the lease: then cancel."""
        pause = self._period()
        why = "nothing answered"
        while not self._lost:
            deadline = self._renewed + self._timing.renew_deadline
            await self._clock.sleep(min(pause, deadline - self._clock.monotonic()))
            left = deadline - self._clock.monotonic()
            pause = self._period() * _SOONER  # unless this one succeeds
            with anyio.move_on_after(left):
                try:
                    if await self._try():
                        pause = self._period()
                        continue
                    self._lost = f"{self._record.spec.holder_identity} has it"
                    break
                except errors.SnapshotdError as error:
                    why = str(error)
                    log.warning("lease_not_renewed", lease=str(self._lock), error=why)
            if self._clock.monotonic() >= deadline:
                self._lost = f"not renewed within {self._timing.renew_deadline:g} s: {why}"
        self.leading = False
        scope.cancel()

    async def _try(self) -> bool:
        """Take or renew the lease if that is ours to do; say whether we hold it now."""
        if self._record.spec.holder_identity == self._lock.identity:
            # A conflict here means that somebody wrote into our lease: read, and try again
            with contextlib.suppress(errors.Conflict, errors.Gone):
                await self._hold()
                return True
            if self._on_slow_path is not None:
                self._on_slow_path()
        await self._read()
        mine, now = self._lock.identity, self._clock.monotonic()
        if self._record.held_by_another(mine, now, default=self._timing.lease_duration):
            return False
        await self._hold()
        return True

    async def _hold(self) -> None:
        begun = self._clock.monotonic()
        duration = self._timing.lease_duration
        await self._write(
            self._record.held_by(self._lock.identity, at=self._clock.now(), duration=duration)
        )
        self._renewed = begun

    async def _read(self) -> None:
        path = resources.of(keys.Kind.LEASE).object(self._lock.namespace, self._lock.name)
        try:
            response = await self._channel.request("GET", path, timeout=self._within)
        except errors.Gone:
            self._record.forget()
        else:
            self._record.observe(response.body, self._clock.monotonic())

    async def _write(self, spec: dict[str, Any]) -> None:
        resource = resources.of(keys.Kind.LEASE)
        whole = self._record.whole
        metadata = whole.get("metadata") or {"name": self._lock.name}
        labels = {**metadata.get("labels", {}), **self._lock.labels}
        lease = {
            "apiVersion": resource.api_version,
            "kind": "Lease",
            **whole,
            "metadata": {**metadata, "labels": labels} if labels else metadata,
            "spec": {**whole.get("spec", {}), **spec},
        }
        response = await self._channel.request(
            "PUT" if whole else "POST",
            resource.object(self._lock.namespace, self._lock.name)
            if whole
            else resource.collection(self._lock.namespace),
            body=wire.encode(lease),
            timeout=self._within,
        )
        self._record.observe(response.body, self._clock.monotonic())

    async def _release(self) -> None:
        """Give the lease back, within a bound, whoever is cancelling us."""
        if self._lost:
            return
        with anyio.move_on_after(self._within, shield=True):
            try:
                await self._write(_held_by_nobody(self._clock.now()))
            except errors.SnapshotdError as error:
                log.info("lease_not_released", lease=str(self._lock), error=str(error))

    def _turn(self, *, leading: bool) -> None:
        self.leading = leading
        log.info("leading" if leading else "stopped_leading", lease=str(self._lock))
        if self._on_change is not None:
            self._on_change(leading)

    def _period(self) -> float:
        spread = random.uniform(1.0, 1.0 + _JITTER)  # noqa: S311 - spreads load, guards nothing
        return self._timing.retry_period * spread

    @property
    def _within(self) -> float:
        """Return the seconds one request may take: two of them fit into the renew deadline."""
        return self._timing.renew_deadline / 2
