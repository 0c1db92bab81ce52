"""All of the simulated world together, and the moves that its processes can make."""

import asyncio
import dataclasses
import enum
import random as randoms
from collections.abc import Callable

from simulated import api as apis
from simulated import families, gates, objects, process, witness
from simulated.faults import DriverFault
from simulated.process import Fault
from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import keys, names

CLAIMS = ("alpha", "beta")
LABELS = {"app": "db"}  # of all claims, beside their names
CLASSES = {"deleting": names.DELETE, "retaining": names.RETAIN, "standard": names.DELETE}
MOST_MOVES = 6000
_PATIENCE = 1000  # moves: then whatever would settle has settled
_WRITE_FAULTS = (Fault.CONFLICT, Fault.LOST_BEFORE, Fault.REFUSED)
_CALL_FAULTS = (
    DriverFault.REFUSED,
    DriverFault.UNAUTHENTICATED,
    DriverFault.INTERNAL,
    DriverFault.INTERNAL_AFTER,
    DriverFault.BUSY,
    DriverFault.LOST_BEFORE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What is fixed for one story; `luck`: how often what is on its way is lost or refused."""

    can_list: bool
    polls: int
    distributed: bool
    luck: float


class World:
    """An API, a driver, a controller (at times with a former one beside it) and a sidecar."""

    def __init__(self, loop: asyncio.AbstractEventLoop, setting: Setting) -> None:
        self.loop = loop
        self.setting = setting
        self.api = apis.Api()
        self.witness = witness.Witness(self.api)
        self.storage = self.witness.storage
        self.storage.polls_until_ready = setting.polls
        self.made = 0  # names given so far
        for name in CLASSES:
            self.bring_class(name)
            self.bring_group_class(name)
        for name in CLAIMS:
            self.bring_claim(name)
        self.controller = self._controller()
        self.sidecar = self._sidecar()
        self.former: process.Process | None = None

    def bring_class(self, name: str) -> None:
        """Have a class be there."""
        key = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name)
        if key not in self.api.objects:
            default = name == "standard"
            self.api.put(objects.snapshot_class(name, CLASSES[name], default=default))

    def bring_group_class(self, name: str) -> None:
        """Have a class for groups be there."""
        key = keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS, "", name)
        if key not in self.api.objects:
            default = name == "standard"
            self.api.put(objects.group_class(name, CLASSES[name], default=default))

    def bring_claim(self, name: str) -> None:
        """Have a bound claim and its volume be there."""
        labels = {**LABELS, "name": name}
        for obj in objects.bound_claim(name, local=self.setting.distributed, labels=labels):
            if obj.key not in self.api.objects:
                self.api.put(obj)

    def _controller(self) -> process.Process:
        leader = process.Process(self.api, storage=None, distributed=self.setting.distributed)
        self.witness.leader = leader
        return leader

    def _sidecar(self) -> process.Process:
        return process.Process(
            self.api,
            storage=self.storage,
            can_list=self.setting.can_list,
            distributed=self.setting.distributed,
        )

    @property
    def processes(self) -> list[process.Process]:
        """Everything of ours that runs."""
        former = [self.former] if self.former else []
        return [self.controller, self.sidecar, *former]

    # What happens to processes

    def restart(self, which: process.Process, random: randoms.Random) -> None:
        """Have a process die, and its successor start; what was on its way may still arrive."""
        if which is self.controller and self.witness.two_controllers:
            return  # accepted: see `actors.memory`, what a leader let go it must not forget so soon
        self._kill(which, random)
        if which is self.controller:
            self.controller = self._controller()
        elif which is self.sidecar:
            self.sidecar = self._sidecar()
        else:
            self.former = None

    def depose(self) -> process.Process | None:
        """Have the controller lose its lease without knowing it: another begins beside it."""
        if not self.witness.two_controllers:
            self.witness.two_controllers = True
            self.former = self.controller
            self.controller = self._controller()
        return self.former

    def _kill(self, which: process.Process, random: randoms.Random) -> None:
        for parked in which.parked:
            if random.random() < 0.5:
                self._arrive(parked)
        which.die(self.loop)

    def _arrive(self, parked: gates.Parked) -> None:
        """Have a request of a process that dies arrive all the same."""
        match parked.about:
            case intents.CreateSnapshot() if parked.stop is gates.Stop.CALL:
                self.storage.make(parked.about)
            case intents.DeleteSnapshot() if parked.stop is gates.Stop.CALL:
                self.storage.remove(parked.about)
            case intents.CreateGroupSnapshot() if parked.stop is gates.Stop.CALL:
                self.storage.make_group(parked.about)
            case intents.DeleteGroupSnapshot() if parked.stop is gates.Stop.CALL:
                self.storage.remove_group(parked.about)
            case intents.Refresh() | intents.Announce() | intents.Wake() | None:
                pass
            case intents.DriverCall():
                pass
            case write if parked.stop is gates.Stop.REQUEST:
                with gates.acting(parked.operation):
                    try:
                        self.api.write(write)
                    except errors.SnapshotdError:
                        return
            case _:
                pass

    def _end_of_two(self) -> None:
        """Have the fence fall once the new leader knows all that the former one wrote."""
        if self.witness.two_controllers and self.former is None:
            busy = [*self.controller.waiting.keys, *self.controller.waiting.in_hand]
            contents = any(key.kind in process.CONTENTS for key in busy)
            if not self.controller.late and not contents:
                self.witness.two_controllers = False

    # The moves of processes

    def move(self, which: process.Process, random: randoms.Random, luck: float) -> None:
        """Have a process make one small move: hear, take a key, or go on with one."""
        parked, takeable, late = which.parked, which.takeable, which.late
        total = 4 * bool(parked) + 3 * bool(takeable) + 3 * bool(late)
        if not total:
            return
        draw = random.random() * total
        if draw < 4 * bool(parked):
            chosen = random.choice(parked)
            self.go_on(which, chosen, fate(chosen, random) if random.random() < luck else None)
        elif draw < 4 * bool(parked) + 3 * bool(takeable):
            self.take(which, random.choice(takeable))
        else:
            which.deliver(random.choice(late))
        self._end_of_two()

    def take(self, which: process.Process, key: keys.Key) -> None:
        """Have a worker of a process take a key."""
        if which is self.controller and not self.setting.luck:  # what it does then goes well
            self.witness.looked_at(key, which.cache)
        which.take(self.loop, key, self.witness.holds(which.cache))

    def go_on(
        self, which: process.Process, parked: gates.Parked, fate: enum.Enum | None = None
    ) -> None:
        """Let an operation go on."""
        which.go_on(self.loop, parked, fate)

    def run(
        self,
        random: randoms.Random,
        moves: int,
        *,
        luck: float = 0.0,
        until: Callable[[gates.Parked], bool] | None = None,
    ) -> gates.Parked | None:
        """Have all processes move at random, `until` one of them stops there: return that stop."""
        for _ in range(moves):
            busy = [each for each in self.processes if not each.idle]
            if not busy:
                return None
            self.move(random.choice(busy), random, luck)
            if until is not None:
                for each in self.processes:
                    for parked in each.parked:
                        if until(parked):
                            return parked
        return None

    def settle(self) -> None:
        """Let everything run without faults until nothing is left to do."""
        if self.former is not None:
            self._kill(self.former, randoms.Random(0))  # noqa: S311 - as in `stories`
            self.former = None
        for moves in range(MOST_MOVES):
            busy = [each for each in self.processes if not each.idle]
            self._end_of_two()
            if moves % _PATIENCE == _PATIENCE - 1:
                self._clear_away()
            if not busy and not self.collect_garbage():
                return
            for which in busy:
                if which.late:
                    which.deliver()
                elif which.parked:
                    self.go_on(which, _first(which.parked))
                else:
                    self.take(which, which.takeable[0])
        raise AssertionError(f"not settled in {MOST_MOVES} moves: {self.state()}")

    def collect_garbage(self) -> bool:
        """Have what all owners are gone of be deleted (Kubernetes' own); say if anything was."""
        uids = {each.metadata.uid for each in self.api.objects.values()}
        dependents = [
            each.key
            for each in self.api.objects.values()
            if (owners := each.metadata.owner_references)
            and not each.metadata.deleting
            and uids.isdisjoint(owner.uid for owner in owners)
        ]
        for key in dependents:
            self.api.delete(key)
        return bool(dependents)

    def _clear_away(self) -> None:
        """Have people delete what they made by hand for a member that went with its group.

        Bound or not, it stands for nothing, and the driver is asked for it again and again.
        """
        for content in families.contents(self.api):
            if content.given_handle in self.storage.deleted and not content.ready:
                self.api.delete(content.key)

    def check_overlooked(self) -> None:
        """Nothing is to do that nobody is about to look at: no path relies on a resync."""
        for which in self.processes:
            for key in which.role.known():
                assert not which.role.overlooked(key), (
                    f"overlooked: {key}: {which.role.look(key)}: {self.state()}"
                )

    def state(self) -> str:
        """Return all objects that matter, for a message."""
        return "\n".join(
            f"{key} {obj.metadata.finalizers} deleting={obj.metadata.deleting} "
            f"{obj.metadata.annotations} {getattr(obj, 'status', None)} "
            f"{self.controller.role.look(key).why}"
            for key, obj in self.api.objects.items()
            if not key.kind.endswith("Class")
        )


def _first(parked: list[gates.Parked]) -> gates.Parked:
    """Return a stop that is no sleep: what sleeps beside a call would only mark it as slow."""
    return min(parked, key=lambda each: each.stop is gates.Stop.SLEEP)


def fate(parked: gates.Parked, random: randoms.Random) -> enum.Enum | None:
    """Return something bad that may become of what is on its way."""
    match parked.stop:
        case gates.Stop.REQUEST:
            return random.choice(_WRITE_FAULTS)
        case gates.Stop.CALL:
            return random.choice(_CALL_FAULTS)
        case gates.Stop.ANSWER if not isinstance(parked.about, intents.Refresh):
            return Fault.LOST_AFTER
        case gates.Stop.READ:
            return Fault.LOST_BEFORE
        case gates.Stop.REPLY:
            return DriverFault.LOST_AFTER
        case _:
            return None
