"""Every wait of a group, of its members and of its claims has a change that ends it."""

from collections.abc import Iterable

import grouped
import objects
import pytest
import waking

from snapshotd.decide import routing
from snapshotd.model import groups, keys, meta, names, snapshots, volumes, wire

GROUP = objects.group().key
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
CONTENT = objects.group_content().key
MEMBERS = tuple(keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", name) for name in grouped.NAMES)
MEMBER_CONTENTS = tuple(map(snapshots.content_key, grouped.CONTENT_NAMES))
BOUND = groups.GroupStatus("groupsnapcontent-uid-7")
READY = groups.GroupStatus("groupsnapcontent-uid-7", ready_to_use=True)


A, B, PV_A, PV_B = grouped.claim(), grouped.claim("b"), grouped.volume(), grouped.volume("b")


@pytest.mark.parametrize(
    ("change", "held", "expected"),
    [
        # A group: the claims it selects first, its members, itself
        (objects.group(), (A, B), [A.key, B.key, GROUP]),
        (objects.group(), (grouped.claim(metadata__labels={"app": "web"}),), [GROUP]),
        (objects.group(), (grouped.claim(metadata__namespace="elsewhere"),), [GROUP]),
        (objects.group(), (grouped.member(0),), [GROUP, MEMBERS[0]]),
        (objects.group(status=BOUND), (A,), [GROUP]),
        (
            objects.group(status=BOUND),
            (A, PV_A, grouped.claim("c"), grouped.volume("c"), objects.group_content()),
            [A.key, GROUP],
        ),
        # Its content: the group, the members and their contents that are there
        (objects.group_content(), (objects.group(status=BOUND),), [CONTENT, GROUP]),
        (
            objects.cut_group_content(),
            (
                objects.group(status=BOUND),
                grouped.member(0),
                objects.content(metadata__name=MEMBER_CONTENTS[0].name),
            ),
            [CONTENT, MEMBERS[0], MEMBER_CONTENTS[0], GROUP],
        ),
        # ... first claims that wait for the cut to end, then all that it may come too late for
        (
            objects.group_content(),
            (objects.group(status=BOUND), A, PV_A, grouped.claim("b", **GOING), PV_B),
            [CONTENT, GROUP, B.key, A.key],
        ),
        # Classes
        (objects.group_class(), (objects.group(),), [GROUP]),
        (
            objects.group_class(),
            (objects.group(spec__volume_group_snapshot_class_name=None),),
            [GROUP],
        ),
        (objects.group_class("other"), (objects.group(),), []),
        (objects.group_class(), (objects.group(status=BOUND),), []),
        (objects.class_("grouped"), (objects.group(),), []),
        # Claims and volumes: groups of their namespace that are not bound yet
        (A, (objects.group(),), [A.key, GROUP]),
        (A, (objects.group(metadata__namespace="elsewhere"),), [A.key]),
        (A, (objects.group(status=BOUND),), [A.key]),
        (PV_A, (objects.group(),), [GROUP]),
        # Nodes, whatever the namespace
        (volumes.Node(meta.ObjectMeta(name="n")), (objects.group(),), [GROUP]),
        (volumes.Node(meta.ObjectMeta(name="n")), (objects.group_content(),), [CONTENT]),
        # A member: itself, and once it is ready the group that waits for it
        (grouped.member(0), (objects.group(),), [MEMBERS[0]]),
        (
            grouped.member(0, status=snapshots.VolumeSnapshotStatus(ready_to_use=True)),
            (objects.group(),),
            [MEMBERS[0], GROUP],
        ),
        # A restore from a member
        (
            objects.claim(
                metadata__name="new",
                status__phase="Pending",
                spec__data_source=meta.TypedReference(
                    "VolumeSnapshot", grouped.NAMES[0], "snapshot.storage.k8s.io"
                ),
            ),
            (objects.group(status=READY), grouped.member(0)),
            [volumes.claim_key("ns", "new"), MEMBERS[0], GROUP],
        ),
        (
            objects.claim(
                metadata__name="new",
                status__phase="Pending",
                spec__data_source=meta.TypedReference(
                    "VolumeSnapshot", "snap", "snapshot.storage.k8s.io"
                ),
            ),
            (objects.snapshot(),),
            [volumes.claim_key("ns", "new"), objects.snapshot().key],
        ),
    ],
)
def test_a_change_wakes_what_waits_for_it_in_this_order(
    change: wire.Object, held: Iterable[wire.Object], expected: list[keys.Key]
) -> None:
    assert list(waking.woken(change, *held)) == expected


def gone(old: wire.Object, *held: wire.Object) -> list[keys.Key]:
    return list(routing.wakes_in_cluster(old, None, waking.cache(*held)))


@pytest.mark.parametrize("snapshot", [grouped.member(0), objects.snapshot()])
def test_a_snapshot_that_goes_wakes_the_unfinished_groups_of_its_namespace(
    snapshot: snapshots.VolumeSnapshot,
) -> None:
    """It may be a member they have to make anew, or one of its name that was in the way."""
    assert gone(snapshot, objects.group(status=BOUND)) == [GROUP]
    assert gone(snapshot, objects.group(status=READY)) == []
    assert gone(snapshot, objects.group(metadata__namespace="elsewhere")) == []


def test_a_group_that_goes_wakes_its_members() -> None:
    assert gone(objects.group(), grouped.member(0), grouped.member(1)) == sorted(MEMBERS)


@pytest.mark.parametrize(
    ("group", "held", "expected"),
    [
        (objects.group(), (), True),
        (objects.group(status=BOUND), (), False),
        (objects.group(status=BOUND), (PV_A, objects.group_content()), True),
        (objects.group(status=BOUND), (objects.group_content(),), False),
        (
            objects.group(status=BOUND),
            (
                grouped.volume(spec__csi=volumes.CsiVolumeSource("o", "vol-a")),
                objects.group_content(),
            ),
            False,
        ),
        (objects.group(metadata__namespace="elsewhere"), (), False),
        (objects.group(spec__source=groups.GroupSource()), (), False),
        (
            objects.group(
                spec__source=groups.GroupSource(volume_group_snapshot_content_name="given")
            ),
            (),
            False,
        ),
    ],
)
def test_a_group_uses_what_it_selects_until_its_content_says_what_it_is_cut_from(
    group: groups.VolumeGroupSnapshot, held: tuple[wire.Object, ...], *, expected: bool
) -> None:
    assert routing.uses(group, A, waking.cache(group, A, *held)) is expected


def at_driver(old: wire.Object | None, new: wire.Object, *held: wire.Object) -> set[keys.Key]:
    return routing.wakes_at_driver(old, new, waking.cache(new, *held))


def test_beside_the_driver_a_group_content_is_looked_at_when_others_changed_it() -> None:
    marks = {names.GROUP_BEING_DELETED_ANNOTATION: names.MARK}
    created = {names.GROUP_BEING_CREATED_ANNOTATION: names.MARK}
    fresh = objects.group_content()
    assert at_driver(None, fresh) == {CONTENT}
    assert at_driver(fresh, objects.group_content(metadata__annotations=marks)) == {CONTENT}
    assert at_driver(fresh, objects.group_content(metadata__annotations=created)) == set()
    failed = groups.GroupContentStatus(error=objects.ERROR)
    assert at_driver(fresh, objects.group_content(status=failed)) == set()
    assert at_driver(fresh, objects.cut_group_content()) == {CONTENT}


def test_beside_the_driver_a_group_class_wakes_what_it_was_missing_for() -> None:
    assert at_driver(None, objects.group_class(), objects.group_content()) == {CONTENT}
    assert at_driver(None, objects.group_class(), objects.cut_group_content()) == set()


@pytest.mark.parametrize("appears", [True, False])
def test_a_group_content_that_comes_or_goes_wakes_the_claims_it_decides_about(
    *, appears: bool
) -> None:
    """What a group uses is what its content names, and without one what it selects."""
    unselected = grouped.claim("c", metadata__labels={"app": "web"})
    given = objects.group(
        metadata__name="given",
        spec__source=groups.GroupSource(volume_group_snapshot_content_name=CONTENT.name),
    )
    held = (objects.group(status=BOUND), given, A, PV_A, B, unselected)
    content = objects.group_content(spec__source=groups.GroupContentSource(("vol-a",)))
    old, new = (None, content) if appears else (content, None)
    cached = waking.cache(*held, content) if appears else waking.cache(*held)
    found = set(routing.wakes_in_cluster(old, new, cached))
    assert {A.key, B.key, GROUP, given.key} <= found
    assert unselected.key not in found
