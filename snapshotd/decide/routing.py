"""Which keys does this change wake? Every wait in `decide` is ended by a row here.

Pure: a change and a way to look into the cache's indexes in, keys out. What is not woken here would
have to wait for a timer, and nothing waits for a timer that an event could wake.
"""

from collections.abc import Iterable, Iterator, KeysView

import msgspec

from snapshotd.decide import indexes, members, publishing, selection
from snapshotd.model import groups, keys, names, snapshots, volumes, wire


def wakes_in_cluster(
    old: wire.Object | None, new: wire.Object | None, cache: indexes.Lookup
) -> KeysView[keys.Key]:
    """Return the keys the controller looks at after one object changed, in the order to look."""
    woken = [key for obj in (old, new) for key in _woken_by(obj, cache)]
    if new is None and isinstance(old, snapshots.VolumeSnapshot):
        # A group makes a member anew that it still waits for, or at last if another was in the way.
        namespace = old.metadata.namespace
        woken += [each.key for each in cache.by_index(indexes.GROUPS_BY_NAMESPACE, namespace)]
    content = new or old
    if isinstance(content, groups.VolumeGroupSnapshotContent) and (old is None or new is None):
        woken += [each.key for each in _claims_in_question(content, cache)]
    return dict.fromkeys(key for key in woken if cache.get(key) is not None).keys()


def _woken_by(obj: wire.Object | None, cache: indexes.Lookup) -> Iterator[keys.Key]:
    match obj:
        case snapshots.VolumeSnapshot():
            yield from _of_snapshot(obj, cache)
        case groups.VolumeGroupSnapshotContent():
            yield from _of_group_content(obj, cache)
        case groups.VolumeGroupSnapshotClass():
            for name in (obj.metadata.name, indexes.NO_CLASS):
                for unbound in cache.by_index(indexes.GROUPS_BY_CLASS, name):
                    yield unbound.key
        case snapshots.VolumeSnapshotContent():
            yield from _of_content(obj, cache)
        case snapshots.VolumeSnapshotClass():
            yield from _of_class(obj, cache)
        case volumes.PersistentVolumeClaim():
            yield from _of_claim(obj, cache)
        case volumes.PersistentVolume():
            yield from _of_volume(obj, cache)
        case volumes.Node():
            yield from _of_node(cache)
        case groups.VolumeGroupSnapshot():
            yield from _of_group(obj, cache)
        case _:
            pass


def wakes_at_driver(
    old: wire.Object | None, new: wire.Object | None, cache: indexes.Lookup
) -> set[keys.Key]:
    """Return the keys the sidecar looks at after one object changed.

    Not those of which only what the sidecar itself writes changed: a failure it has just told would
    wake its own key, and have the driver called again at once.
    """
    match new or old:
        case snapshots.VolumeSnapshotContent() | groups.VolumeGroupSnapshotContent() as content:
            return {content.key} if _is_news(old, new) else set()
        case snapshots.VolumeSnapshotClass() as class_:
            return {
                each.key for each in cache.by_index(indexes.CONTENTS_BY_CLASS, class_.metadata.name)
            }
        case groups.VolumeGroupSnapshotClass() as class_:
            unready = cache.by_index(indexes.GROUP_CONTENTS_BY_CLASS, class_.metadata.name)
            return {each.key for each in unready}
        case _:
            return set()


def _is_news(old: wire.Object | None, new: wire.Object | None) -> bool:
    if not isinstance(new, groups.AnyContent):
        return False
    if not isinstance(old, groups.AnyContent):
        return True
    if _said_by_others(old) != _said_by_others(new):
        return True
    # A mark may land late, when its call has long been answered: nobody looks at a ready one again.
    return new.ready and (not old.ready or new.being_created > old.being_created)


def _said_by_others(content: groups.AnyContent) -> groups.AnyContent:
    metadata = content.metadata
    annotations = dict(metadata.annotations)
    annotations.pop(content.family.being_created, None)
    return msgspec.structs.replace(
        content,
        status=None,
        metadata=msgspec.structs.replace(metadata, resource_version="", annotations=annotations),
    )


def _of_snapshot(snapshot: snapshots.VolumeSnapshot, cache: indexes.Lookup) -> Iterator[keys.Key]:
    claim = indexes.claim_of(snapshot)
    if claim is not None:
        yield claim  # first: the snapshot waits until its claim is guarded
    yield snapshot.key
    group = indexes.group_of(snapshot)
    if group is None:
        return
    ends = snapshot.ready or snapshot.error is not None or snapshot.metadata.deleting
    if ends or ((owner := cache.get(group)) and owner.metadata.deleting):
        # It waits for all its members, and tells which never will be ready; if it goes, they do.
        yield group


def _of_content(
    content: snapshots.VolumeSnapshotContent, cache: indexes.Lookup
) -> Iterator[keys.Key]:
    yield content.key
    for snapshot in cache.by_index(indexes.SNAPSHOTS_BY_CONTENT, content.metadata.name):
        yield snapshot.key
        if not isinstance(snapshot, snapshots.VolumeSnapshot):
            continue
        claim = indexes.claim_of(snapshot)
        # A claim that is being deleted waits for the cut to end; the others for the snapshot.
        if claim is not None and (held := cache.get(claim)) and held.metadata.deleting:
            yield claim


def _of_class(class_: snapshots.VolumeSnapshotClass, cache: indexes.Lookup) -> Iterator[keys.Key]:
    for name in (class_.metadata.name, indexes.NO_CLASS):
        for snapshot in cache.by_index(indexes.SNAPSHOTS_BY_CLASS, name):
            yield snapshot.key


def _of_claim(claim: volumes.PersistentVolumeClaim, cache: indexes.Lookup) -> Iterator[keys.Key]:
    yield claim.key
    for snapshot in cache.by_index(indexes.SNAPSHOTS_BY_CLAIM, claim.key):
        yield snapshot.key
    yield from _unbound_groups(claim.metadata.namespace, cache)
    for source in indexes.restore_of(claim):
        yield source
        member = cache.get(source)
        if isinstance(member, snapshots.VolumeSnapshot) and (group := indexes.group_of(member)):
            yield group  # nor does it go before what is restored from its members is there


def _of_volume(volume: volumes.PersistentVolume, cache: indexes.Lookup) -> Iterator[keys.Key]:
    ref = volume.spec.claim_ref
    if ref is None:
        return
    claim = volumes.claim_key(ref.namespace, ref.name)
    for snapshot in cache.by_index(indexes.SNAPSHOTS_BY_CLAIM, claim):
        yield snapshot.key
    yield from _unbound_groups(ref.namespace, cache)


def _of_node(cache: indexes.Lookup) -> Iterator[keys.Key]:
    for index in (indexes.UNPLACED_CONTENTS, indexes.UNPLACED_GROUP_CONTENTS):
        for content in cache.by_index(index, indexes.ANY_NODE):
            yield content.key
    yield from _unbound_groups(indexes.ANYWHERE, cache)


def _of_group(group: groups.VolumeGroupSnapshot, cache: indexes.Lookup) -> Iterator[keys.Key]:
    for claim in claims_of_group(group, cache):
        yield claim.key  # first: the group waits until all its claims are guarded
    yield group.key
    for member in cache.by_index(indexes.MEMBERS_BY_GROUP, group.key):
        yield member.key
    content = cache.get(groups.group_content_key(publishing.bound_name(group)))
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        yield from _given_members(content, cache)


def _of_group_content(
    content: groups.VolumeGroupSnapshotContent, cache: indexes.Lookup
) -> Iterator[keys.Key]:
    yield content.key
    for name in members.names_of(content):
        yield keys.Key(keys.Kind.VOLUME_SNAPSHOT, content.ref.namespace, name)
        yield snapshots.content_key(names.member_content(name))
    yield from _given_members(content, cache)
    for group in _groups(cache.by_index(indexes.GROUPS_BY_CONTENT, content.metadata.name)):
        yield group.key
        for claim in claims_of_group(group, cache):
            if claim.metadata.deleting:
                yield claim.key  # it waits for the cut to end, the others for the group


def _given_members(
    content: groups.VolumeGroupSnapshotContent, cache: indexes.Lookup
) -> Iterator[keys.Key]:
    """Yield the snapshots that were made by hand for members: their group adopts them."""
    for handle in indexes.group_by_handle(content):
        for member in cache.by_index(indexes.GIVEN_BY_GROUP, handle):
            for snapshot in cache.by_index(indexes.SNAPSHOTS_BY_CONTENT, member.metadata.name):
                yield snapshot.key


def _unbound_groups(namespace: str, cache: indexes.Lookup) -> Iterator[keys.Key]:
    for group in _groups(cache.by_index(indexes.GROUPS_BY_NAMESPACE, namespace)):
        if not group.bound_content:
            yield group.key


def _groups(objects: Iterable[wire.Object]) -> Iterator[groups.VolumeGroupSnapshot]:
    return (each for each in objects if isinstance(each, groups.VolumeGroupSnapshot))


def claims_of_group(
    group: groups.VolumeGroupSnapshot, cache: indexes.Lookup
) -> Iterator[volumes.PersistentVolumeClaim]:
    """Yield the claims a dynamic group is cut from: those its content names, or those selected."""
    content = cache.get(groups.group_content_key(publishing.bound_name(group)))
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        claims = _claims_named(content, cache)
    else:
        claims = _claims_in(group.metadata.namespace, cache)
    return (claim for claim in claims if uses(group, claim, cache))


def _claims_in_question(
    content: groups.VolumeGroupSnapshotContent, cache: indexes.Lookup
) -> Iterator[volumes.PersistentVolumeClaim]:
    """Yield the claims of which a content that comes or goes changes whether its group uses them.

    While there is none it is those selected, and they may have got other labels since.
    """
    yield from _claims_named(content, cache)
    for group in _groups(cache.by_index(indexes.GROUPS_BY_CONTENT, content.metadata.name)):
        if (selector := group.spec.source.selector) is not None:
            for claim in _claims_in(group.metadata.namespace, cache):
                if selection.selects(selector, claim.metadata.labels):
                    yield claim


def _claims_in(namespace: str, cache: indexes.Lookup) -> Iterator[volumes.PersistentVolumeClaim]:
    return _claims(cache.by_index(indexes.CLAIMS_BY_NAMESPACE, namespace))


def _claims_named(
    content: groups.VolumeGroupSnapshotContent, cache: indexes.Lookup
) -> Iterator[volumes.PersistentVolumeClaim]:
    refs = (
        volume.spec.claim_ref
        for handle in content.cut_from
        for volume in cache.by_index(indexes.VOLUMES_BY_HANDLE, (content.spec.driver, handle))
        if isinstance(volume, volumes.PersistentVolume)
    )
    found = (cache.get(volumes.claim_key(ref.namespace, ref.name)) for ref in refs if ref)
    return _claims(found)


def _claims(objects: Iterable[wire.Object | None]) -> Iterator[volumes.PersistentVolumeClaim]:
    return (each for each in objects if isinstance(each, volumes.PersistentVolumeClaim))


def uses(
    group: groups.VolumeGroupSnapshot, claim: volumes.PersistentVolumeClaim, cache: indexes.Lookup
) -> bool:
    """Say whether a dynamic group is cut from a claim of its namespace, or is to be."""
    if group.given_content or claim.metadata.namespace != group.metadata.namespace:
        return False
    content = cache.get(groups.group_content_key(publishing.bound_name(group)))
    if not isinstance(content, groups.VolumeGroupSnapshotContent):
        selector = group.spec.source.selector
        if selector is None or group.bound_content:
            return False
        return selection.selects(selector, claim.metadata.labels)
    volume = cache.get(volumes.volume_key(claim.spec.volume_name))
    csi = volume.spec.csi if isinstance(volume, volumes.PersistentVolume) else None
    return (
        csi is not None
        and csi.driver == content.spec.driver
        and csi.volume_handle in content.cut_from
    )
