"""Random stories in which anything may fail: every one settles, and nothing is lost or leaked.

Hypothesis writes the story and shrinks the ones that end badly; the blob in its message replays it.
"""

import asyncio
import contextlib
import os

import simulated
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from snapshotd.model import keys, meta, names, snapshots, volumes

CLAIMS = ("alpha", "beta")
CLASSES = {"deleting": names.DELETE, "retaining": names.RETAIN, "standard": names.DELETE}
MOST_ROUNDS = 60


class Stories(RuleBasedStateMachine):
    """Users, an administrator, a controller, a sidecar and a driver, each at its own pace."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.api = simulated.Api()
        self.storage = simulated.Storage(self._may_delete)
        self.made = 0
        self.crashed = False
        self.handles: dict[str, str] = {}  # the snapshot each ready VolumeSnapshot stands for
        self.left: set[str] = set()  # handles whose content went with policy Retain

    @initialize(can_list=strategies.booleans(), polls=strategies.integers(0, 2))
    def begin(self, *, can_list: bool, polls: int) -> None:
        self.can_list = can_list
        self.storage.polls_until_ready = polls
        for name, policy in CLASSES.items():
            self.api.put(simulated.snapshot_class(name, policy, default=name == "standard"))
        for name in CLAIMS:
            for obj in simulated.bound_claim(name):
                self.api.put(obj)
        self.controller = self._start_controller()
        self.sidecar = self._start_sidecar()

    def _start_controller(self) -> simulated.Process:
        return simulated.Process(self.api, storage=None)

    def _start_sidecar(self) -> simulated.Process:
        return simulated.Process(self.api, storage=self.storage, can_list=self.can_list)

    # What people do

    @rule(
        claim=strategies.sampled_from(CLAIMS),
        class_name=strategies.sampled_from([*CLASSES, None]),
    )
    def a_user_takes_a_snapshot(self, claim: str, class_name: str | None) -> None:
        self.made += 1
        source = snapshots.VolumeSnapshotSource(persistent_volume_claim_name=claim)
        self.api.put(self._snapshot(f"snap-{self.made}", source, class_name))

    @rule(policy=strategies.sampled_from([names.DELETE, names.RETAIN]), first=strategies.booleans())
    def an_administrator_brings_a_snapshot(self, policy: str, *, first: bool) -> None:
        self.made += 1
        name = f"snap-{self.made}"
        handle = f"given-{self.made}"
        self.storage.given.add(handle)
        content = snapshots.VolumeSnapshotContent(
            meta.ObjectMeta(name=f"content-{name}"),
            snapshots.VolumeSnapshotContentSpec(
                policy,
                simulated.DRIVER,
                snapshots.VolumeSnapshotContentSource(snapshot_handle=handle),
                meta.ObjectReference(name=name, namespace=simulated.NAMESPACE),
            ),
        )
        source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name=f"content-{name}")
        pair = [content, self._snapshot(name, source, None)]
        for obj in pair if first else reversed(pair):
            self.api.put(obj)

    def _snapshot(
        self, name: str, source: snapshots.VolumeSnapshotSource, class_name: str | None
    ) -> snapshots.VolumeSnapshot:
        metadata = meta.ObjectMeta(
            name=name,
            namespace=simulated.NAMESPACE,
            creation_timestamp="2026-01-01T00:00:00Z",
        )
        return snapshots.VolumeSnapshot(metadata, snapshots.VolumeSnapshotSpec(source, class_name))

    @rule(data=strategies.data())
    def a_user_deletes_a_snapshot(self, data: strategies.DataObject) -> None:
        some = self.api.all_of(snapshots.VolumeSnapshot)
        if some:
            self.api.delete(data.draw(strategies.sampled_from(some)).key)

    @rule(claim=strategies.sampled_from(CLAIMS))
    def a_user_deletes_a_claim(self, claim: str) -> None:
        self.api.delete(volumes.claim_key(simulated.NAMESPACE, claim))

    @rule(data=strategies.data())
    def an_administrator_deletes_a_content(self, data: strategies.DataObject) -> None:
        some = self.api.all_of(snapshots.VolumeSnapshotContent)
        if some:
            content = data.draw(strategies.sampled_from(some))
            if content.spec.source.volume_handle:  # a given one may go before it is ever bound
                self.api.delete(content.key)

    @rule(name=strategies.sampled_from(sorted(CLASSES)))
    def an_administrator_changes_a_class(self, name: str) -> None:
        key = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name)
        if key in self.api.objects:
            self.api.delete(key)
        else:
            self._bring_class(name)

    def _bring_class(self, name: str) -> None:
        self.api.put(simulated.snapshot_class(name, CLASSES[name], default=name == "standard"))

    # What machines do

    @rule(whose=strategies.booleans(), changes=strategies.integers(1, 5))
    def a_watch_delivers(self, changes: int, *, whose: bool) -> None:
        for _ in range(changes):
            (self.controller if whose else self.sidecar).deliver()

    @rule(
        data=strategies.data(),
        fault=strategies.sampled_from(simulated.Fault),
        after=strategies.integers(0, 3),
    )
    def the_controller_works(
        self, data: strategies.DataObject, fault: simulated.Fault, after: int
    ) -> None:
        waiting = list(self.controller.waiting.keys)
        if waiting:
            key = data.draw(strategies.sampled_from(waiting))
            self.controller.writer.fault, self.controller.writer.after = fault, after
            self._work_as_controller(key)

    @rule(
        data=strategies.data(),
        fault=strategies.sampled_from(simulated.Fault),
        driver=strategies.sampled_from(simulated.DriverFault),
    )
    def the_sidecar_works(
        self,
        data: strategies.DataObject,
        fault: simulated.Fault,
        driver: simulated.DriverFault,
    ) -> None:
        waiting = list(self.sidecar.waiting.keys)
        if waiting:
            key = data.draw(strategies.sampled_from(waiting))
            self.sidecar.writer.fault = fault
            self.storage.faults = [driver]
            self._work_as_sidecar(key)

    @rule(  # what happens, to whom and when: every part is drawn by itself
        rounds=strategies.integers(1, 4),
        fault=strategies.sampled_from(simulated.Fault),
        after=strategies.integers(0, 4),
        whose=strategies.booleans(),
        driver=strategies.lists(strategies.sampled_from(simulated.DriverFault), max_size=4),
        data=strategies.data(),
    )
    def time_passes(
        self,
        data: strategies.DataObject,
        *,
        rounds: int,
        fault: simulated.Fault,
        after: int,
        driver: list[simulated.DriverFault],
        whose: bool,
    ) -> None:
        """Everything runs for a while, with faults; then somebody may lose patience."""
        writer = (self.controller if whose else self.sidecar).writer
        writer.fault, writer.after = fault, after
        self.storage.faults = driver
        self.crashed = False
        for _ in range(rounds):
            if not self.crashed:
                self._round()
        if data.draw(strategies.booleans(), label="impatient"):
            self.a_user_deletes_a_snapshot(data)

    @rule(whose=strategies.booleans())
    def a_process_restarts(self, *, whose: bool) -> None:
        if whose:
            self.controller = self._start_controller()
        else:
            self.sidecar = self._start_sidecar()

    def _work_as_controller(self, key: keys.Key) -> None:
        try:
            if self.controller.work(self.loop, key):
                self.controller.waiting.add(key)
        except simulated.Crash:
            self.crashed = True
            self.controller = self._start_controller()
        self._observe()

    def _work_as_sidecar(self, key: keys.Key) -> None:
        try:
            if self.sidecar.work(self.loop, key):
                self.sidecar.waiting.add(key)
        except simulated.Crash:
            self.crashed = True
            self.sidecar = self._start_sidecar()
        self._observe()

    # What must hold at every moment

    def _may_delete(self, handle: str) -> bool:
        """Rule 5: policy Delete, a being-deleted mark and a deletionTimestamp."""
        return any(
            content.spec.deletion_policy == names.DELETE
            and content.metadata.deleting
            and content.metadata.annotations.get(names.BEING_DELETED_ANNOTATION) == names.MARK
            for content in self.api.all_of(snapshots.VolumeSnapshotContent)
            if handle in {content.handle, content.spec.source.snapshot_handle}
            or handle.startswith(f"snapshot-{content.spec.volume_snapshot_ref.uid}#")
        )

    def _observe(self) -> None:
        """A VolumeSnapshot stands for one point in time, once and for all."""
        for snapshot in self.api.all_of(snapshots.VolumeSnapshot):
            content = self.api.find(
                snapshots.VolumeSnapshotContent, snapshots.content_key(snapshot.bound_content)
            )
            if snapshot.ready and content is not None and content.handle:
                first = self.handles.setdefault(snapshot.metadata.uid, content.handle)
                assert content.handle == first, f"{snapshot.key} was cut again"
        for content in self.api.all_of(snapshots.VolumeSnapshotContent):
            if content.metadata.deleting and content.spec.deletion_policy == names.RETAIN:
                self.left.add(content.spec.source.snapshot_handle or content.handle)
                self.left |= self._cut_for(content)

    def _cut_for(self, content: snapshots.VolumeSnapshotContent) -> set[str]:
        uid = content.spec.volume_snapshot_ref.uid
        return {handle for handle in self.storage.handles if f"snapshot-{uid}#" in handle}

    # How every story ends

    def teardown(self) -> None:
        try:
            if self.api.objects:
                self._settle()
                self._check()
                self._everybody_deletes_everything()
                self._settle()
                self._check_that_all_is_gone()
        finally:
            with contextlib.suppress(RuntimeError):
                self.loop.close()

    def _settle(self) -> None:
        """Let everything run without faults until nothing is written any more."""
        for name in CLASSES:
            if keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", name) not in self.api.objects:
                self._bring_class(name)
        self.storage.faults = []
        self.crashed = False
        for process in (self.controller, self.sidecar):
            process.writer.fault = simulated.Fault.NONE
        for _ in range(MOST_ROUNDS):
            before = self.api.version
            busy = self._round()
            if self.api.version == before and not busy:
                return
        raise AssertionError(f"not settled in {MOST_ROUNDS} rounds: {self._state()}")

    def _round(self) -> bool:
        """Deliver all there is and work off all that waits; say whether anything still polls."""
        busy = False
        for process, work in (
            (self.controller, self._work_as_controller),
            (self.sidecar, self._work_as_sidecar),
        ):
            while process.behind:
                process.deliver()
            for key in list(process.waiting.keys):
                if not self.crashed:  # the rest is for the process that follows, next time
                    work(key)
                busy = True
        return busy

    def _state(self) -> list[str]:
        return [
            f"{key} {obj.metadata.finalizers} deleting={obj.metadata.deleting} "
            f"{getattr(obj, 'status', None)}"
            for key, obj in self.api.objects.items()
            if key.kind is not keys.Kind.VOLUME_SNAPSHOT_CLASS
        ]

    def _check(self) -> None:
        contents = self.api.all_of(snapshots.VolumeSnapshotContent)
        known = {each.handle or each.spec.source.snapshot_handle for each in contents}
        # Of a content that is being deleted the cut may be unknown, until its snapshot goes too.
        for content in contents:
            if content.metadata.deleting and not content.handle:
                known |= self._cut_for(content)
        leaked = self.storage.handles - known - self.left
        assert not leaked, f"on storage, and in no object: {leaked}: {self._state()}"
        for content in contents:
            assert not content.ready or content.handle in self.storage.handles, (
                f"{content.key} stands for nothing"
            )
            marked = names.BEING_CREATED_ANNOTATION in content.metadata.annotations
            assert not marked or content.metadata.deleting, f"still in doubt: {content}"
        owners = [
            each.spec.volume_snapshot_ref.uid
            for each in contents
            if each.spec.volume_snapshot_ref.uid
        ]
        assert len(owners) == len(set(owners)), "two contents for one snapshot"
        for snapshot in self.api.all_of(snapshots.VolumeSnapshot):
            self._check_snapshot(snapshot)
        for claim in self.api.all_of(volumes.PersistentVolumeClaim):
            self._check_claim(claim)

    def _everybody_deletes_everything(self) -> None:
        for snapshot in self.api.all_of(snapshots.VolumeSnapshot):
            self.api.delete(snapshot.key)
        for claim in CLAIMS:
            self.api.delete(volumes.claim_key(simulated.NAMESPACE, claim))

    def _check_that_all_is_gone(self) -> None:
        assert not self.api.all_of(snapshots.VolumeSnapshot), self._state()
        assert not self.api.all_of(volumes.PersistentVolumeClaim), self._state()
        contents = self.api.all_of(snapshots.VolumeSnapshotContent)
        for content in contents:
            never_bound = not content.spec.volume_snapshot_ref.uid
            assert never_bound or content.spec.deletion_policy == names.RETAIN, self._state()
        retained = {each.handle or each.spec.source.snapshot_handle for each in contents}
        leaked = self.storage.handles - retained - self.left
        assert not leaked, f"on storage, and in no object: {leaked}: {self._state()}"
        lost = {each.handle for each in contents if each.ready} - self.storage.handles
        assert not lost, f"deleted on storage although retained: {lost}"

    def _check_snapshot(self, snapshot: snapshots.VolumeSnapshot) -> None:
        assert not snapshot.metadata.deleting, f"never let go: {self._state()}"
        if snapshot.ready:
            assert snapshot.status is not None
            assert snapshot.status.error is None
            return
        error = snapshot.status.error if snapshot.status else None
        assert error is not None, f"neither ready nor told why not: {self._state()}"
        claim = snapshot.spec.source.persistent_volume_claim_name
        message = error.message or ""
        lost = "Content is missing" in message or "is being deleted" in message
        claim_key = volumes.claim_key(simulated.NAMESPACE, claim or "")
        assert lost or (claim and claim_key not in self.api.objects), error

    def _check_claim(self, claim: volumes.PersistentVolumeClaim) -> None:
        assert not claim.metadata.deleting, f"never let go: {self._state()}"
        users = [
            each
            for each in self.api.all_of(snapshots.VolumeSnapshot)
            if each.spec.source.persistent_volume_claim_name == claim.metadata.name
        ]
        protected = names.CLAIM_FINALIZER in claim.metadata.finalizers
        assert protected == any(not each.ready for each in users)


TestStories = Stories.TestCase
TestStories.settings = settings(
    max_examples=int(os.environ.get("STORIES", "400")),
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
)
