"""Every wait has a change that ends it: which keys does it wake?"""

from collections.abc import Hashable, Iterable

import objects
import pytest
import waking

from snapshotd.decide import indexes, routing
from snapshotd.model import keys, leases, meta, names, snapshots, volumes, wire

SNAP = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "snap")
CLAIM = volumes.claim_key("ns", "claim")
CONTENT = snapshots.content_key("snapcontent-uid-1")
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}


@pytest.mark.parametrize(
    ("change", "held", "expected"),
    [
        (objects.snapshot(), (objects.claim(),), {SNAP, CLAIM}),
        (objects.snapshot(), (), {SNAP}),
        (objects.given_snapshot(), (), {SNAP}),
        (objects.class_(), (objects.snapshot(),), {SNAP}),
        (objects.class_(), (objects.snapshot(spec__volume_snapshot_class_name=None),), {SNAP}),
        (objects.class_("other"), (objects.snapshot(),), set()),
        (objects.class_(), (objects.ready_snapshot(),), set()),
        (objects.claim(), (objects.snapshot(),), {SNAP, CLAIM}),
        (objects.claim(), (objects.ready_snapshot(),), {CLAIM}),
        (objects.volume(), (objects.snapshot(),), {SNAP}),
        (objects.volume(spec__claim_ref=None), (objects.snapshot(),), set()),
        (objects.content(), (objects.snapshot(),), {SNAP, CONTENT}),
        (objects.content(), (objects.snapshot(), objects.claim(**GOING)), {SNAP, CONTENT, CLAIM}),
        (objects.content(), (objects.snapshot(), objects.claim()), {SNAP, CONTENT}),
        (
            objects.given_content(),
            (objects.given_snapshot(),),
            {SNAP, snapshots.content_key("content")},
        ),
        (leases.Lease(meta.ObjectMeta(name="x")), (), set()),
    ],
)
def test_a_change_wakes_what_waits_for_it(
    change: wire.Object, held: Iterable[wire.Object], expected: set[keys.Key]
) -> None:
    assert waking.woken(change, *held) == expected


def test_a_claim_is_looked_at_before_the_snapshot_that_waits_for_its_guard() -> None:
    assert list(waking.woken(objects.snapshot(), objects.claim())) == [CLAIM, SNAP]


def test_a_snapshot_that_goes_wakes_its_claim() -> None:
    found = routing.wakes_in_cluster(objects.snapshot(), None, waking.cache(objects.claim()))
    assert found == {CLAIM}


def restore(**fields: object) -> volumes.PersistentVolumeClaim:
    source = meta.TypedReference("VolumeSnapshot", "snap", names.SNAPSHOT_GROUP)
    base = {"metadata__name": "new", "status__phase": "Pending", "spec__data_source": source}
    return objects.claim(**{**base, **fields})


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (restore(), [SNAP]),
        (restore(spec__data_source_ref=meta.TypedReference("Other", "snap")), [SNAP]),
        (restore(status__phase="Bound"), []),
        (restore(spec__data_source=meta.TypedReference("PersistentVolumeClaim", "x")), []),
        (restore(spec__data_source=meta.TypedReference("VolumeSnapshot", "snap", "odd")), []),
        (
            restore(
                spec__data_source=None,
                spec__data_source_ref=meta.TypedReference(
                    "VolumeSnapshot", "snap", names.SNAPSHOT_GROUP, "other"
                ),
            ),
            [keys.Key(keys.Kind.VOLUME_SNAPSHOT, "other", "snap")],
        ),
    ],
)
def test_a_claim_that_is_filled_wakes_the_snapshot_that_must_wait_for_it(
    claim: volumes.PersistentVolumeClaim, expected: list[keys.Key]
) -> None:
    assert list(indexes.restore_of(claim)) == expected


def test_a_claim_of_the_content_of_no_dynamic_snapshot_is_nobodys() -> None:
    held = (objects.given_snapshot(), objects.claim(**GOING))
    assert CLAIM not in waking.woken(objects.given_content(), *held)


class Odd:
    """A cache that gives what it should not."""

    def by_index(self, name: str, value: Hashable) -> Iterable[wire.Object]:
        del name, value
        return [objects.claim()]

    def get(self, key: keys.Key) -> wire.Object | None:
        del key
        return objects.claim()


def test_what_is_no_snapshot_has_no_claim() -> None:
    assert CLAIM in routing.wakes_in_cluster(None, objects.content(), Odd())


NODE = volumes.Node(meta.ObjectMeta(name="node-1"))
GROUP = objects.group()
PLACED = {"metadata__labels": {names.MANAGED_BY_LABEL: "node-1"}}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((objects.content(), objects.snapshot()), {CONTENT}),
        ((objects.content(),), {CONTENT}),
        ((objects.content(**PLACED), objects.snapshot()), set()),
        ((objects.ready_content(), objects.snapshot()), set()),
        ((objects.content(**GOING), objects.snapshot()), {CONTENT}),
    ],
)
def test_a_node_wakes_the_contents_that_wait_for_one(
    held: Iterable[wire.Object], expected: set[keys.Key]
) -> None:
    assert waking.woken(NODE, *held) == expected
    labelled = objects.changed(NODE, metadata__labels={"zone": "a"})
    assert routing.wakes_in_cluster(NODE, labelled, waking.cache(labelled, *held)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (snapshots.VolumeSnapshotStatus(volume_group_snapshot_name="all"), {SNAP}),
        (snapshots.VolumeSnapshotStatus(volume_group_snapshot_name="some"), set()),
        (snapshots.VolumeSnapshotStatus(), set()),
        (None, set()),
    ],
)
def test_a_group_that_goes_wakes_its_members(
    status: snapshots.VolumeSnapshotStatus | None, expected: set[keys.Key]
) -> None:
    member = objects.snapshot(status=status)
    assert routing.wakes_in_cluster(GROUP, None, waking.cache(member)) == expected
    elsewhere = objects.changed(GROUP, metadata__namespace="other")
    assert routing.wakes_in_cluster(elsewhere, None, waking.cache(member)) == set()


def test_both_what_an_object_was_and_what_it_is_are_woken_for() -> None:
    moved = objects.volume(spec__claim_ref=None)
    found = routing.wakes_in_cluster(
        objects.volume(), moved, waking.cache(moved, objects.snapshot())
    )
    assert found == {SNAP}


def at_driver(old: wire.Object | None, new: wire.Object | None, *held: wire.Object) -> bool:
    return CONTENT in routing.wakes_at_driver(old, new, waking.cache(*held))


def test_beside_the_driver_only_news_wakes_a_content() -> None:
    plain = objects.content()
    marked = objects.content(metadata__annotations={names.BEING_CREATED_ANNOTATION: names.MARK})
    told = objects.content(
        status=snapshots.VolumeSnapshotContentStatus(error=objects.ERROR),
        metadata__resource_version="9",
    )
    assert at_driver(None, plain)
    assert not at_driver(plain, told)
    assert not at_driver(plain, marked)
    assert at_driver(plain, objects.ready_content())
    assert at_driver(plain, objects.content(**GOING))
    deleted = objects.content(metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK})
    assert at_driver(plain, deleted)
    assert not at_driver(plain, None)


def test_a_mark_that_lands_on_a_ready_content_wakes_it() -> None:
    """Its request was under way when the answer came; nobody looks at a ready content again."""
    mark = {names.BEING_CREATED_ANNOTATION: names.MARK}
    ready, late = objects.ready_content(), objects.ready_content(metadata__annotations=mark)
    assert at_driver(ready, late)
    assert not at_driver(late, ready)
    assert not at_driver(late, late)


def test_a_class_that_comes_wakes_the_contents_that_wait_for_it() -> None:
    assert at_driver(None, objects.class_(), objects.content())
    assert not at_driver(None, objects.class_(), objects.ready_content())
    assert not at_driver(None, objects.claim(), objects.content())


def test_only_a_volume_of_a_driver_is_found_by_what_its_driver_calls_it() -> None:
    assert list(indexes.by_handle(objects.volume())) == [(objects.DRIVER, "vol")]
    assert list(indexes.by_handle(objects.volume(spec__csi=None))) == []
