"""Sees every change of the simulated world, and says at once which rule it breaks.

It knows the rules in its own words and looks at the API and at storage, not at the deciders. What
depends on what a process could know asks what was in its cache when its operation began.
"""

from collections.abc import Hashable, Iterable

from simulated import api as apis
from simulated import driver, families, gates
from snapshotd.decide import intents
from snapshotd.model import groups, keys, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

OURS = frozenset(
    {
        names.SNAPSHOT_SOURCE_FINALIZER,
        names.SNAPSHOT_BOUND_FINALIZER,
        names.SNAPSHOT_GROUP_FINALIZER,
        names.GROUP_BOUND_FINALIZER,
    }
)
Content = groups.AnyContent
Snapshot = groups.AnySnapshot


class Witness:
    """Everything that must hold at every moment."""

    def __init__(self, api: apis.Api) -> None:
        self.api = api
        self.storage = driver.Storage(self)
        self.filling: dict[keys.Key, str] = {}  # claims being filled, by the snapshot's uid
        self.left: set[str] = set()  # handles that nobody is to delete any more
        self.meddled: set[str] = set()  # uids of contents whose policy somebody changed
        self.forced: set[str] = set()  # uids of snapshots whose content somebody tore away
        self.stands_for: dict[str, str] = {}  # the one handle of each ready snapshot
        self.members: set[str] = set()  # uids of all snapshots that a group ever made
        self.late: set[str] = set()  # uids of snapshots for which a former leader's content is late
        self.must_go: set[str] = set()  # those whose content a leader saw before it was ready
        self.orphaned: set[str] = (
            set()
        )  # those that a former leader bound one for, or let go itself
        self.leader: gates.Owner | None = None
        self.two_controllers = False  # now, or as long as the former one's writes are news
        api.watchers.append(self.saw)
        api.sent.append(self.saw_request)
        api.vain.append(self.saw_nothing)

    def holds(self, cache: caches.Store[wire.Object]) -> Iterable[Hashable]:
        """Yield what is known to hold snapshots: claims that are being filled, groups, members."""
        for claim in self.filling:
            found = cache.find(volumes.PersistentVolumeClaim, claim)
            if found is not None and names.PROVISIONER_ANNOTATIONS & set(
                found.metadata.annotations
            ):
                yield claim
        yield from (each.metadata.uid for each in cache.of_kind(keys.Kind.VOLUME_GROUP_SNAPSHOT))
        for each in cache.of_kind(keys.Kind.VOLUME_SNAPSHOT):
            if isinstance(each, snapshots.VolumeSnapshot):
                status = each.status
                if families.group_uid(each) or (status and status.volume_group_snapshot_name):
                    yield each.metadata.uid

    def looked_at(self, key: keys.Key, cache: caches.Store[wire.Object]) -> None:
        """Note what the leader takes up: a late content is accepted only if it was ready by then.

        Somebody may restore from what is ready: it is not given up on what a process remembers.
        """
        content = cache.get(key)
        if isinstance(content, families.CONTENTS) and not content.ready:
            self.must_go |= {content.ref.uid} & self.late

    def saw(self, old: wire.Object | None, new: wire.Object) -> None:
        """Judge one change; `new` may be gone with it."""
        if isinstance(new, families.CONTENTS):
            self._saw_content(old if isinstance(old, families.CONTENTS) else None, new)
        elif isinstance(new, families.SNAPSHOTS):
            self._saw_snapshot(old if isinstance(old, families.SNAPSHOTS) else None, new)

    def saw_request(self, intent: intents.Write) -> None:
        """Judge a request as it is sent: nothing is cut from a claim that seems free to go."""
        operation = gates.current()
        if operation is None or not isinstance(intent, intents.CreateContent):
            return
        if families.is_cut_with_group(intent.content):
            return
        for each in operation.owner.cache.of_kind(keys.Kind.CLAIM):
            assert isinstance(each, volumes.PersistentVolumeClaim)
            guarded = names.CLAIM_FINALIZER in each.metadata.finalizers
            used = families.volume_of(self.api, each) in intent.content.cut_from
            assert guarded or not used, f"{each.key} is to be cut from unguarded: {intent}"

    def saw_nothing(self, intent: intents.Write) -> None:
        """Judge a write that changed nothing: whoever knew the object as it is wrote in vain."""
        if not isinstance(intent, intents.CreateContent | intents.CreateMember):
            assert not intent.target.version, f"written for nothing: {intent}"

    # Contents

    def _saw_content(self, old: Content | None, new: Content) -> None:
        ours = gates.current() is not None
        if old is None and ours:
            self._created(new)
        if ours and old is not None and new.ref.uid != old.ref.uid and not self._uid(new.ref.uid):
            assert self.two_controllers, f"bound to nobody: {new}"
            self.orphaned.add(new.ref.uid)
        if ours and old is not None and new.deletion_meant and not old.deletion_meant:
            self._given_up(new)
        if ours and old is not None and new.metadata.deleting and not old.metadata.deleting:
            assert new.spec.deletion_policy == names.DELETE, f"deleted, though to stay: {new}"
            self._given_up(new)
        if new.metadata.deleting and not new.metadata.finalizers:
            self._content_gone(new)

    def _created(self, new: Content) -> None:
        uid = new.ref.uid
        assert new.family.content_finalizer in new.metadata.finalizers, f"not complete: {new}"
        same = [each for each in families.contents(self.api) if each.ref.uid == uid]
        assert len(same) == 1, f"two contents for one snapshot: {same}"
        snapshot = self._uid(uid)
        if self.two_controllers:
            if snapshot is None:
                self._came_late(uid, made=True)
            return
        assert snapshot is not None, f"made for nobody: {new}"
        assert not snapshot.bound_content, f"{snapshot.key} is cut again"
        missing = _guards(new) - set(snapshot.metadata.finalizers)
        assert not missing, f"made for a snapshot without {missing}"

    def _came_late(self, uid: str, *, made: bool) -> None:
        """Note a content without snapshot: the leader knows, if it was the one that let that go.

        `made`: the content was made just now; otherwise its snapshot was let go just now.
        """
        operation = gates.current()
        leads = operation is not None and operation.owner is self.leader
        (self.orphaned if leads is made else self.late).add(uid)

    def _given_up(self, content: Content) -> None:
        uid = content.ref.uid
        snapshot = self._uid(uid)
        if snapshot is None:
            late = uid in self.late | self.orphaned
            # Kept by Retain when its snapshot went, then to go by Delete: as its owner said last.
            changed = content.metadata.uid in self.meddled and content.deletion_meant
            assert late or changed, f"given up, though nobody asked: {content}"
        else:
            assert snapshot.metadata.deleting, f"given up, though {snapshot.key} is to stay"
            self._check_held(snapshot)

    def _content_gone(self, content: Content) -> None:
        given_up = content.deletion_meant or not content.ref.uid
        assert given_up or gates.current() is None, f"let go, though to stay: {content}"
        handles = self.handles_of(content)
        meant = content.deletion_meant and content.spec.deletion_policy == names.DELETE
        if not meant or families.is_cut_with_group(content):
            self.left |= handles
        elif content.ref.uid not in self.forced:
            assert not handles, f"gone, and {handles} still on storage: {content}"

    def handles_of(self, content: Content) -> set[str]:
        """Return what exists on storage for a content: of a member nothing, it is the group's."""
        named = {content.handle, content.given_handle} & self.storage.handles
        return {each for each in named if each} | self.cut_for(content.ref.uid)

    def cut_for(self, uid: str) -> set[str]:
        """Return what exists on storage that was cut for a snapshot, or group."""
        begins = (f"snapshot-{uid}#", f"groupsnapshot-{uid}#")
        return {each for each in self.storage.handles if uid and each.startswith(begins)}

    # Snapshots and groups

    def _saw_snapshot(self, old: Snapshot | None, new: Snapshot) -> None:
        if families.group_uid(new) and not new.given_content:
            self.members.add(new.metadata.uid)
        before = set(old.metadata.finalizers) if old else set()
        gone = new.metadata.deleting and not new.metadata.finalizers
        if gone or OURS & before - set(new.metadata.finalizers):
            self._let_go(new)
        if old is not None and old.metadata.uid == new.metadata.uid and old.bound_content:
            assert new.bound_content == old.bound_content, f"bound anew: {old} {new}"
        content = self.api.objects.get(new.family.content_key(new.bound_content))
        if old is not None and old.ready and not new.ready and gates.current() is not None:
            assert new.error is not None, f"{new.key} was ready: {content}"
        if not isinstance(content, families.CONTENTS) or not new.ready:
            return
        assert content.ref.uid == new.metadata.uid, f"{new.key} follows another's {content}"
        first = self.stands_for.setdefault(new.metadata.uid, content.handle)
        assert content.handle == first, f"{new.key} was cut again"
        if not (old is not None and old.ready):
            self._check_whole(new, content)

    def _check_whole(self, group: Snapshot, content: Content) -> None:
        """A group becomes ready only when each of its members is, or was until somebody tore it."""
        if not isinstance(content, groups.VolumeGroupSnapshotContent) or group.given_content:
            return
        ready = {
            each.metadata.name
            for each in families.members_of(self.api, group.metadata.uid)
            if each.ready or each.metadata.uid in self.forced
        }
        uid = group.metadata.uid
        wanted = {names.member_snapshot(uid, each) for each in content.cut_from}
        assert wanted <= ready, f"{group.key} is ready before its members"

    def _let_go(self, snapshot: Snapshot) -> None:
        assert snapshot.metadata.deleting, f"let go, though nobody deletes it: {snapshot}"
        for content in families.contents(self.api):
            if content.ref.uid != snapshot.metadata.uid:
                continue
            if self.two_controllers:
                self._came_late(content.ref.uid, made=False)
                continue
            if content.metadata.uid in self.meddled:
                continue  # its policy was another one when this was decided
            assert content.spec.deletion_policy == names.RETAIN, f"let go before {content}"
            assert content.deletion_meant, f"let go without telling: {content}"
        self._check_held(snapshot)
        operation = gates.current()
        for member in families.members_of(self.api, snapshot.metadata.uid):
            known = operation is not None and member.metadata.uid in operation.known
            assert member.metadata.deleting or not known, f"{member.key} is left by its group"

    def _check_held(self, snapshot: Snapshot) -> None:
        operation = gates.current()
        uid = snapshot.metadata.uid
        if operation is None or uid in self.forced:
            return
        if not any(each.ref.uid == uid for each in families.contents(self.api)):
            return  # there is nothing left to fill it from
        sources = {uid, *(each.metadata.uid for each in families.members_of(self.api, uid))}
        for claim, source in self.filling.items():
            known = claim in operation.known and source in sources
            assert not known, f"{snapshot.key} is let go while {claim} is being filled"
        group = families.group_of(self.api, snapshot)
        if group is not None:
            known = {uid, group.metadata.uid} <= operation.known
            assert not known, f"{snapshot.key} is let go before its group"

    def _uid(self, uid: str) -> Snapshot | None:
        found = [each for each in families.both(self.api) if each.metadata.uid == uid]
        return found[0] if found else None

    # Storage

    def may_cut(self, name: str) -> bool:
        """A group's member is cut with its group: by itself it would be another point in time."""
        return name.removeprefix("snapshot-") not in self.members

    def may_delete(self, handle: str) -> bool:
        """Rule 5: policy Delete, a being-deleted mark and a deletionTimestamp, as far as seen."""
        operation = gates.current()
        assert operation is not None
        content = operation.owner.cache.get(operation.key)
        if not isinstance(content, families.CONTENTS) or handle in self.storage.members:
            return False
        cut_for = (f"snapshot-{content.ref.uid}#", f"groupsnapshot-{content.ref.uid}#")
        return (
            (handle in {content.handle, content.given_handle} or handle.startswith(cut_for))
            and content.spec.deletion_policy == names.DELETE
            and content.metadata.deleting
            and content.deletion_meant
            and not families.is_cut_with_group(content)
        )


def _guards(content: Content) -> set[str]:
    """Return the finalizers that must be on a snapshot, or group, before its content is made."""
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        return {names.GROUP_BOUND_FINALIZER}
    if content.spec.deletion_policy == names.DELETE:
        return {names.SNAPSHOT_SOURCE_FINALIZER, names.SNAPSHOT_BOUND_FINALIZER}
    return {names.SNAPSHOT_SOURCE_FINALIZER}
