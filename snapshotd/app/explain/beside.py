"""Who else a snapshot needs: the controller, the driver and its sidecar, and what they told."""

from collections.abc import Iterator

from snapshotd.app.explain import advice, facts
from snapshotd.decide import creation, deletion, intents, validation, views
from snapshotd.model import groups, keys, names, snapshots

_MOST_COMPLAINTS = 3
_LONG = 300.0  # seconds after which nobody is expected to begin any more
_GATE = "--feature-gates=CSIVolumeGroupSnapshot=false"


def needs_the_controller(
    known: facts.Facts, about: object, told: str, since: str = ""
) -> facts.Finding:
    """Return that the controller has work to do: it waits, or nobody does it."""
    alive, who = _holder(known, names.CONTROLLER_LEASE)
    if alive is False:
        return advice.problem(
            about,
            f"{told}, and no snapshot controller is at work: {who}",
            who=advice.OPERATOR,
            command=f"kubectl get leases -A | grep {names.CONTROLLER_LEASE}",
            since=since,
        )
    return advice.waits(about, f"{told}{f' ({who} is at work)' if alive else ''}", since=since)


def unserved(known: facts.Facts, found: groups.AnySnapshot, since: str) -> Iterator[facts.Finding]:
    """Say of a group that waits for long for a controller at work: that one may serve no groups.

    The flags of a process cannot be read; that it left the group alone can be seen.
    """
    alive, who = _holder(known, names.CONTROLLER_LEASE)
    long = known.age(since) > _LONG
    if not isinstance(found, groups.VolumeGroupSnapshot) or alive is False or not long:
        return
    told = f"nobody began with it for long: a controller may serve no groups ({_GATE})"
    if alive is None:
        yield advice.unknown(found.key, told)
        return
    told = (
        f"nobody began with it for long, though {who} is at work: it may serve no groups ({_GATE})"
    )
    command = "kubectl get pods -A -o yaml | grep feature-gates"
    yield advice.problem(found.key, told, who=advice.OPERATOR, command=command, since=since)


def registered(known: facts.Facts, driver: str) -> Iterator[facts.Finding]:
    """Look whether a driver has ever introduced itself to the cluster, and its sidecar is alive."""
    about = f"CSI driver {driver}"
    alive, who = _holder(known, names.sidecar_lease(driver))
    if known.drivers is not None and driver not in known.drivers and not alive:
        told = "is not registered in this cluster: there is no CSIDriver object of this name"
        command = "kubectl get csidrivers"
        yield advice.problem(about, told, who=advice.DRIVER, command=command)
    elif alive is False:
        told = f"has no snapshotting sidecar at work: {who}"
        command = f"kubectl get leases -A | grep {names.sidecar_lease(driver)}"
        yield advice.problem(about, told, who=advice.DRIVER, command=command)
    elif alive:
        yield advice.fine(about, f"has a sidecar at work: {who}")
    else:
        yield advice.unknown(about, "has no lease that tells whether its sidecar is at work")


def the_driver(known: facts.Facts, content: groups.AnyContent) -> Iterator[facts.Finding]:
    """Look at the driver's side of a content: what it said, and what its sidecar does next."""
    if content.metadata.deleting:
        yield from registered(known, content.spec.driver)
        yield _deletion(known, content)
        return
    if content.ready:
        yield advice.fine(content.key, f"is ready on storage: {content.handle}")
        return
    yield from registered(known, content.spec.driver)
    if content.error is not None:
        yield _failed(known, content, content.error)
    elif content.handle:
        told = f"was cut ({content.handle}); the driver has not made it ready yet"
        yield advice.waits(content.key, told, since=content.metadata.creation_timestamp or "")
    else:
        yield _uncut(known, content)


def complaints(known: facts.Facts, key: keys.Key) -> Iterator[facts.Finding]:
    """Return the last warnings about an object, as what else is known of it."""
    for told in known.warnings(key)[-_MOST_COMPLAINTS:]:
        yield advice.note(f"Event {told.reason}", told.message, since=told.last)


def _view(known: facts.Facts, content: groups.AnyContent) -> views.ContentView:
    chosen = known.cache.get(content.family.class_key(content.class_name or ""))
    return views.ContentView(
        content, snapshot_class=chosen if isinstance(chosen, groups.AnyClass) else None
    )


def _policy(content: groups.AnyContent) -> views.DriverPolicy:
    return views.DriverPolicy(content.spec.driver, can_check=True, can_list=True, can_group=True)


def _failed(
    known: facts.Facts,
    content: groups.AnyContent,
    error: snapshots.SnapshotError,
) -> facts.Finding:
    told = (error.message or "failed without a word") + (
        " (whether a snapshot was made is not known; it is found out before anything is deleted)"
        if content.being_created
        else ""
    )
    decision = creation.decide(_view(known, content), _policy(content), known.now)
    who = advice.DRIVER
    called = any(isinstance(each, intents.DriverCall) for each in decision.intents)
    if not called and not validation.follows_group(content):
        who = advice.ADMINISTRATOR  # no call would be made: it is ours to refuse
    command = advice.kubectl("describe", content.key)
    return advice.problem(content.key, told, who=who, command=command, since=error.time or "")


def _uncut(known: facts.Facts, content: groups.AnyContent) -> facts.Finding:
    decision = creation.decide(_view(known, content), _policy(content), known.now)
    since = content.metadata.creation_timestamp or ""
    if any(isinstance(each, intents.DriverCall) for each in decision.intents):
        return _unanswered(known, content, since)
    if any(isinstance(each, intents.Announce) for each in decision.intents):
        command = advice.kubectl("describe", content.key)
        return advice.problem(
            content.key, decision.why, who=advice.ADMINISTRATOR, command=command, since=since
        )
    return advice.waits(content.key, decision.why or "waits for its sidecar", since=since)


def _unanswered(known: facts.Facts, content: groups.AnyContent, since: str) -> facts.Finding:
    """Say that a driver was, or is to be, called; a sidecar that may not serve groups is told."""
    alive, who = _holder(known, names.sidecar_lease(content.spec.driver))
    group = isinstance(content, groups.VolumeGroupSnapshotContent)
    untouched = content.status is None and not content.being_created
    if group and untouched and alive and known.age(since) > _LONG:
        told = (
            f"nobody began with it for long, though the sidecar {who} is at work: it may serve no "
            f"groups ({_GATE})"
        )
        command = "kubectl get pods -A -o yaml | grep feature-gates"
        return advice.problem(content.key, told, who=advice.DRIVER, command=command, since=since)
    return advice.waits(content.key, "waits for the driver's first answer", since=since)


def _deletion(known: facts.Facts, content: groups.AnyContent) -> facts.Finding:
    """Say what the sidecar does for a content that is being deleted, and what it complained of."""
    since = content.metadata.deletion_timestamp or ""
    command = advice.kubectl("describe", content.key)
    complained = [each for each in known.warnings(content.key) if each.reason in _FAILED]
    decision = deletion.decide(_view(known, content), _policy(content))
    if complained:
        told = f"cannot be deleted on storage: {complained[-1].message}"
        return advice.problem(
            content.key, told, who=advice.DRIVER, command=command, since=complained[-1].last
        )
    if decision.why.startswith("another controller"):
        held = ", ".join(content.metadata.finalizers)
        told = f"is held by finalizers of others: {held}"
        who = "whoever put them there"
        return advice.problem(content.key, told, who=who, command=command, since=since)
    told = decision.why or "waits for its sidecar to delete it on storage, and to let it go"
    return advice.waits(content.key, told, since=since)


_FAILED = {"SnapshotDeleteError", "GroupSnapshotDeleteError"}


def _holder(known: facts.Facts, name: str) -> tuple[bool | None, str]:
    """Say whether a lease is held, None if that cannot be told; and by whom, or since when not."""
    if known.held is None:
        return None, ""
    lease = known.held.get(name)
    if lease is None:
        return None, ""
    holder, renewed = lease.spec.holder_identity or "nobody", lease.spec.renew_time or "never"
    if facts.is_held(lease, known.now):
        return True, holder
    return False, f"lease {name} was last renewed {renewed} by {holder}"
