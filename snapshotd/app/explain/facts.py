"""What was read from the cluster, and what was found out about it: data, and no I/O."""

import enum
from collections.abc import Mapping

import msgspec

from snapshotd.actors import roles
from snapshotd.model import keys, leases, names, times, wire
from snapshotd.runtime import store as caches

_UNSAID = 15  # seconds: how long a lease is good for that does not say so


class State(enum.StrEnum):
    """What a finding means for the reader."""

    OK = "ok"
    WAITS = "waits"  # nobody needs to act: it goes on by itself
    PROBLEM = "problem"  # somebody must act
    UNKNOWN = "unknown"  # it could not be found out
    NOTE = "note"  # what else is known of it


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at; `since` is RFC 3339, `command` would help, or show more."""

    state: State
    about: str
    told: str
    since: str = ""
    who: str = ""
    command: str = ""


class Report(msgspec.Struct, frozen=True):
    """What was found about one object, in the order in which things happen.

    `members`: of a group, in short how each of its snapshots is.
    """

    subject: str
    findings: tuple[Finding, ...]
    members: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Finding:
        """Return what decides: the first problem, else the first wait, else the last thing.

        The members decide nothing: what of theirs holds their group up, its own findings tell.
        """
        for state in (State.PROBLEM, State.WAITS, State.UNKNOWN):
            for finding in self.findings:
                if finding.state is state:
                    return finding
        fine = [each for each in self.findings if each.state is State.OK]
        return (fine or self.findings)[-1]


class Told(msgspec.Struct, frozen=True):
    """An Event: what somebody told about an object."""

    type: str  # Normal or Warning
    reason: str
    message: str
    last: str = ""


class Facts(msgspec.Struct):
    """What was read; None where it may not be, or could not be, read.

    `drivers`: the CSIDriver objects' names. `held`: every Lease of interest by its name. `told`:
    Events by object, newest last. `unread`: why a kind could not be read. `now`: seconds since the
    epoch, by the reader's clock.
    """

    cache: caches.Store[wire.Object]
    now: float
    drivers: frozenset[str] | None = None
    held: Mapping[str, leases.Lease] | None = None
    told: dict[keys.Key, tuple[Told, ...]] = {}
    unread: dict[keys.Kind, str] = {}
    nodes: bool = False

    def age(self, since: str) -> float:
        """Return the seconds since then, 0 where that cannot be told."""
        try:
            return max(0.0, self.now - times.seconds(since))
        except ValueError:
            return 0.0

    def warnings(self, key: keys.Key) -> tuple[Told, ...]:
        """Return what was complained of about an object, newest last."""
        return tuple(each for each in self.told.get(key, ()) if each.type == names.WARNING)


def empty(now: float) -> Facts:
    """Return facts about nothing, to be filled."""
    return Facts(caches.Store[wire.Object](roles.CLUSTER_INDEXES), now)


def is_held(lease: leases.Lease, now: float) -> bool:
    """Say whether somebody holds a lease, by the times in it."""
    spec = lease.spec
    if not spec.holder_identity or not spec.renew_time:
        return False
    good = spec.lease_duration_seconds or _UNSAID
    return now < times.seconds(spec.renew_time) + good
