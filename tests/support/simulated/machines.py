"""What processes go through in a story: they work, die, lose a lease, hear late and twice."""

import random as randoms
from collections.abc import Callable, Mapping

from simulated import families, faults, gates, group_people, objects, people, world
from snapshotd.decide import intents
from snapshotd.model import groups, keys

_MANY = 80  # moves: enough for one snapshot to become ready


def time_passes(w: world.World, random: randoms.Random) -> None:
    w.run(random, random.choice([5, 20, 60]), luck=w.setting.luck)


def much_time_passes(w: world.World, random: randoms.Random) -> None:
    w.run(random, 200, luck=w.setting.luck * random.random())


def one_process_works(w: world.World, random: randoms.Random) -> None:
    which = random.choice(w.processes)
    for _ in range(random.choice([3, 10, 30])):
        w.move(which, random, w.setting.luck)


def a_process_hears_everything(w: world.World, random: randoms.Random) -> None:
    which = random.choice(w.processes)
    while which.late:
        which.deliver(random.choice(which.late))
    w.check_overlooked()


def a_process_dies(w: world.World, random: randoms.Random) -> None:
    w.restart(random.choice(w.processes), random)


def the_controller_loses_its_lease(w: world.World, random: randoms.Random) -> None:
    w.depose()
    w.run(random, random.choice([0, 10]), luck=w.setting.luck)


def the_former_leader_ends(w: world.World, random: randoms.Random) -> None:
    if w.former is not None:
        w.restart(w.former, random)


def a_watch_tells_twice(w: world.World, random: randoms.Random) -> None:
    which = random.choice(w.processes)
    for _ in range(4):
        which.deliver_again(random.choice(which.watched), random.randrange)


def a_kind_is_listed_again(w: world.World, random: randoms.Random) -> None:
    which = random.choice(w.processes)
    which.list_again(random.choice(which.late or which.watched), random.randrange)


# Something happens just there

_REQUESTS = (
    intents.CreateContent,
    intents.CreateContent,
    intents.DeleteContent,
    intents.UpdateMetadata,
    intents.PublishStatus,
    intents.BindContent,
    intents.PrepareSnapshot,
    intents.CreateMember,
    intents.DeleteMember,
    intents.Refresh,
)
_CALLS = (
    intents.CreateSnapshot,
    intents.CreateSnapshot,
    intents.DeleteSnapshot,
    intents.CreateGroupSnapshot,
    intents.DeleteGroupSnapshot,
)
_BEFORE_CALLS = (gates.Stop.CALL, gates.Stop.REPLY)
_BEFORE_REQUESTS = (gates.Stop.REQUEST, gates.Stop.ANSWER, gates.Stop.READ)


def _a_place(random: randoms.Random) -> Callable[[gates.Parked], bool]:
    calls = random.random() < 0.5
    kind = random.choice(_CALLS if calls else _REQUESTS)
    stop = random.choice(_BEFORE_CALLS if calls else _BEFORE_REQUESTS)
    if kind is intents.Refresh and stop is gates.Stop.REQUEST:
        stop = gates.Stop.READ
    return lambda parked: parked.stop is stop and isinstance(parked.about, kind)


def _somebody_takes_one(w: world.World, random: randoms.Random) -> None:
    """Have a user take a snapshot, or a group."""
    alone = random.random() < 0.6
    (people.a_user_takes_a_snapshot if alone else group_people.a_user_takes_a_group)(w, random)


def _somebody_deletes_one(w: world.World, random: randoms.Random) -> None:
    """Have a user delete a snapshot, or a group."""
    alone = random.random() < 0.6
    (people.a_user_deletes_a_snapshot if alone else group_people.a_user_deletes_a_group)(w, random)


def something_happens_just_there(w: world.World, random: randoms.Random) -> None:
    """Run up to one place between two steps of somebody; there, people and fate step in."""
    if random.random() < 0.5:
        _somebody_takes_one(w, random)
    if random.random() < 0.3:
        _somebody_deletes_one(w, random)
    parked = w.run(random, _MANY, until=_a_place(random))
    if parked is None:
        return
    for _ in range(random.choice([0, 1, 1, 2])):
        random.choice(_INTERRUPTIONS)(w, random)
    which = next((each for each in w.processes if parked in each.parked), None)
    if which is not None:
        end = random.choice(["goes on", "is lost", "is lost", "dies", "waits"])
        if end == "dies":
            w.restart(which, random)
        elif end != "waits":
            w.go_on(which, parked, world.fate(parked, random) if end == "is lost" else None)


def a_lost_cut_is_deleted(w: world.World, random: randoms.Random) -> None:
    """Take, let it be cut with an answer that is lost or late, delete; somebody dies meanwhile."""
    _somebody_takes_one(w, random)
    stop = random.choice(_BEFORE_CALLS)
    parked = w.run(
        random,
        _MANY,
        until=lambda each: each.stop is stop and isinstance(each.about, faults.Cut),
    )
    if parked is None:
        return
    if random.random() < 0.3:
        _wake_sleepers(w, random)
    if random.random() < 0.6:
        w.go_on(w.sidecar, parked, world.fate(parked, random))
    if random.random() < 0.4:
        w.run(random, 12, luck=w.setting.luck)
    for snapshot in _snapshots_of(w, parked):
        w.api.delete(snapshot)
    if random.random() < 0.4:
        w.restart(w.sidecar, random)
    w.run(random, random.choice([10, _MANY]), luck=w.setting.luck)


def a_group_is_taken_anew(w: world.World, random: randoms.Random) -> None:
    """Delete a group, and take another of its name as soon as it is gone: members may linger."""
    group = people.any_of(random, w.api.all_of(groups.VolumeGroupSnapshot))
    if group is None:
        return
    w.api.delete(group.key)
    for _ in range(_MANY):
        w.run(random, 1)
        if group.key not in w.api.objects:
            again = objects.group(group.metadata.name, labels=world.LABELS, of="deleting")
            w.api.put(again)
            return


def a_group_goes_that_is_restored_from(w: world.World, random: randoms.Random) -> None:
    """Have a member be filled from, before or after its group's deletion was asked for."""
    group = people.any_of(random, [g for g in w.api.all_of(groups.VolumeGroupSnapshot) if g.ready])
    if group is None:
        return
    members = families.members_of(w.api, group.metadata.uid)
    for deed in random.sample(["delete", "restore"], 2):
        if deed == "delete":
            w.api.delete(group.key)
        elif members:
            people.restore(w, random, random.choice(members))
        w.run(random, random.choice([0, 5, 20]), luck=w.setting.luck)


def a_late_request_makes_a_content(w: world.World, random: randoms.Random) -> None:
    """A leader that lost its lease still creates a content, when the new one let go already."""
    _somebody_takes_one(w, random)
    parked = w.run(
        random,
        _MANY,
        until=lambda each: (
            each.stop is gates.Stop.REQUEST and isinstance(each.about, intents.CreateContent)
        ),
    )
    if parked is None or w.former is not None:
        return
    former = w.depose()
    if former is None or parked not in former.parked:
        return
    if random.random() < 0.8:
        w.api.delete(parked.operation.key)
    for _ in range(random.choice([0, 10, 40, 80])):
        w.move(w.controller, random, 0.0)
    if random.random() < 0.8 and parked in former.parked:
        w.go_on(former, parked)


def _wake_sleepers(w: world.World, random: randoms.Random) -> None:
    """Let the moment pass after which a call counts as slow, and its mark be written."""
    for stop in (gates.Stop.SLEEP, gates.Stop.REQUEST, gates.Stop.ANSWER):
        for parked in [each for each in w.sidecar.parked if each.stop is stop]:
            if random.random() < 0.9:
                w.go_on(w.sidecar, parked)


def _snapshots_of(w: world.World, parked: gates.Parked) -> list[keys.Key]:
    name = parked.about.name if isinstance(parked.about, faults.Cut) else ""
    return [each.key for each in families.both(w.api) if name.endswith(f"-{each.metadata.uid}")]


_INTERRUPTIONS: tuple[people.Step, ...] = (
    people.a_user_deletes_a_snapshot,
    people.a_user_deletes_a_snapshot,
    people.a_user_deletes_a_claim,
    people.a_user_restores_a_snapshot,
    people.an_administrator_deletes_a_content,
    people.an_administrator_changes_a_policy,
    people.an_administrator_changes_a_policy,
    people.an_administrator_changes_a_class,
    group_people.a_user_deletes_a_group,
    group_people.a_user_deletes_a_group,
    group_people.a_user_deletes_a_member,
    group_people.a_user_labels_a_claim_anew,
    a_process_hears_everything,
    a_process_dies,
    a_kind_is_listed_again,
    one_process_works,
    the_controller_loses_its_lease,
    time_passes,
)

# Each with its weight
STEPS: Mapping[people.Step, int] = {
    time_passes: 12,
    much_time_passes: 6,
    one_process_works: 8,
    a_process_hears_everything: 6,
    a_process_dies: 4,
    the_controller_loses_its_lease: 1,
    the_former_leader_ends: 2,
    a_watch_tells_twice: 3,
    a_kind_is_listed_again: 3,
    something_happens_just_there: 12,
    a_lost_cut_is_deleted: 5,
    a_late_request_makes_a_content: 2,
    a_group_is_taken_anew: 2,
    a_group_goes_that_is_restored_from: 2,
}
