"""What users and administrators do with groups in a story, whatever state it is in."""

import random as randoms
from collections.abc import Mapping

import msgspec

from simulated import objects, people, world
from snapshotd.model import groups, keys, names, snapshots, volumes

_NAMES = 3  # few, so that names are taken again
_SELECTED: tuple[dict[str, str], ...] = (
    world.LABELS,
    world.LABELS,
    world.LABELS,
    {"name": "alpha"},
    {"name": "beta"},
    {"name": "nobody's"},
)


def a_user_takes_a_group(w: world.World, random: randoms.Random) -> None:
    name = _free_name(w, random)
    if name:
        class_name = random.choice([*world.CLASSES, "deleting", None])
        labels = random.choice(_SELECTED)
        w.api.put(objects.group(name, labels=labels, of=class_name))


def an_administrator_brings_a_group(w: world.World, random: randoms.Random) -> None:
    """Bring what was taken by other means: group, content, and both for each member; no order."""
    name = _free_name(w, random)
    content = f"group-content-{name}"  # which may be there, left by another of that name
    if not name or groups.group_content_key(content) in w.api.objects:
        return
    w.made += 1
    handle = f"given-group-{w.made}"
    members = tuple(f"{handle}/{n}" for n in range(random.choice([1, 2])))
    w.storage.give_group(handle, members)
    policy = random.choice([names.DELETE, names.RETAIN])
    handles = groups.GroupHandles(handle, members)
    brought: list[groups.AnySnapshot | groups.AnyContent] = [
        objects.group(name, content=content, of=None),
        objects.group_content(content, policy=policy, handles=handles, group=name),
    ]
    for member in members:
        brought += _given_member(w, random, member, group=handle)
    random.shuffle(brought)
    for obj in brought:
        if obj.key not in w.api.objects:
            w.api.put(obj)


def _given_member(
    w: world.World, random: randoms.Random, handle: str, *, group: str
) -> list[groups.AnySnapshot | groups.AnyContent]:
    name = people.free_name(w, random)
    content = f"content-{name}"
    if not name or snapshots.content_key(content) in w.api.objects:
        return []
    policy = random.choice([names.DELETE, names.RETAIN])
    made = objects.content(content, policy=policy, handle=handle, snapshot=name)
    # Not every driver tells it: whoever makes it by hand has to.
    status = snapshots.VolumeSnapshotContentStatus(volume_group_snapshot_handle=group)
    return [
        objects.snapshot(name, content=content),
        msgspec.structs.replace(made, status=status),
    ]


def a_user_deletes_a_group(w: world.World, random: randoms.Random) -> None:
    some = w.api.all_of(groups.VolumeGroupSnapshot)
    if found := people.any_of(random, [each for each in some if not each.metadata.deleting]):
        w.api.delete(found.key)


def a_user_deletes_a_member(w: world.World, random: randoms.Random) -> None:
    some = w.api.all_of(snapshots.VolumeSnapshot)
    if found := people.any_of(random, [each for each in some if each.metadata.owner_references]):
        w.api.delete(found.key)


def a_user_labels_a_claim_anew(w: world.World, random: randoms.Random) -> None:
    key = volumes.claim_key(objects.NAMESPACE, random.choice(world.CLAIMS))
    claim = w.api.find(volumes.PersistentVolumeClaim, key)
    if claim is not None:
        labels = {} if "app" in claim.metadata.labels else world.LABELS
        metadata = msgspec.structs.replace(
            claim.metadata, labels={"name": claim.metadata.name, **labels}
        )
        w.api.put(msgspec.structs.replace(claim, metadata=metadata))


def somebody_takes_a_members_name(w: world.World, random: randoms.Random) -> None:
    """Make a snapshot that is in the way of one that a group is to make."""
    some = w.api.all_of(groups.VolumeGroupSnapshot)
    found = people.any_of(random, [each for each in some if not each.ready])
    if found is None:
        return
    claim = random.choice(world.CLAIMS)
    name = names.member_snapshot(found.metadata.uid, f"handle-{claim}")
    snapshot = objects.snapshot(name, claim=random.choice(world.CLAIMS), of="deleting")
    if snapshot.key not in w.api.objects:
        w.api.put(snapshot)


def an_administrator_changes_a_group_class(w: world.World, random: randoms.Random) -> None:
    name = random.choice(list(world.CLASSES))
    key = keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS, "", name)
    if key in w.api.objects:
        w.api.delete(key)
    else:
        w.bring_group_class(name)


def the_garbage_collector_works(w: world.World, random: randoms.Random) -> None:
    del random
    w.collect_garbage()


def _free_name(w: world.World, random: randoms.Random) -> str:
    taken = {each.metadata.name for each in w.api.all_of(groups.VolumeGroupSnapshot)}
    free = [name for n in range(_NAMES) if (name := f"group-{n}") not in taken]
    return random.choice(free) if free else ""


# Each with its weight
STEPS: Mapping[people.Step, int] = {
    a_user_takes_a_group: 7,
    an_administrator_brings_a_group: 3,
    a_user_deletes_a_group: 5,
    a_user_deletes_a_member: 2,
    a_user_labels_a_claim_anew: 2,
    somebody_takes_a_members_name: 1,
    an_administrator_changes_a_group_class: 1,
    the_garbage_collector_works: 1,
}
