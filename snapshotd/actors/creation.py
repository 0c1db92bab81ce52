"""The contents' actor beside the driver: `decide.creation` while it lives, `decide.deletion` then.

A decision that ends in a call is followed by a second look with the driver's answer in the view.
"""

import anyio
import structlog

from snapshotd import errors
from snapshotd.actors import lanes, memory, perform, ports
from snapshotd.decide import creation, deletion, intents, outcomes, validation, views
from snapshotd.model import groups, keys, secrets, snapshots, wire
from snapshotd.runtime import actor, chronicle, clock
from snapshotd.runtime import store as caches

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


_Question = tuple[str, bool]


def _question(content: groups.AnyContent) -> _Question:
    """Return what an answer must be about to count: this incarnation, and its making or its end."""
    return content.metadata.uid, content.metadata.deleting


class ContentActor:
    """Cuts, polls and deletes the snapshots of one driver, one content at a time."""

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        performer: perform.Performer,
        *,
        driver: ports.Driver,
        policy: views.DriverPolicy,
        limits: lanes.Limits,
        time: clock.Clock,
    ) -> None:
        """Join the cache, the hands, the driver and the rules; `limits` its calls at once."""
        self._cache = cache
        self._performer = performer
        self._driver = driver
        self._policy = policy
        self._time = time
        self._limits = limits
        self._lanes = lanes.Lanes(performer.wake)
        self._attempts = memory.Attempts()
        cache.subscribe(self._attempts.observe)

    def start(self) -> None:
        """Take what appears from now on as new: the cache is complete, and nobody has called."""
        self._attempts.start()

    def aside(self) -> int:
        """Return how many contents wait for room for a call."""
        return len(self._lanes)

    def follow(self, policy: views.DriverPolicy) -> None:
        """Go by another policy: the driver came back, and may be able to do other things."""
        self._policy = policy

    async def reconcile(self, key: keys.Key) -> actor.Verdict:
        """Look, decide, call and perform until there is nothing to do now."""
        try:
            return await self._settled(key)
        finally:
            self._lanes.seen(key)

    async def _settled(self, key: keys.Key) -> actor.Verdict:
        call: intents.Call | None = None
        answer: outcomes.Answer | None = None
        about: _Question | None = None
        for _ in range(perform.MOST_ROUNDS):
            view = self._view(key, call, answer)
            if view is not None and _question(view.content) != about:
                view = self._view(key)  # the answer was to another question
            if view is None:
                return actor.Verdict()
            about = _question(view.content)
            decision = self._decide(view)
            chronicle.because(decision.why)
            call = None
            if view.content.metadata.deleting and deletion.ends_doubt(view, decision):
                # Noted before the write, which may come through though its answer is lost.
                self._attempts.note(view.content, outcomes.Attempt.NOTHING)
            for intent in decision.intents:
                match intent:
                    case intents.DriverCall():
                        said = await self._call_in_turn(view.content, intent)
                        if said is None:
                            chronicle.because("its turn at the driver")
                            return actor.Verdict()  # it is woken when it is its turn
                        call, answer = intent, _joined(answer if call is not None else None, said)
                    case intents.Refresh():
                        raise TypeError(f"the driver's side reads no object again: {intent}")
                    case _:
                        await self._performer.perform(intent)
            if call is None and decision.again != 0.0:
                return self._settle(view.content, decision)
        raise errors.Unavailable(f"{key} did not settle in {perform.MOST_ROUNDS} rounds")

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide and do nothing: return what a reconcile of this content begins with."""
        view = self._view(key)
        if view is None or key in self._lanes:
            return intents.SETTLED
        return self._decide(view)

    def _view(
        self,
        key: keys.Key,
        call: intents.Call | None = None,
        answer: outcomes.Answer | None = None,
    ) -> views.ContentView | None:
        content = self._cache.get(key)
        if not isinstance(content, groups.AnyContent):
            return None
        found = self._cache.get(content.family.class_key(content.class_name or ""))
        snapshot_class = found if isinstance(found, groups.AnyClass) else None
        if not validation.is_for_driver(content, snapshot_class, self._policy.driver):
            return None
        return views.ContentView(
            content,
            snapshot_class=snapshot_class,
            attempt=self._attempts.of(content),
            call=call,
            answer=answer if call is not None else None,
            polls=self._attempts.polls(content),
            handles=self._handles() if isinstance(answer, outcomes.Found) else frozenset(),
        )

    def _handles(self) -> frozenset[str]:
        """Return every snapshot of the driver that a content, or a group's, stands for."""
        found: set[str] = set()
        for kind in (keys.Kind.VOLUME_SNAPSHOT_CONTENT, keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT):
            for each in self._cache.of_kind(kind):
                if isinstance(each, snapshots.VolumeSnapshotContent):
                    found.add(each.handle or each.given_handle)
                elif isinstance(each, groups.VolumeGroupSnapshotContent):
                    found.update(each.member_handles)
        return frozenset(found)

    def _decide(self, view: views.ContentView) -> intents.Decision:
        if view.content.metadata.deleting:
            return deletion.decide(view, self._policy)
        return creation.decide(view, self._policy, self._time.now())

    def _settle(self, content: groups.AnyContent, decision: intents.Decision) -> actor.Verdict:
        if decision.failed:
            raise errors.Unsuccessful(decision.why)
        if decision.again is not None:
            self._attempts.polled(content)
        return actor.Verdict(after=decision.again)

    async def _call_in_turn(
        self, content: groups.AnyContent, call: intents.Call
    ) -> outcomes.Answer | None:
        """Call the driver, None if there is no room for the call now."""
        room = self._limits.room_for(content)
        if not self._lanes.enter(content.key, room):
            return None
        try:
            return await self._call(content, call)
        finally:
            self._lanes.leave(room)

    async def _call(self, content: groups.AnyContent, call: intents.Call) -> outcomes.Answer:
        credentials = await self._credentials(call.credentials)
        if isinstance(credentials, outcomes.NotSent):
            return credentials
        answer: outcomes.Answer
        match call:
            case intents.CreateSnapshot() | intents.CreateGroupSnapshot():
                answer = await self._create(content, call, credentials)
            case intents.DeleteSnapshot():
                answer = await self._driver.delete_snapshot(call, credentials)
            case intents.DeleteGroupSnapshot():
                answer = await self._driver.delete_group(call, credentials)
            case intents.CheckGroupSnapshot():
                answer = await self._driver.check_group(call, credentials)
            case intents.CheckSnapshot():
                answer = await self._driver.check_snapshot(call, credentials)
            case intents.FindSnapshots():
                answer = await self._driver.find_snapshots(call, credentials)
        deed, told = type(call).__name__, _told(answer)
        chronicle.note(f"{deed}: {told}", changed=False)  # what it changed is written, or failed
        log.debug("called_driver", call=deed, answer=told)
        return answer

    async def _create(
        self,
        content: groups.AnyContent,
        call: intents.CreateSnapshot | intents.CreateGroupSnapshot,
        credentials: secrets.Credentials,
    ) -> outcomes.Answer:
        answer: outcomes.Answer
        before = self._attempts.of(content)
        self._attempts.note(content, outcomes.Attempt.UNKNOWN)
        async with anyio.create_task_group() as group:
            if call.mark is not None:
                group.start_soon(self._mark, call.mark, call.mark_after, name="mark-slow-call")
            if isinstance(call, intents.CreateSnapshot):
                answer = await self._driver.create_snapshot(call, credentials)
            else:
                answer = await self._driver.create_group(call, credentials)
            group.cancel_scope.cancel()
        if isinstance(answer, outcomes.Refusal):
            self._attempts.note(content, outcomes.known_after(before, answer.code))
        return answer

    async def _mark(self, mark: intents.UpdateMetadata, after: float) -> None:
        """Leave a sign that a cut is under way, if it is still under way after a moment."""
        await self._time.sleep(after)
        try:
            await self._performer.write(mark)
        except errors.SnapshotdError as error:
            # The call goes on: without the sign, a successor takes every content as unknown.
            log.warning("mark_not_written", object=str(mark.target.key), error=str(error))

    async def _credentials(
        self, where: secrets.SecretReference | None
    ) -> secrets.Credentials | outcomes.NotSent:
        if where is None:
            return secrets.NO_CREDENTIALS
        name = f"{where.namespace}/{where.name}"
        try:
            key = keys.Key(keys.Kind.SECRET, where.namespace, where.name)
            secret = await self._performer.read_secret(key)
        except errors.Terminal as error:
            return outcomes.NotSent(f"cannot read secret {name}: {error}")
        if secret is None:
            return outcomes.NotSent(f"secret {name} does not exist")
        return secret.credentials()


def _joined(before: outcomes.Answer | None, answer: outcomes.Answer) -> outcomes.Answer:
    """Return the one answer to all calls of a decision, which are lists: what they hold together.

    A list that could not be had leaves all in doubt, whatever the others hold.
    """
    if not isinstance(before, outcomes.Found):
        return before or answer
    if not isinstance(answer, outcomes.Found):
        return answer
    return outcomes.Found(before.snapshots + answer.snapshots)


def _told(answer: outcomes.Answer) -> str:
    match answer:
        case outcomes.SnapshotInfo() | outcomes.GroupInfo():
            return "ready" if answer.ready else "not ready"
        case outcomes.Refusal():
            return answer.code
        case _:
            return type(answer).__name__
