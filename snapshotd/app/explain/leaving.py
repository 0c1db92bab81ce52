"""What holds a thing that is to go: finalizers, restores, groups, and the driver."""

from collections.abc import Iterator

from snapshotd.actors import looking
from snapshotd.app.explain import advice, beside, facts
from snapshotd.decide import intents, protection, release, views
from snapshotd.model import groups, keys, names, volumes

_POLICY = views.ClusterPolicy()
_OURS = tuple(
    each.partition("/")[0] + "/"
    for each in (names.CONTENT_FINALIZER, names.GROUP_CONTENT_FINALIZER)
)


def of_snapshot(known: facts.Facts, found: groups.AnySnapshot) -> Iterator[facts.Finding]:
    """Explain a VolumeSnapshot that is being deleted: who holds it, and until when."""
    key, since = found.key, found.metadata.deletion_timestamp or ""
    yield advice.fine(key, "is to be deleted", since=since)
    eyes = looking.Eyes(known.cache, _POLICY)
    view = eyes.release(found, asked=True, gone=False)
    decision = release.decide(view)
    yield from _others(key, found.metadata.finalizers)
    pending = [each for each in decision.intents if isinstance(each, intents.Announce)]
    content = eyes.bound_content(found)
    if pending:
        yield _held(known, found, pending[0].message)
    elif any(isinstance(each, intents.Write) for each in decision.intents):
        told = "is to be let go by the controller"
        yield beside.needs_the_controller(known, key, told, since)
        if content is None or not content.deletion_meant:
            yield from beside.unserved(known, found, since)
    elif view.group is not None:
        going = advice.kubectl("get", view.group.key)
        yield advice.waits(key, decision.why, since=since, command=going)
    elif content is not None and content.metadata.deleting:
        yield advice.waits(key, decision.why, since=since)
        yield from beside.the_driver(known, content)
    yield from beside.complaints(known, key)


def of_claim(known: facts.Facts, found: volumes.PersistentVolumeClaim) -> Iterator[facts.Finding]:
    """Explain what snapshots have to do with a claim: who is cut from it, what fills it."""
    key = found.key
    view = looking.Eyes(known.cache, _POLICY).claim(found)
    protected = names.CLAIM_FINALIZER in found.metadata.finalizers
    decision = protection.decide(view)
    if any(isinstance(each, intents.Write) for each in decision.intents):
        told = "is to be let go" if protected else "is to be protected"
        yield beside.needs_the_controller(known, key, f"{told} by the controller")
    elif protected:
        waiting = ", ".join(_named(use.snapshot) for use in view.uses)
        told = f"is protected as long as a snapshot is being cut from it: {waiting}"
        since = found.metadata.deletion_timestamp or ""
        going = advice.kubectl("get", view.uses[0].snapshot.key) if view.uses else ""
        yield (
            advice.waits(key, told, since=since, command=going)
            if found.metadata.deleting
            else advice.fine(key, told)
        )
    else:
        yield advice.fine(key, "no snapshot holds it")
    if found.metadata.deleting:
        yield from _others(key, found.metadata.finalizers)


def without_owner(content: groups.AnyContent, owner: keys.Key) -> facts.Finding:
    """Explain a content whose VolumeSnapshot is gone."""
    if content.deletion_meant and content.spec.deletion_policy == names.RETAIN:
        told = (
            f"is kept by policy Retain, though {owner} is gone: the snapshot "
            f"{content.handle or content.given_handle} stays on storage"
        )
        return advice.fine(content.key, told)
    if content.deletion_meant:
        return advice.waits(content.key, f"goes, as {owner} has gone")
    return _kept(content, f"refers to {owner}, which does not exist")


def beside_another(content: groups.AnyContent, other: str) -> facts.Finding:
    """Explain a content whose VolumeSnapshot is there, and has another one."""
    owner = content.family.snapshot_kind
    return _kept(content, f"refers to a {owner} that has another content, {other}")


def _kept(content: groups.AnyContent, why: str) -> facts.Finding:
    told = f"{why}; it is kept, since nobody said that its data may go"
    marked = advice.kubectl(
        "annotate", content.key, f" {content.family.being_deleted}={names.MARK}"
    )
    command = f"if its data may go: {marked} && {advice.kubectl('delete', content.key)}"
    return advice.problem(content.key, told, who=advice.ADMINISTRATOR, command=command)


def _held(known: facts.Facts, found: groups.AnySnapshot, message: str) -> facts.Finding:
    view = looking.Eyes(known.cache, _POLICY).release(found, asked=True, gone=False)
    since = found.metadata.deletion_timestamp or ""
    if view.group is not None:
        command = advice.kubectl("delete", view.group.key)
        return advice.problem(found.key, message, who=advice.USER, command=command, since=since)
    command = f"kubectl get pvc -n {found.metadata.namespace}"
    return advice.waits(found.key, message, since=since, command=command)


def _named(user: groups.AnySnapshot) -> str:
    name = user.metadata.name
    return f"group {name}" if isinstance(user, groups.VolumeGroupSnapshot) else name


def _others(key: keys.Key, finalizers: tuple[str, ...]) -> Iterator[facts.Finding]:
    """Name the finalizers that are not the snapshot system's."""
    for each in finalizers:
        if not each.startswith(_OURS):
            command = advice.kubectl("get", key, " -o jsonpath='{.metadata.finalizers}'")
            told = f"is held by the finalizer {each}, which is not ours"
            who = "whoever put it there"
            yield advice.problem(key, told, who=who, command=command)
