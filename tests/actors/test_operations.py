"""The reference's operation metrics, read off the changes of the cache."""

from collections.abc import Collection

import objects
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshotd.actors import operations, roles
from snapshotd.model import groups, keys, snapshots, times, wire
from snapshotd.runtime import store
from snapshotd.telemetry import metrics

NAME = "snapshot_controller_operation_total_seconds"
CREATE, READY, DELETE = "CreateSnapshot", "CreateSnapshotAndReady", "DeleteSnapshot"
CREATE_GROUP, GROUP_READY = "CreateGroupSnapshot", "CreateGroupSnapshotAndReady"
DELETE_GROUP = "DeleteGroupSnapshot"
GROUP_CUT = groups.GroupStatus(creation_time="2026-01-01T00:00:00Z", ready_to_use=False)
GROUP_DONE = groups.GroupStatus(creation_time="2026-01-01T00:00:00Z", ready_to_use=True)
CUT = snapshots.VolumeSnapshotStatus(creation_time="2026-01-01T00:00:00Z", ready_to_use=False)
IN_AN_HOUR = times.rfc3339(objects.NOW + 3600)


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return objects.NOW + self.passed

    def monotonic(self) -> float:
        return 100.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class World:
    """A cache, the operations on it, and what they recorded."""

    def __init__(
        self,
        *there: wire.Object,
        leads: bool = True,
        served: Collection[keys.Kind] = (*roles.Cluster.kinds, *roles.Cluster.group_kinds),
    ) -> None:
        self.time = Time()
        self.meters = metrics.Metrics()
        self.cache = store.Store[wire.Object]()
        self.operations = operations.Operations(
            self.cache, time=self.time, meters=self.meters, served=served
        )
        self.version = 10
        for obj in there:
            self.put(obj)
        if leads:
            self.operations.start()

    def put(self, obj: wire.Object, *, after: float = 0.0) -> None:
        self.time.passed += after
        self.version += 1
        self.cache.put(objects.changed(obj, metadata__resource_version=str(self.version)))

    def remove(self, key: keys.Key, *, after: float = 0.0) -> None:
        self.time.passed += after
        self.version += 1
        self.cache.remove(key, self.version)

    def recorded(self) -> dict[tuple[str, str], float]:
        """Return the seconds by operation and status, of those that were recorded."""
        return {key: seconds for key, (count, seconds, _) in self._samples().items() if count}

    def labels(self) -> set[tuple[str, str]]:
        """Return driver and type of what was recorded."""
        return {who for count, _, who in self._samples().values() if count}

    def _samples(self) -> dict[tuple[str, str], tuple[float, float, tuple[str, str]]]:
        found: dict[tuple[str, str], tuple[float, float, tuple[str, str]]] = {}
        for family in self.meters.registry.collect():
            for sample in family.samples:
                if sample.name == f"{NAME}_count" and sample.value:
                    labels = sample.labels
                    key = labels["operation_name"], labels["operation_status"]
                    seconds = self.meters.registry.get_sample_value(f"{NAME}_sum", labels)
                    assert seconds is not None
                    who = labels["driver_name"], labels["snapshot_type"]
                    assert key not in found, "recorded under two drivers or types"
                    found[key] = sample.value, seconds, who
        return found

    def value(self, name: str, **labels: str) -> float | None:
        return self.meters.registry.get_sample_value(name, labels)


def test_a_creation_counts_from_its_wish_to_the_cut_and_to_readiness() -> None:
    world = World(objects.class_())
    world.put(objects.snapshot())
    world.put(objects.snapshot(status=CUT), after=3.0)
    assert world.recorded() == {(CREATE, "success"): 3.0}
    world.put(objects.ready_snapshot(), after=4.0)
    assert world.recorded() == {(CREATE, "success"): 3.0, (READY, "success"): 7.0}
    assert world.labels() == {(objects.DRIVER, "dynamic")}


def test_a_snapshot_that_is_ready_at_once_ends_both() -> None:
    world = World()
    world.put(objects.snapshot())
    world.put(objects.ready_snapshot(), after=1.0)
    assert world.recorded() == {(CREATE, "success"): 1.0, (READY, "success"): 1.0}


def test_what_is_ready_when_it_appears_was_no_operation_of_ours() -> None:
    world = World()
    world.put(objects.ready_snapshot())
    assert world.recorded() == {}
    assert world.operations.in_flight() == 0


def test_a_deletion_counts_from_its_wish_until_the_object_is_gone() -> None:
    world = World(objects.class_(), objects.ready_snapshot())
    world.put(objects.ready_snapshot(metadata__deletion_timestamp=IN_AN_HOUR))
    assert world.recorded() == {}
    world.remove(objects.snapshot().key, after=5.0)
    assert world.recorded() == {(DELETE, "success"): 5.0}


def test_a_creation_that_a_deletion_overtakes_is_cancelled_after_its_own_duration() -> None:
    world = World()
    world.put(objects.snapshot())
    world.put(objects.snapshot(status=CUT), after=2.0)
    deleting = objects.snapshot(status=CUT, metadata__deletion_timestamp=IN_AN_HOUR)
    world.put(deleting, after=10.0)
    world.remove(deleting.key, after=100.0)
    assert world.recorded() == {
        (CREATE, "success"): 2.0,
        (READY, "cancel"): 12.0,
        (DELETE, "success"): 100.0,
    }


def test_a_snapshot_that_vanishes_unseen_cancels_its_creation() -> None:
    world = World()
    world.put(objects.snapshot())
    world.remove(objects.snapshot().key, after=1.0)
    assert world.recorded() == {(CREATE, "cancel"): 1.0, (READY, "cancel"): 1.0}
    assert world.operations.in_flight() == 0


def test_readiness_seen_together_with_the_deletion_is_a_success() -> None:
    world = World()
    world.put(objects.snapshot())
    world.put(objects.ready_snapshot(metadata__deletion_timestamp=IN_AN_HOUR), after=1.0)
    assert world.recorded() == {(CREATE, "success"): 1.0, (READY, "success"): 1.0}


def test_a_name_that_was_taken_again_is_another_snapshot() -> None:
    world = World()
    world.put(objects.snapshot())
    world.put(objects.snapshot(metadata__uid="another"), after=2.0)
    assert world.recorded() == {(CREATE, "cancel"): 2.0, (READY, "cancel"): 2.0}
    assert world.operations.in_flight() == 2


def test_a_standby_records_nothing() -> None:
    world = World(leads=False)
    world.put(objects.snapshot())
    world.put(objects.ready_snapshot(), after=3.0)
    world.remove(objects.snapshot().key)
    assert world.recorded() == {}
    assert world.value("snapshot_controller_operations_in_flight") == 0


def test_what_was_there_at_the_start_counts_from_its_own_stamp() -> None:
    world = World(objects.snapshot(), leads=False)
    world.time.passed = 60.0
    world.operations.start()
    world.put(objects.ready_snapshot(), after=1.0)
    assert world.recorded() == {(CREATE, "success"): 61.0, (READY, "success"): 61.0}


def test_a_deletion_that_was_there_at_the_start_counts_from_when_it_was_asked_for() -> None:
    asked = times.rfc3339(objects.NOW + 40)
    world = World(objects.ready_snapshot(metadata__deletion_timestamp=asked), leads=False)
    world.time.passed = 60.0
    world.operations.start()
    world.remove(objects.snapshot().key)
    assert world.recorded() == {(DELETE, "success"): 20.0}


@pytest.mark.parametrize("stamp", [None, "soon", IN_AN_HOUR])
def test_a_stamp_that_says_nothing_or_lies_ahead_counts_as_now(stamp: str | None) -> None:
    world = World(objects.snapshot(metadata__creation_timestamp=stamp), leads=False)
    world.operations.start()
    world.put(objects.ready_snapshot(), after=1.0)
    assert world.recorded()[READY, "success"] == 1.0


def test_the_gauges_move() -> None:
    world = World()
    assert world.value("snapshot_controller_operations_in_flight") == 0
    world.put(objects.snapshot())
    world.time.passed += 30.0
    assert world.value("snapshot_controller_operations_in_flight") == 2
    oldest = "snapshotd_operations_oldest_seconds"
    assert world.value(oldest, operation_name=READY) == 30.0
    assert world.value(oldest, operation_name=DELETE) == 0.0
    world.put(objects.ready_snapshot())
    assert world.value("snapshot_controller_operations_in_flight") == 0
    assert world.value(oldest, operation_name=READY) == 0.0


def test_the_driver_is_the_contents_and_remembered_when_that_is_gone() -> None:
    world = World(objects.content(spec__driver="other.example.com"))
    world.put(objects.ready_snapshot(metadata__deletion_timestamp=IN_AN_HOUR))
    world.remove(objects.content().key)
    world.remove(objects.snapshot().key)
    assert world.labels() == {("other.example.com", "dynamic")}


def test_a_driver_that_nothing_tells_is_unknown() -> None:
    world = World()
    world.put(objects.given_snapshot())
    world.remove(objects.snapshot().key)
    assert world.labels() == {("unknown", "pre-provisioned")}


def test_the_operations_of_a_class_are_shown_at_zero() -> None:
    world = World(objects.class_())
    world.put(objects.class_("silver", driver="b.example.com"))
    for driver in (objects.DRIVER, "b.example.com"):
        labels = {"driver_name": driver, "snapshot_type": "dynamic"}
        labels |= {"operation_name": READY, "operation_status": "cancel"}
        assert world.value(f"{NAME}_count", **labels) == 0


def test_drivers_beyond_a_hundred_share_one_label() -> None:
    world = World()
    for number in range(200):
        world.put(objects.class_(f"class-{number}", driver=f"driver-{number}"))
    world.put(objects.snapshot(spec__volume_snapshot_class_name="class-150"))
    world.put(objects.ready_snapshot(spec__volume_snapshot_class_name="class-150"))
    shown = {
        sample.labels["driver_name"]
        for family in world.meters.registry.collect()
        for sample in family.samples
        if sample.name == f"{NAME}_count"
    }
    assert len(shown) == 101
    assert world.labels() == {("other", "dynamic")}


def test_a_group_counts_from_its_wish_to_the_cut_to_readiness_and_to_its_end() -> None:
    world = World(objects.group_class())
    world.put(objects.group())
    world.put(objects.group(status=GROUP_CUT), after=3.0)
    world.put(objects.group(status=GROUP_DONE), after=4.0)
    world.put(objects.group(status=GROUP_DONE, metadata__deletion_timestamp=IN_AN_HOUR))
    world.remove(objects.group().key, after=5.0)
    assert world.recorded() == {
        (CREATE_GROUP, "success"): 3.0,
        (GROUP_READY, "success"): 7.0,
        (DELETE_GROUP, "success"): 5.0,
    }
    assert world.labels() == {(objects.DRIVER, "dynamic")}
    assert world.operations.in_flight() == 0


def test_a_group_that_a_deletion_overtakes_is_cancelled_and_leaves_nothing_behind() -> None:
    """The reference records no cancel of a group, and remembers it for ever."""
    world = World()
    world.put(objects.group())
    world.put(objects.group(metadata__deletion_timestamp=IN_AN_HOUR), after=2.0)
    assert world.recorded() == {(CREATE_GROUP, "cancel"): 2.0, (GROUP_READY, "cancel"): 2.0}
    world.remove(objects.group().key, after=1.0)
    assert world.recorded()[DELETE_GROUP, "success"] == 1.0
    assert world.operations.in_flight() == 0


def test_a_group_that_was_there_at_the_start_counts_from_its_own_stamp() -> None:
    world = World(objects.group(), leads=False)
    world.time.passed = 60.0
    world.operations.start()
    world.put(objects.group(status=GROUP_DONE), after=1.0)
    assert world.recorded() == {(CREATE_GROUP, "success"): 61.0, (GROUP_READY, "success"): 61.0}


def test_a_member_and_its_group_are_each_an_operation_of_their_own() -> None:
    world = World()
    world.put(objects.group())
    world.put(objects.snapshot(), after=2.0)
    assert world.value("snapshot_controller_operations_in_flight") == 4
    oldest = "snapshotd_operations_oldest_seconds"
    assert world.value(oldest, operation_name=GROUP_READY) == 2.0
    assert world.value(oldest, operation_name=READY) == 0.0


def test_the_driver_of_a_group_is_its_contents_and_the_type_that_of_its_source() -> None:
    world = World(objects.group_content(spec__driver="other.example.com"))
    world.put(objects.group())
    world.put(objects.group(status=GROUP_DONE))
    assert world.labels() == {("other.example.com", "dynamic")}
    world = World()
    source = groups.GroupSource(volume_group_snapshot_content_name="made-by-hand")
    world.put(objects.group(spec__source=source))
    world.put(objects.group(spec__source=source, status=GROUP_DONE))
    assert world.labels() == {("unknown", "pre-provisioned")}


def test_the_operations_of_a_group_class_are_shown_at_zero_with_no_cancelled_deletion() -> None:
    world = World(objects.group_class())
    world.put(objects.group_class("silver", driver="b.example.com"))
    for driver in (objects.DRIVER, "b.example.com"):
        labels = {"driver_name": driver, "snapshot_type": "dynamic"}
        for name in (CREATE, READY, CREATE_GROUP, GROUP_READY):
            labels |= {"operation_name": name, "operation_status": "cancel"}
            assert world.value(f"{NAME}_count", **labels) == 0
        for name in (DELETE, DELETE_GROUP):
            labels |= {"operation_name": name, "operation_status": "success"}
            assert world.value(f"{NAME}_count", **labels) == 0
            labels |= {"operation_status": "cancel"}
            assert world.value(f"{NAME}_count", **labels) is None


def test_groups_that_nobody_serves_are_no_operations() -> None:
    """With the gate off they would be older every day, and nobody could end that."""
    world = World(objects.group(metadata__name="early"), served=roles.Cluster.kinds)
    world.put(objects.group())
    assert world.operations.in_flight() == 0
    world.put(objects.group(status=GROUP_DONE))
    world.put(objects.snapshot())
    assert world.recorded() == {}
    assert world.operations.in_flight() == 2


STATES = st.sampled_from(["new", "cut", "ready", "deleting", "gone"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), STATES)))
def test_nothing_is_remembered_of_what_is_settled_or_gone(
    steps: list[tuple[str, bool, str]],
) -> None:
    world = World()
    alive: dict[str, str] = {}
    for number, (name, renewed, state) in enumerate(steps):
        uid = f"{name}-{number}" if renewed else f"{name}-first"
        status = {"cut": CUT, "ready": objects.ready_snapshot().status}.get(state)
        ending = IN_AN_HOUR if state == "deleting" else None
        snapshot = objects.snapshot(
            metadata__name=name,
            metadata__uid=uid,
            metadata__deletion_timestamp=ending,
            status=status,
        )
        if state == "gone":
            world.remove(snapshot.key)
            alive.pop(name, None)
        else:
            world.put(snapshot)
            alive[name] = state
    expected = {"new": 2, "cut": 1, "ready": 0, "deleting": 1}
    assert world.operations.in_flight() == sum(expected[each] for each in alive.values())
