"""Who held a Lease when, as the proxy saw it, and who wrote without it.

The API server's answers are the truth: a holder is one whose write of the Lease was answered with
200 or 201, from then on, until another's was, its own release was, or the duration has passed since
it sent its last renewal. Nothing is held to be anybody's in between, so that a write is blamed in
every case in which it was forwarded without a lease that was known to be the writer's.

What cannot be prevented is allowed, and counted: a process that is frozen between looking at its
lease and giving the bytes to the kernel sends them when it wakes. It has one thread, so that is one
request a freeze at most, and within `_AWAKE` of waking.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from fault_plan import Entry

_AWAKE = 0.05  # seconds from SIGCONT to the arrival of what had been on its way


@dataclasses.dataclass(frozen=True, slots=True)
class Tenure:
    """`who` holds the lease from `begin` to `end`."""

    who: str
    begin: float
    end: float


@dataclasses.dataclass(slots=True)
class Verdict:
    """The writes that nothing excuses, those that a freeze does, and how many need no excuse."""

    blamed: list[str] = dataclasses.field(default_factory=list)
    excused: list[str] = dataclasses.field(default_factory=list)
    fair: int = 0


def tenures(log: Iterable[Entry], role: str, duration: float) -> list[Tenure]:
    """Return which of a role's processes held its lease, in order."""
    found: list[Tenure] = []
    for entry in sorted(_held(log, role), key=lambda each: each.answered or 0.0):
        assert entry.answered is not None
        assert entry.forwarded is not None
        last = found[-1] if found else None
        if last is not None and last.who == entry.who and entry.holder:
            # A renewal: where the last one had run out meanwhile, a tenure of its own
            if entry.forwarded <= last.end:
                found[-1] = dataclasses.replace(last, end=entry.forwarded + duration)
                continue
        elif last is not None and last.end > entry.answered:
            # Another's, or given back: from the moment it was sent it may hold at the server
            end = entry.answered if last.who != entry.who else entry.forwarded
            found[-1] = dataclasses.replace(last, end=end)
        if entry.holder:
            found.append(Tenure(entry.who, entry.answered, entry.forwarded + duration))
    return found


def judge(
    log: Sequence[Entry], role: str, held: Sequence[Tenure], woken: Mapping[str, Sequence[float]]
) -> Verdict:
    """Look at each write of a role's processes, Events and Leases left out."""
    verdict = Verdict()
    excuses = [(who, moment) for who, moments in woken.items() for moment in moments]
    for entry in log:
        if not entry.who.startswith(role) or entry.forwarded is None or not _counts(entry):
            continue
        at, who, received = entry.forwarded, entry.who, entry.received
        if any(each.who == who and each.begin <= at <= each.end for each in held):
            verdict.fair += 1
            continue
        fit = [each for each in excuses if each[0] == who and 0 <= received - each[1] <= _AWAKE]
        if fit:
            excuses.remove(fit[0])
        (verdict.excused if fit else verdict.blamed).append(_story(entry, held))
    return verdict


def _held(log: Iterable[Entry], role: str) -> Iterable[Entry]:
    return (
        entry
        for entry in log
        if entry.who.startswith(role)
        and entry.holder is not None
        and entry.status in {200, 201}
        and entry.answered is not None
    )


def _counts(entry: Entry) -> bool:
    aside = "/events" in entry.path or "/leases" in entry.path
    return entry.write and not aside


def _story(entry: Entry, held: Sequence[Tenure]) -> str:
    at = entry.forwarded or 0.0
    before = [tenure for tenure in held if tenure.begin <= at][-2:]
    said = ", ".join(f"{t.who} {t.begin - at:+.3f}..{t.end - at:+.3f}" for t in before)
    return (
        f"{at:.3f} {entry.who} {entry.method} {entry.path} -> {entry.status}, "
        f"received {entry.received - at:+.3f}, {[each.value for each in entry.faults]}; "
        f"the lease: {said}"
    )
