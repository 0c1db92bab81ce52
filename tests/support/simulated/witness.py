"""Sees every change of the simulated world, and says at once which rule it breaks.

It knows the rules in its own words and looks at the API and at storage, not at the deciders. What
depends on what a process could know asks what was in its cache when its operation began.
"""

from collections.abc import Iterable

from simulated import api as apis
from simulated import driver, gates
from snapshotd.model import groups, keys, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

GUARDS = frozenset({names.SNAPSHOT_SOURCE_FINALIZER, names.SNAPSHOT_BOUND_FINALIZER})
OURS = GUARDS | {names.SNAPSHOT_GROUP_FINALIZER}
Content = snapshots.VolumeSnapshotContent
Snapshot = snapshots.VolumeSnapshot


class Witness:
    """Everything that must hold at every moment."""

    def __init__(self, api: apis.Api) -> None:
        self.api = api
        self.storage = driver.Storage(self.may_delete)
        self.filling: dict[keys.Key, str] = {}  # claims being filled, by the snapshot's uid
        self.left: set[str] = set()  # handles that nobody is to delete any more
        self.meddled: set[str] = set()  # uids of contents whose policy somebody changed
        self.forced: set[str] = set()  # uids of snapshots whose content somebody tore away
        self.stands_for: dict[str, str] = {}  # the one handle of each ready snapshot
        self.late: set[str] = set()  # uids of snapshots for which a former leader's content is late
        self.must_go: set[str] = set()  # those whose content a leader saw before it was ready
        self.orphaned: set[str] = (
            set()
        )  # those that a former leader bound one for, or let go itself
        self.leader: gates.Owner | None = None
        self.two_controllers = False  # now, or as long as the former one's writes are news
        api.watchers.append(self.saw)

    def holds(self, cache: caches.Store[wire.Object]) -> Iterable[keys.Key]:
        """Yield what is known to hold snapshots: groups, and claims that are being filled."""
        for claim in self.filling:
            found = cache.find(volumes.PersistentVolumeClaim, claim)
            if found is not None and names.PROVISIONER_ANNOTATIONS & set(
                found.metadata.annotations
            ):
                yield claim
        yield from (each.key for each in cache.of_kind(keys.Kind.VOLUME_GROUP_SNAPSHOT))

    def looked_at(self, key: keys.Key, cache: caches.Store[wire.Object]) -> None:
        """Note what the leader takes up: a late content is accepted only if it was ready by then.

        Somebody may restore from what is ready: it is not given up on what a process remembers.
        """
        content = cache.find(Content, key)
        if content is not None and not content.ready and _uid(content) in self.late:
            self.must_go.add(_uid(content))

    def saw(self, old: wire.Object | None, new: wire.Object) -> None:
        """Judge one change; `new` may be gone with it."""
        match new:
            case snapshots.VolumeSnapshotContent():
                self._saw_content(old if isinstance(old, Content) else None, new)
            case snapshots.VolumeSnapshot():
                self._saw_snapshot(old if isinstance(old, Snapshot) else None, new)
            case _:
                pass

    # Contents

    def _saw_content(self, old: Content | None, new: Content) -> None:
        ours = gates.current() is not None
        if old is None and ours:
            self._created(new)
        if ours and old is not None and _uid(new) != _uid(old) and not self._snapshot(_uid(new)):
            assert self.two_controllers, f"bound to nobody: {new}"
            self.orphaned.add(_uid(new))
        if ours and old is not None and marked(new) and not marked(old):
            self._given_up(new)
        if ours and old is not None and new.metadata.deleting and not old.metadata.deleting:
            assert new.spec.deletion_policy == names.DELETE, f"deleted, though to stay: {new}"
            self._given_up(new)
        if new.metadata.deleting and not new.metadata.finalizers:
            self._content_gone(new)

    def _created(self, new: Content) -> None:
        ref = new.spec.volume_snapshot_ref
        assert names.CONTENT_FINALIZER in new.metadata.finalizers, f"not complete: {new}"
        same = [each for each in self.api.all_of(Content) if _uid(each) == ref.uid]
        assert len(same) == 1, f"two contents for one snapshot: {same}"
        snapshot = self._snapshot(ref.uid)
        if self.two_controllers:
            if snapshot is None:
                self._came_late(ref.uid, made=True)
            return
        assert snapshot is not None, f"made for nobody: {new}"
        assert not snapshot.bound_content, f"{snapshot.key} is cut again"
        wanted = set(GUARDS)
        if new.spec.deletion_policy != names.DELETE:
            wanted.discard(names.SNAPSHOT_BOUND_FINALIZER)
        missing = wanted - set(snapshot.metadata.finalizers)
        assert not missing, f"made for a snapshot without {missing}"

    def _came_late(self, uid: str, *, made: bool) -> None:
        """Note a content without snapshot: the leader knows, if it was the one that let that go.

        `made`: the content was made just now; otherwise its snapshot was let go just now.
        """
        operation = gates.current()
        leads = operation is not None and operation.owner is self.leader
        (self.orphaned if leads is made else self.late).add(uid)

    def _given_up(self, content: Content) -> None:
        uid = content.spec.volume_snapshot_ref.uid
        snapshot = self._snapshot(uid)
        if snapshot is None:
            late = uid in self.late | self.orphaned
            # Kept by Retain when its snapshot went, then to go by Delete: as its owner said last.
            changed = content.metadata.uid in self.meddled and content.deletion_meant
            assert late or changed, f"given up, though nobody asked: {content}"
        else:
            assert snapshot.metadata.deleting, f"given up, though {snapshot.key} is to stay"
            self._check_held(snapshot)

    def _content_gone(self, content: Content) -> None:
        handles = self.handles_of(content)
        meant = marked(content) and content.spec.deletion_policy == names.DELETE
        if not meant or grouped(content):
            self.left |= handles
        elif _uid(content) not in self.forced:
            assert not handles, f"gone, and {handles} still on storage: {content}"

    def handles_of(self, content: Content) -> set[str]:
        """Return what exists on storage for a content."""
        named = {content.handle, content.spec.source.snapshot_handle} & self.storage.handles
        return {each for each in named if each} | self.cut_for(_uid(content))

    def cut_for(self, uid: str) -> set[str]:
        """Return what exists on storage that was cut for a snapshot."""
        prefix = f"snapshot-{uid}#"
        return {each for each in self.storage.handles if uid and each.startswith(prefix)}

    # Snapshots

    def _saw_snapshot(self, old: Snapshot | None, new: Snapshot) -> None:
        before = set(old.metadata.finalizers) if old else set()
        gone = new.metadata.deleting and not new.metadata.finalizers
        if gone or OURS & before - set(new.metadata.finalizers):
            self._let_go(new)
        if old is not None and old.metadata.uid == new.metadata.uid and old.bound_content:
            assert new.bound_content == old.bound_content, f"bound anew: {old} {new}"
        content = self.api.find(Content, snapshots.content_key(new.bound_content))
        if content is None or not new.ready:
            return
        assert _uid(content) == new.metadata.uid, f"{new.key} follows another's {content}"
        first = self.stands_for.setdefault(new.metadata.uid, content.handle)
        assert content.handle == first, f"{new.key} was cut again"

    def _let_go(self, snapshot: Snapshot) -> None:
        assert snapshot.metadata.deleting, f"let go, though nobody deletes it: {snapshot}"
        for content in self.api.all_of(Content):
            if _uid(content) != snapshot.metadata.uid:
                continue
            if self.two_controllers:
                self._came_late(_uid(content), made=False)
                continue
            if content.metadata.uid in self.meddled:
                continue  # its policy was another one when this was decided
            assert content.spec.deletion_policy == names.RETAIN, f"let go before {content}"
            assert marked(content), f"let go without telling: {content}"
        self._check_held(snapshot)

    def _check_held(self, snapshot: Snapshot) -> None:
        operation = gates.current()
        if operation is None or snapshot.metadata.uid in self.forced:
            return
        if not any(_uid(each) == snapshot.metadata.uid for each in self.api.all_of(Content)):
            return  # there is nothing left to fill it from
        for claim, uid in self.filling.items():
            known = claim in operation.known and uid == snapshot.metadata.uid
            assert not known, f"{snapshot.key} is let go while {claim} is being filled"
        name = snapshot.status.volume_group_snapshot_name if snapshot.status else None
        group = groups.group_key(snapshot.metadata.namespace, name or "")
        there = group in self.api.objects and group in operation.known
        assert not there, f"{snapshot.key} is let go before its group"

    def _snapshot(self, uid: str) -> Snapshot | None:
        found = [each for each in self.api.all_of(Snapshot) if each.metadata.uid == uid]
        return found[0] if found else None

    # Storage

    def may_delete(self, handle: str) -> bool:
        """Rule 5: policy Delete, a being-deleted mark and a deletionTimestamp, as far as seen."""
        operation = gates.current()
        assert operation is not None
        content = operation.owner.cache.find(Content, operation.key)
        return (
            content is not None
            and (
                handle in {content.handle, content.spec.source.snapshot_handle}
                or handle.startswith(f"snapshot-{_uid(content)}#")
            )
            and content.spec.deletion_policy == names.DELETE
            and content.metadata.deleting
            and marked(content)
            and not grouped(content)
        )


def marked(content: Content) -> bool:
    """Say whether a content carries the being-deleted mark."""
    return content.metadata.annotations.get(names.BEING_DELETED_ANNOTATION) == names.MARK


def grouped(content: Content) -> bool:
    """Say whether a content's snapshot is part of a group's."""
    return content.status is not None and bool(content.status.volume_group_snapshot_handle)


def _uid(content: Content) -> str:
    return content.spec.volume_snapshot_ref.uid
