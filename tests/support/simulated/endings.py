"""How every story ends: all settles, and what is left is what should be."""

from simulated import families, objects, people, world
from snapshotd.model import groups, keys, names, snapshots, volumes, wire

Content = groups.AnyContent
Snapshot = groups.AnySnapshot


def end(w: world.World) -> None:
    """Settle and judge; then have everybody delete everything, settle and judge again."""
    for name in world.CLASSES:
        w.bring_class(name)
        w.bring_group_class(name)
    if objects.node().key not in w.api.objects:
        w.api.put(objects.node())
    w.settle()
    _check(w)
    for claim in people.restores(w):
        if claim.key in w.witness.filling:
            people.finish(w, claim)
    _delete_all_of(w, snapshots.VolumeSnapshot)
    _delete_all_of(w, volumes.PersistentVolumeClaim)
    _delete_all_of(w, groups.VolumeGroupSnapshot)
    w.settle()
    _check_that_users_are_rid_of_all(w)
    for type_ in families.CONTENTS:
        _delete_all_of(w, type_)
    w.settle()
    nobodys = [each for each in families.contents(w.api) if _is_nobodys(w, each)]
    assert families.contents(w.api) == nobodys, f"never let go: {w.state()}"
    _check_leaks(w, {handle for each in nobodys for handle in w.witness.handles_of(each)})
    w.check_overlooked()


def _delete_all_of(w: world.World, type_: type[wire.Object]) -> None:
    for obj in w.api.all_of(type_):
        w.api.delete(obj.key)


def _check(w: world.World) -> None:
    w.check_overlooked()
    contents = families.contents(w.api)
    known: set[str] = set()
    for content in contents:
        handle = content.handle or content.given_handle
        if handle:
            known.add(handle)
        elif content.metadata.deleting:
            # Its cut may be unknown, until its snapshot goes too.
            known |= w.witness.cut_for(content.ref.uid)
        present = handle in w.storage.handles | w.storage.deleted | set(w.storage.members)
        assert not content.ready or present, f"{content.key} stands for nothing: {w.state()}"
        doubtful = content.being_created and not content.metadata.deleting
        assert not doubtful, f"still in doubt: {content}"
    _check_leaks(w, known)
    owners = [each.ref.uid for each in contents if each.ref.uid]
    assert len(owners) == len(set(owners)), f"two contents for one snapshot: {w.state()}"
    for snapshot in families.both(w.api):
        _check_snapshot(w, snapshot)
    for claim in w.api.all_of(volumes.PersistentVolumeClaim):
        _check_claim(w, claim)


def _check_leaks(w: world.World, known: set[str]) -> None:
    torn = {each for uid in w.witness.forced for each in w.witness.cut_for(uid)}
    leaked = w.storage.handles - known - w.witness.left - torn
    assert not leaked, f"on storage, and in no object: {leaked}: {w.state()}"


def _check_snapshot(w: world.World, snapshot: Snapshot) -> None:
    if snapshot.metadata.deleting:
        assert _is_held(w, snapshot), f"{snapshot.key} is never let go: {w.state()}"
        return
    if snapshot.ready:
        assert snapshot.error is None
        _check_members(w, snapshot)
        _check_adopted(w, snapshot)
        return
    group = families.group_of(w.api, snapshot)
    if group is not None and group.error is not None:
        return  # the group tells it for all
    why = f"{snapshot.key} is neither ready nor told why not: {w.state()}"
    assert snapshot.error is not None, why
    assert snapshot.error.message, why
    content = families.content_of(w.api, snapshot)
    if content is not None:
        others = content.ref.uid not in {"", snapshot.metadata.uid}
        assert others or content.metadata.deleting or _lacks_a_member(w, snapshot, content), why
    elif not (snapshot.bound_content or snapshot.given_content):
        claims = w.api.all_of(volumes.PersistentVolumeClaim)
        cut_from = [each for each in claims if families.is_unfinished_use(w.api, snapshot, each)]
        assert not cut_from, why


def _check_members(w: world.World, group: Snapshot) -> None:
    """All members of a ready group are ready, unless somebody tore at one afterwards."""
    for member in families.members_of(w.api, group.metadata.uid):
        torn = member.metadata.uid in w.witness.forced
        given = member.given_content
        assert member.ready or torn or given, f"{member.key} is not ready: {w.state()}"


def _check_adopted(w: world.World, snapshot: Snapshot) -> None:
    """What was made by hand for a member belongs to its group, and so goes with it."""
    content = families.content_of(w.api, snapshot)
    if not isinstance(content, snapshots.VolumeSnapshotContent) or content.status is None:
        return
    handle = content.status.volume_group_snapshot_handle
    for cut in w.api.all_of(groups.VolumeGroupSnapshotContent):
        if handle and handle in {cut.handle, cut.given_handle}:
            group = w.api.objects.get(groups.group_key(cut.ref.namespace, cut.ref.name))
            there = group is not None and group.metadata.uid == cut.ref.uid
            adopted = families.group_uid(snapshot) == cut.ref.uid
            assert adopted or not there, f"{snapshot.key} belongs to no group: {w.state()}"


def _lacks_a_member(w: world.World, group: Snapshot, content: Content) -> bool:
    """Say whether a group that was cut can have no snapshot of one of its volumes."""
    if not isinstance(group, groups.VolumeGroupSnapshot) or not content.ready:
        return False
    for volume in content.cut_from:
        name = names.member_snapshot(group.metadata.uid, volume)
        key = keys.Key(keys.Kind.VOLUME_SNAPSHOT, group.metadata.namespace, name)
        member = w.api.find(snapshots.VolumeSnapshot, key)
        if member is not None:
            anothers = families.group_uid(member) != group.metadata.uid
            if anothers or member.metadata.deleting or member.error is not None:
                return True
    return False


def _is_held(w: world.World, snapshot: Snapshot) -> bool:
    """Say whether a group, or a claim that a provisioner was told of in time, holds a snapshot."""
    if families.group_of(w.api, snapshot) is not None:
        return True
    members = families.members_of(w.api, snapshot.metadata.uid)
    return any(
        people.source_of(claim) == source.key
        and not names.PROVISIONER_ANNOTATIONS.isdisjoint(claim.metadata.annotations)
        and (claim.metadata.creation_timestamp or "") <= (source.metadata.deletion_timestamp or "~")
        for claim in people.restores(w)
        for source in (snapshot, *members)
    )


def _check_claim(w: world.World, claim: volumes.PersistentVolumeClaim) -> None:
    assert not claim.metadata.deleting, f"{claim.key} is never let go: {w.state()}"
    protected = names.CLAIM_FINALIZER in claim.metadata.finalizers
    wanted = any(families.is_unfinished_use(w.api, each, claim) for each in families.both(w.api))
    assert protected == wanted, f"{claim.key} is protected: {protected}: {w.state()}"


def _check_that_users_are_rid_of_all(w: world.World) -> None:
    kinds = {keys.Kind.VOLUME_SNAPSHOT, keys.Kind.CLAIM, keys.Kind.VOLUME_GROUP_SNAPSHOT}
    remaining = [key for key, obj in w.api.objects.items() if key.kind in kinds]
    assert not remaining, f"never let go: {remaining}: {w.state()}"
    known: set[str] = set()
    for content in families.contents(w.api):
        known |= w.witness.handles_of(content)
        kept = content.spec.deletion_policy == names.RETAIN
        never_bound = not content.ref.uid
        if _is_nobodys(w, content):
            continue
        meddled = content.metadata.uid in w.witness.meddled
        assert kept or never_bound or meddled, f"{content.key} is left: {w.state()}"
        lost = content.ready and not w.witness.handles_of(content)
        of_group = families.is_cut_with_group(content)  # which is kept, or not, as a whole
        assert not lost or meddled or of_group, f"deleted on storage although retained: {content}"
        assert never_bound or content.deletion_meant, f"left without a mark: {content}"
    _check_leaks(w, known)
    w.check_overlooked()


def _is_nobodys(w: world.World, content: Content) -> bool:
    """Say whether it is left to people: a former leader made or bound it for what was gone.

    One that was given stays, and one that was ready before the new leader saw to it, or when it had
    but marked it: somebody may restore from what is ready.
    """
    uid = content.ref.uid
    spared = content.deletion_meant or uid not in w.witness.must_go
    if uid in w.witness.late and content.ready and spared:
        return True
    return uid in w.witness.orphaned  # and maybe marked by that leader before it died
