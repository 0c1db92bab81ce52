import dataclasses

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from snapshotd.model import keys
from snapshotd.runtime import store as stores

KIND = keys.Kind.VOLUME_SNAPSHOT
OTHER = keys.Kind.CLAIM


@dataclasses.dataclass(frozen=True)
class Meta:
    resource_version: str
    uid: str = "u1"


@dataclasses.dataclass(frozen=True)
class Thing:
    key: keys.Key
    metadata: Meta
    labels: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        return keys.version_number(self.metadata.resource_version)


@dataclasses.dataclass(frozen=True)
class OtherThing(Thing):
    pass


INDEXES = {"label": stores.Index(KIND, lambda thing: thing.labels)}


def key(name: str, kind: keys.Kind = KIND) -> keys.Key:
    return keys.Key(kind, "ns", name)


def thing(name: str, version: int, *, uid: str = "u1", labels: tuple[str, ...] = ()) -> Thing:
    return Thing(key(name), Meta(str(version), uid), labels)


@pytest.fixture
def store() -> stores.Store[Thing]:
    return stores.Store(INDEXES)


def test_the_newest_version_wins_whatever_the_order(store: stores.Store[Thing]) -> None:
    old, new = thing("a", 9), thing("a", 10)

    assert store.put(new) == stores.Change(key("a"), None, new)
    assert store.put(old) is None
    assert store.put(thing("a", 10, labels=("same version",))) is None
    assert store.get(key("a")) == new


def test_a_version_that_is_no_number_is_refused(store: stores.Store[Thing]) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        store.put(Thing(key("a"), Meta("ten")))


def test_a_late_answer_does_not_bring_a_deleted_object_back(store: stores.Store[Thing]) -> None:
    store.put(thing("a", 1))
    store.remove(key("a"), 5)

    assert store.put(thing("a", 4)) is None
    assert store.get(key("a")) is None
    assert store.put(thing("a", 6, uid="u2")) is not None


def test_a_deletion_of_what_was_never_seen_still_holds(store: stores.Store[Thing]) -> None:
    assert store.remove(key("a"), 5) is None
    assert store.put(thing("a", 4)) is None


def test_a_late_deletion_does_not_remove_what_came_after(store: stores.Store[Thing]) -> None:
    store.put(thing("a", 7, uid="u2"))

    assert store.remove(key("a"), 5) is None
    assert store.get(key("a")) is not None


def test_an_earlier_deletion_told_late_does_not_weaken_the_later(
    store: stores.Store[Thing],
) -> None:
    store.remove(key("a"), 9)
    store.remove(key("a"), 5)

    assert store.put(thing("a", 8)) is None


def test_deletions_are_known_by_incarnation(store: stores.Store[Thing]) -> None:
    store.put(thing("a", 1, uid="u1"))
    store.put(thing("a", 3, uid="u2"))

    assert store.was_deleted(key("a"), "u1")
    assert not store.was_deleted(key("a"), "u2")
    store.remove(key("a"), 4)
    assert store.was_deleted(key("a"), "u2")


def test_the_oldest_deletions_are_forgotten_first() -> None:
    store: stores.Store[Thing] = stores.Store(tombstones=2)
    for number in range(3):
        store.put(thing(str(number), 1 + number))
        store.remove(key(str(number)), 10 + number)

    assert not store.was_deleted(key("0"), "u1")
    assert store.was_deleted(key("1"), "u1")
    assert store.was_deleted(key("2"), "u1")
    assert store.put(thing("0", 1)) is not None
    assert store.put(thing("1", 2)) is None


def test_a_list_removes_what_it_lacks_but_not_our_newer_writes(
    store: stores.Store[Thing],
) -> None:
    gone, kept, ours = thing("gone", 1), thing("kept", 2), thing("ours", 11)
    for each in (gone, kept, ours):
        store.put(each)
    renewed, added = thing("kept", 8), thing("added", 9)

    changes = store.replace(KIND, [renewed, added], 10)

    assert changes == [
        stores.Change(key("gone"), gone, None),
        stores.Change(key("kept"), kept, renewed),
        stores.Change(key("added"), None, added),
    ]
    assert store.of_kind(KIND) == [renewed, ours, added]
    assert store.was_deleted(key("gone"), "u1")


def test_a_list_touches_no_other_kind(store: stores.Store[Thing]) -> None:
    claim = Thing(key("a", OTHER), Meta("1"))
    store.put(claim)

    store.replace(KIND, [], 10)

    assert store.of_kind(OTHER) == [claim]


def test_what_a_complete_list_lacked_was_deleted_before_it(store: stores.Store[Thing]) -> None:
    store.replace(KIND, [], 10)

    assert store.put(thing("a", 10)) is None
    assert store.put(thing("a", 11)) is not None


def test_a_list_may_widen_what_is_watched(store: stores.Store[Thing]) -> None:
    store.replace(KIND, [], 10)

    store.replace(KIND, [thing("hidden until now", 5)], 20)

    assert store.count(KIND) == 1


def test_a_list_from_the_past_brings_nothing_back(store: stores.Store[Thing]) -> None:
    store.replace(KIND, [], 10)

    store.replace(KIND, [thing("a", 5)], 6)

    assert store.count(KIND) == 0


def test_a_list_from_the_past_does_not_unlearn_the_latest(store: stores.Store[Thing]) -> None:
    store.replace(KIND, [], 10)
    store.replace(KIND, [], 6)

    assert store.put(thing("a", 8)) is None


def test_subscribers_see_a_list_when_all_of_it_is_in(store: stores.Store[Thing]) -> None:
    seen: list[tuple[str, int]] = []
    store.subscribe(lambda change: seen.append((change.key.name, store.count(KIND))))

    store.replace(KIND, [thing("a", 1), thing("b", 2)], 3)

    assert seen == [("a", 2), ("b", 2)]


def test_subscribers_are_not_told_of_what_is_no_news(store: stores.Store[Thing]) -> None:
    store.put(thing("a", 2))
    store.subscribe(lambda change: pytest.fail(str(change)))

    store.put(thing("a", 1))
    store.remove(key("b"), 3)


def test_an_index_answers_in_the_order_of_keys(store: stores.Store[Thing]) -> None:
    for version, name in enumerate(("c", "a", "b")):
        store.put(thing(name, version, labels=("x",)))

    assert [found.key.name for found in store.by_index("label", "x")] == ["a", "b", "c"]
    assert store.by_index("label", "nobody") == []


def test_an_index_ignores_other_kinds(store: stores.Store[Thing]) -> None:
    store.put(Thing(key("a", OTHER), Meta("1"), ("x",)))

    assert store.by_index("label", "x") == []


def test_an_object_is_found_as_the_type_asked_for_or_not_at_all(
    store: stores.Store[Thing],
) -> None:
    store.put(thing("a", 1))

    assert store.find(Thing, key("a")) == thing("a", 1)
    assert store.find(OtherThing, key("a")) is None


class Cluster(RuleBasedStateMachine):
    """A server with a history, a watch that lags, lists at any version, and late answers.

    Wherever the watch stands, the cache holds what was there at that moment or later; where it has
    caught up, exactly what is there.
    """

    answers = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        self.store: stores.Store[Thing] = stores.Store(INDEXES)
        self.mirror: dict[keys.Key, Thing] = {}
        self.departed: set[str] = set()
        self.store.subscribe(self.follow)
        self.history: list[tuple[keys.Key, Thing | None, int]] = []
        self.position = self.furthest = self.incarnations = 0

    def follow(self, change: stores.Change[Thing]) -> None:
        assert self.mirror.get(change.key) == change.old
        assert self.store.get(change.key) == change.new
        if change.new is None:
            del self.mirror[change.key]
        else:
            self.mirror[change.key] = change.new
        if change.old and (
            change.new is None or change.new.metadata.uid != change.old.metadata.uid
        ):
            self.departed.add(change.old.metadata.uid)

    def state(self, version: int) -> dict[keys.Key, Thing]:
        held: dict[keys.Key, Thing] = {}
        for where, obj, _ in self.history[:version]:
            if obj is None:
                held.pop(where, None)
            else:
                held[where] = obj
        return held

    @rule(
        target=answers,
        name=st.sampled_from("abc"),
        labels=st.sets(st.sampled_from("xyz")).map(lambda found: tuple(sorted(found))),
    )
    def write(self, name: str, labels: tuple[str, ...]) -> Thing:
        alive = self.state(len(self.history)).get(key(name))
        self.incarnations += alive is None
        uid = alive.metadata.uid if alive else f"u{self.incarnations}"
        obj = thing(name, len(self.history) + 1, uid=uid, labels=labels)
        self.history.append((key(name), obj, obj.version))
        return obj

    @rule(name=st.sampled_from("abc"))
    def delete(self, name: str) -> None:
        if key(name) in self.state(len(self.history)):
            self.history.append((key(name), None, len(self.history) + 1))

    @rule(steps=st.integers(1, 5))
    def watch(self, steps: int) -> None:
        for where, obj, version in self.history[self.position : self.position + steps]:
            if obj is None:
                self.store.remove(where, version)
            else:
                self.store.put(obj)
            self.position = version
        self.furthest = max(self.furthest, self.position)

    @rule(obj=answers)
    def answer(self, obj: Thing) -> None:
        self.store.put(obj)

    @rule(back=st.integers(0, 4))
    def relist(self, back: int) -> None:
        self.position = max(0, len(self.history) - back)
        self.furthest = max(self.furthest, self.position)
        self.store.replace(KIND, self.state(self.position).values(), self.position)

    @invariant()
    def the_changes_told_are_the_cache(self) -> None:
        assert {obj.key: obj for obj in self.store.of_kind(KIND)} == self.mirror

    @invariant()
    def the_cache_is_never_behind_the_watch(self) -> None:
        last = {where: (obj, version) for where, obj, version in self.history[: self.furthest]}
        for where, (obj, version) in last.items():
            cached = self.store.get(where)
            if obj is not None:
                assert cached is not None
                assert cached.version >= version
            else:
                assert cached is None or cached.version > version

    @invariant()
    def caught_up_means_equal(self) -> None:
        if self.position == len(self.history):
            assert self.mirror == self.state(self.position)

    @invariant()
    def a_deletion_reported_has_happened(self) -> None:
        alive = {obj.metadata.uid for obj in self.state(len(self.history)).values()}
        assert not alive & self.departed
        for where, obj, _ in self.history:
            if obj is not None:
                known = self.store.was_deleted(where, obj.metadata.uid)
                assert known == (obj.metadata.uid in self.departed)

    @invariant()
    def indexes_equal_a_scan(self) -> None:
        for label in "xyz":
            scan = sorted(k for k, obj in self.mirror.items() if label in obj.labels)
            assert [obj.key for obj in self.store.by_index("label", label)] == scan


TestCluster = Cluster.TestCase
