"""What users, administrators and other controllers do in a story, whatever state it is in."""

import random as randoms
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from simulated import families, objects, world
from snapshotd.model import groups, keys, names, snapshots, volumes

T = TypeVar("T")
Step = Callable[[world.World, randoms.Random], None]
_NAMES = 5  # few, so that names are taken again


def a_user_takes_a_snapshot(w: world.World, random: randoms.Random) -> None:
    name = free_name(w, random)
    if name:
        class_name = random.choice([*world.CLASSES, "deleting", None])
        claim = random.choice(world.CLAIMS)
        w.api.put(objects.snapshot(name, claim=claim, of=class_name))


def an_administrator_brings_a_snapshot(w: world.World, random: randoms.Random) -> None:
    name = free_name(w, random)
    if not name:
        return
    content = f"content-{name}"  # which may be there, left by another of that name
    first = random.random() < 0.5
    if first:
        _bring_content(w, random, content, name)
    w.api.put(objects.snapshot(name, content=content))
    if not first:
        _bring_content(w, random, content, name)


def _bring_content(w: world.World, random: randoms.Random, content: str, snapshot: str) -> None:
    if snapshots.content_key(content) not in w.api.objects:
        w.made += 1
        handle = f"given-{w.made}"
        w.storage.given.add(handle)
        policy = random.choice([names.DELETE, names.RETAIN])
        w.api.put(objects.content(content, policy=policy, handle=handle, snapshot=snapshot))


def a_user_deletes_a_snapshot(w: world.World, random: randoms.Random) -> None:
    some = w.api.all_of(snapshots.VolumeSnapshot)
    alive = [each for each in some if not each.metadata.deleting]
    if found := any_of(random, alive):
        w.api.delete(found.key)


def a_user_deletes_a_claim(w: world.World, random: randoms.Random) -> None:
    w.api.delete(volumes.claim_key(objects.NAMESPACE, random.choice(world.CLAIMS)))


def a_user_brings_a_claim(w: world.World, random: randoms.Random) -> None:
    w.bring_claim(random.choice(world.CLAIMS))


def an_administrator_deletes_a_content(w: world.World, random: randoms.Random) -> None:
    if found := any_of(random, families.contents(w.api)):
        w.api.delete(found.key)


def an_administrator_tears_a_content_away(w: world.World, random: randoms.Random) -> None:
    found = any_of(random, families.contents(w.api))
    if found and not _would_be_cut_of_others(w, found):
        w.witness.forced.add(found.ref.uid)
        w.witness.left |= w.witness.handles_of(found)
        metadata = msgspec.structs.replace(found.metadata, finalizers=())
        w.api.put(msgspec.structs.replace(found, metadata=metadata))
        w.api.delete(found.key)


def _would_be_cut_of_others(w: world.World, content: groups.AnyContent) -> bool:
    """Say whether a group would be cut again: under its name, but of what is selected by then."""
    key = groups.group_key(content.ref.namespace, content.ref.name)
    group = w.api.find(groups.VolumeGroupSnapshot, key)
    unbound = group is not None and not group.bound_content
    return unbound and isinstance(content, groups.VolumeGroupSnapshotContent)


def an_administrator_changes_a_policy(w: world.World, random: randoms.Random) -> None:
    found = any_of(random, families.contents(w.api))
    if found:
        w.witness.meddled.add(found.metadata.uid)
        retained = found.spec.deletion_policy == names.RETAIN
        policy = names.DELETE if retained else names.RETAIN
        spec = msgspec.structs.replace(found.spec, deletion_policy=policy)
        w.api.put(msgspec.structs.replace(found, spec=spec))


def an_administrator_changes_a_class(w: world.World, random: randoms.Random) -> None:
    name = random.choice(list(world.CLASSES))
    key = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name)
    if key in w.api.objects:
        w.api.delete(key)
    else:
        w.bring_class(name)


def a_node_comes_or_goes(w: world.World, random: randoms.Random) -> None:
    del random
    if objects.node().key in w.api.objects:
        w.api.delete(objects.node().key)
    else:
        w.api.put(objects.node())


# Restores


def a_user_restores_a_snapshot(w: world.World, random: randoms.Random) -> None:
    if found := any_of(random, w.api.all_of(snapshots.VolumeSnapshot)):
        restore(w, random, found)


def restore(w: world.World, random: randoms.Random, source: snapshots.VolumeSnapshot) -> None:
    """Bring a claim that is to be filled from a snapshot."""
    w.made += 1
    told, by_ref = random.random() < 0.7, random.random() < 0.5
    name = f"restore-{w.made}"
    w.api.put(objects.restore(name, source.metadata.name, told=told, by_ref=by_ref))
    if random.random() < 0.6:
        _begin_filling(w, volumes.claim_key(objects.NAMESPACE, name))


def a_user_gives_a_restore_up(w: world.World, random: randoms.Random) -> None:
    if found := any_of(random, restores(w)):
        w.api.delete(found.key)
        w.witness.filling.pop(found.key, None)


def the_provisioner_works(w: world.World, random: randoms.Random) -> None:
    found = any_of(random, restores(w))
    if found is None:
        return
    if found.key in w.witness.filling:
        finish(w, found)
    elif names.PROVISIONER_ANNOTATIONS.isdisjoint(found.metadata.annotations):
        annotations = {max(names.PROVISIONER_ANNOTATIONS): "a provisioner"}
        metadata = msgspec.structs.replace(found.metadata, annotations=annotations)
        w.api.put(msgspec.structs.replace(found, metadata=metadata))
    else:
        _begin_filling(w, found.key)


def finish(w: world.World, claim: volumes.PersistentVolumeClaim) -> None:
    """Have a claim be filled."""
    w.witness.filling.pop(claim.key, None)
    w.api.put(msgspec.structs.replace(claim, status=volumes.ClaimStatus(phase=names.BOUND)))


def restores(w: world.World) -> list[volumes.PersistentVolumeClaim]:
    """Return the claims that are still to be filled."""
    some = w.api.all_of(volumes.PersistentVolumeClaim)
    return [each for each in some if each.status.phase == names.PENDING]


def source_of(claim: volumes.PersistentVolumeClaim) -> keys.Key:
    """Return the snapshot that a claim is to be filled from."""
    source = claim.spec.data_source or claim.spec.data_source_ref
    assert source is not None
    return keys.Key(keys.Kind.VOLUME_SNAPSHOT, objects.NAMESPACE, source.name)


def _begin_filling(w: world.World, key: keys.Key) -> None:
    """Have the provisioner begin, unless the snapshot is not there, not ready or being deleted."""
    claim = w.api.find(volumes.PersistentVolumeClaim, key)
    assert claim is not None
    snapshot = w.api.find(snapshots.VolumeSnapshot, source_of(claim))
    told = not names.PROVISIONER_ANNOTATIONS.isdisjoint(claim.metadata.annotations)
    if told and snapshot is not None and snapshot.ready and not snapshot.metadata.deleting:
        w.witness.filling[key] = snapshot.metadata.uid


def free_name(w: world.World, random: randoms.Random) -> str:
    """Return a name that no snapshot has, or ''."""
    taken = {each.metadata.name for each in w.api.all_of(snapshots.VolumeSnapshot)}
    free = [name for n in range(_NAMES) if (name := f"snap-{n}") not in taken]
    return random.choice(free) if free else ""


def any_of(random: randoms.Random, some: list[T]) -> T | None:
    """Return one of some, None if there is none."""
    return random.choice(some) if some else None


# Each with its weight
STEPS: Mapping[Step, int] = {
    a_user_takes_a_snapshot: 10,
    an_administrator_brings_a_snapshot: 4,
    a_user_deletes_a_snapshot: 7,
    a_user_deletes_a_claim: 2,
    a_user_brings_a_claim: 2,
    an_administrator_deletes_a_content: 3,
    an_administrator_tears_a_content_away: 3,
    an_administrator_changes_a_policy: 3,
    an_administrator_changes_a_class: 2,
    a_node_comes_or_goes: 2,
    a_user_restores_a_snapshot: 5,
    a_user_gives_a_restore_up: 2,
    the_provisioner_works: 3,
}
