"""How every story ends: all settles, and what is left is what should be."""

from simulated import objects, people, witness, world
from snapshotd.model import groups, keys, names, snapshots, volumes, wire

Content = snapshots.VolumeSnapshotContent
Snapshot = snapshots.VolumeSnapshot


def end(w: world.World) -> None:
    """Settle and judge; then have everybody delete everything, settle and judge again."""
    for name in world.CLASSES:
        w.bring_class(name)
    if objects.node().key not in w.api.objects:
        w.api.put(objects.node())
    w.settle()
    _check(w)
    for claim in people.restores(w):
        if claim.key in w.witness.filling:
            people.finish(w, claim)
    _delete_all_of(w, Snapshot)
    _delete_all_of(w, volumes.PersistentVolumeClaim)
    _delete_all_of(w, groups.VolumeGroupSnapshot)
    w.settle()
    _check_that_users_are_rid_of_all(w)
    _delete_all_of(w, Content)
    w.settle()
    nobodys = [each for each in w.api.all_of(Content) if _is_nobodys(w, each)]
    assert w.api.all_of(Content) == nobodys, f"never let go: {w.state()}"
    _check_leaks(w, {handle for each in nobodys for handle in w.witness.handles_of(each)})
    w.check_overlooked()


def _delete_all_of(w: world.World, type_: type[wire.Object]) -> None:
    for obj in w.api.all_of(type_):
        w.api.delete(obj.key)


def _check(w: world.World) -> None:
    w.check_overlooked()
    contents = w.api.all_of(Content)
    known: set[str] = set()
    for content in contents:
        handle = content.handle or content.spec.source.snapshot_handle
        if handle:
            known.add(handle)
        elif content.metadata.deleting:
            # Its cut may be unknown, until its snapshot goes too.
            known |= w.witness.cut_for(_uid(content))
        present = handle in w.storage.handles or handle in w.storage.deleted
        assert not content.ready or present, f"{content.key} stands for nothing: {w.state()}"
        doubtful = names.BEING_CREATED_ANNOTATION in content.metadata.annotations
        assert not doubtful or content.metadata.deleting, f"still in doubt: {content}"
    _check_leaks(w, known)
    owners = [uid for each in contents if (uid := _uid(each))]
    assert len(owners) == len(set(owners)), f"two contents for one snapshot: {w.state()}"
    for snapshot in w.api.all_of(Snapshot):
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
        assert snapshot.status is not None
        assert snapshot.status.error is None
        return
    name = snapshot.bound_content or snapshot.spec.source.volume_snapshot_content_name
    content = w.api.find(Content, snapshots.content_key(name or _dynamic(snapshot)))
    error = snapshot.status.error if snapshot.status else None
    why = f"{snapshot.key} is neither ready nor told why not: {w.state()}"
    assert error is not None, why
    assert error.message, why
    if content is not None:
        others = content.spec.volume_snapshot_ref.uid not in {"", snapshot.metadata.uid}
        assert others or content.metadata.deleting, why
    elif not name:
        claim = volumes.claim_key(objects.NAMESPACE, _claim_of(snapshot))
        assert claim not in w.api.objects, why


def _is_held(w: world.World, snapshot: Snapshot) -> bool:
    """Say whether a group, or a claim that a provisioner was told of in time, holds a snapshot."""
    name = snapshot.status.volume_group_snapshot_name if snapshot.status else None
    if groups.group_key(snapshot.metadata.namespace, name or "") in w.api.objects:
        return True
    ended = snapshot.metadata.deletion_timestamp or ""
    return any(
        people.source_of(claim) == snapshot.key
        and not names.PROVISIONER_ANNOTATIONS.isdisjoint(claim.metadata.annotations)
        and (claim.metadata.creation_timestamp or "") <= ended
        for claim in people.restores(w)
    )


def _check_claim(w: world.World, claim: volumes.PersistentVolumeClaim) -> None:
    assert not claim.metadata.deleting, f"{claim.key} is never let go: {w.state()}"
    protected = names.CLAIM_FINALIZER in claim.metadata.finalizers
    wanted = any(
        _claim_of(each) == claim.metadata.name and not each.ready and not each.metadata.deleting
        for each in w.api.all_of(Snapshot)
    )
    assert protected == wanted, f"{claim.key} is protected: {protected}: {w.state()}"


def _check_that_users_are_rid_of_all(w: world.World) -> None:
    kinds = {keys.Kind.VOLUME_SNAPSHOT, keys.Kind.CLAIM}
    remaining = [key for key, obj in w.api.objects.items() if key.kind in kinds]
    assert not remaining, f"never let go: {remaining}: {w.state()}"
    known: set[str] = set()
    for content in w.api.all_of(Content):
        known |= w.witness.handles_of(content)
        kept = content.spec.deletion_policy == names.RETAIN
        never_bound = not _uid(content)
        if _is_nobodys(w, content):
            continue
        meddled = content.metadata.uid in w.witness.meddled
        assert kept or never_bound or meddled, f"{content.key} is left: {w.state()}"
        lost = content.ready and not w.witness.handles_of(content)
        assert not lost or meddled, f"deleted on storage although retained: {content}"
        assert never_bound or witness.marked(content), f"left without a mark: {content}"
    _check_leaks(w, known)
    w.check_overlooked()


def _is_nobodys(w: world.World, content: Content) -> bool:
    """Say whether it is left to people: a former leader made or bound it for what was gone.

    One that was given stays, and one that was ready before the new leader saw to it, or when it had
    but marked it: somebody may restore from what is ready.
    """
    uid = _uid(content)
    marked = witness.marked(content)
    if uid in w.witness.late and content.ready and (marked or uid not in w.witness.must_go):
        return True
    return uid in w.witness.orphaned  # and maybe marked by that leader before it died


def _uid(content: Content) -> str:
    return content.spec.volume_snapshot_ref.uid


def _claim_of(snapshot: Snapshot) -> str:
    return snapshot.spec.source.persistent_volume_claim_name or ""


def _dynamic(snapshot: Snapshot) -> str:
    return names.dynamic_content(snapshot.metadata.uid)
