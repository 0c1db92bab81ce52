"""What a soak does to a cluster: weather between the parts, and blows to the parts themselves."""

import collections
import random
import re
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import faulty
from fault_plan import Fault, Plan, Rule
from lease_history import tenures

ROLES: Final = ("controller-a", "controller-b", "sidecar-a", "sidecar-b")
# For which a role ends by itself: its lease, or a driver that goes while it is met at the start
_REASONS: Final = re.compile(r"lost the lease|csi-snapshotter: Identity/\w+: UNAVAILABLE")
_ASKED_FOR: Final = {0, -signal.SIGKILL, -signal.SIGTERM}  # asked twice, a role ends at once
_SHORT: Final = (faulty.LEASE - faulty.RENEW) / 2 * 0.6  # what the network may take, and some
_AT_ONCE: Final = 5  # kinds of faults
_CODES: Final = ("UNAVAILABLE", "INTERNAL", "CANCELLED", "ABORTED", "DEADLINE_EXCEEDED")
_METHODS: Final = ("CreateSnapshot", "DeleteSnapshot", "ListSnapshots", "GetSnapshot")


class Strikes:
    """The blows, by a seed."""

    def __init__(self, cluster: faulty.Cluster, dice: random.Random) -> None:
        self.done: collections.Counter[str] = collections.Counter()
        self.surprises: list[str] = []  # ends of roles for which there was no reason
        self.struck: collections.Counter[Fault] = collections.Counter()
        self._cluster = cluster
        self._dice = dice
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._plan = Plan()
        self._deck: list[Fault] = []  # each comes once before any comes again

    def keep(self) -> None:
        """Do what is due, and start again each role that has ended, as a kubelet does."""
        now = time.monotonic()
        due = [each for each in self._due if each[0] <= now]
        self._due = [each for each in self._due if each[0] > now]
        for _, act in due:
            act()
        for name, role in list(self._cluster.roles.items()):
            if role.running:
                continue
            code = role.end(signal.SIGKILL)
            if code not in _ASKED_FOR and not _REASONS.search(role.log()):
                self.surprises.append(f"{role.who} ended with {code}: {role.log()[-2000:]}")
            self._cluster.start(name)

    def weather(self) -> None:
        """Let other things go wrong from now on."""
        self._count()
        dice = self._dice
        if len(self._deck) < _AT_ONCE:
            self._deck += dice.sample(list(Fault), k=len(Fault))
        rules = [self._rule(fault) for fault in self._deck[:_AT_ONCE]]
        del self._deck[:_AT_ONCE]
        self._plan = self._cluster.disturb(*rules, seed=dice.randrange(2**30))
        kinds: list[dict[str, Any]] = [
            *({"code": code, "lose_answer": lost} for code in _CODES for lost in (False, True)),
            {"hang": True},
            {"hang": True, "lose_answer": True},
            {"latency": 0.2},
        ]
        methods = {
            method: {**dice.choice(kinds), "times": dice.randint(1, 6)} for method in _METHODS
        }
        self._cluster.dev.faults({"ready_after": dice.choice([0.0, 0.3]), "methods": methods})

    def strike(self) -> None:
        """Strike one part."""
        blows = [
            *[self._freeze_leader] * 4,
            self._freeze_anybody,
            *[self._kill] * 2,
            *[self._end] * 2,
            self._restart_network,
            self._restart_server,
            self._freeze_server,
            self._cut_driver,
            self._slow_driver,
            self._hold_driver,
        ]
        blow = self._dice.choice(blows)
        self.done[blow.__name__[1:]] += 1
        blow()

    def calm(self) -> None:
        """Have all that was struck go on, and strike no more."""
        self._count()
        self._plan = Plan()
        for _, act in self._due:
            act()
        self._due = []
        self._cluster.calm()

    def _rule(self, fault: Fault) -> Rule:
        dice = self._dice
        match fault:
            case Fault.DELAY_BEFORE:
                return Rule(fault, chance=0.2, seconds=dice.uniform(0.05, _SHORT))
            case Fault.DELAY_AFTER | Fault.SILENCE:
                return Rule(fault, chance=0.1, seconds=dice.uniform(0.1, 2.0))
            case Fault.HALF_OPEN | Fault.BLACK_HOLE:
                return Rule(fault, chance=0.05, times=4)
            case Fault.TOO_MANY | Fault.UNAVAILABLE:
                return Rule(fault, chance=0.1, seconds=dice.choice([0.0, 1.0]))
            case Fault.TWICE:
                return Rule(fault, chance=0.5)
            case Fault.CUT | Fault.EXPIRED | Fault.GARBAGE:
                return Rule(fault, chance=0.03)
            case _:
                return Rule(fault, chance=0.1)

    def _count(self) -> None:
        for rule, times in zip(self._plan.rules, self._plan.struck(), strict=True):
            self.struck[rule.fault] += times

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, act))

    def _anybody(self) -> faulty.Role:
        return self._cluster.roles[self._dice.choice(ROLES)]

    def _leader(self) -> faulty.Role:
        """Return who leads, as far as can be seen: one may have ended since."""
        role = self._dice.choice(["controller", "controller", "sidecar"])
        held = tenures(list(self._cluster.proxy.log), role, faulty.LEASE)
        name = held[-1].who.partition(".")[0] if held else f"{role}-a"
        return self._cluster.roles[name]

    def _freeze_leader(self) -> None:
        """Have a leader stand still for so long that another one takes over."""
        role = self._leader()
        role.freeze()
        self._later(faulty.LEASE + self._dice.uniform(0.5, 3.0), role.thaw)

    def _freeze_anybody(self) -> None:
        role = self._anybody()
        role.freeze()
        self._later(self._dice.uniform(0.2, faulty.LEASE), role.thaw)

    def _kill(self) -> None:
        self._anybody().end(signal.SIGKILL)

    def _end(self) -> None:
        role = self._anybody()
        role.thaw()
        role.part.process.send_signal(signal.SIGTERM)

    def _restart_network(self) -> None:
        self._cluster.proxy.restart(self._dice.uniform(0.1, 1.0))

    def _restart_server(self) -> None:
        self._cluster.restart_dev(self._dice.choice([signal.SIGKILL, signal.SIGTERM]))

    def _freeze_server(self) -> None:
        process = self._cluster.dev.process
        process.send_signal(signal.SIGSTOP)
        self._cluster.linger(self._dice.uniform(0.2, 2.0))
        process.send_signal(signal.SIGCONT)

    def _cut_driver(self) -> None:
        self._cluster.socket.cut()

    def _slow_driver(self) -> None:
        self._cluster.socket.slow(0.05)
        self._later(3.0, self._cluster.socket.flow)

    def _hold_driver(self) -> None:
        self._cluster.socket.hold()
        self._later(self._dice.uniform(0.5, 4.0), self._cluster.socket.flow)
