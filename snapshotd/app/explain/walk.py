"""The walk: an object and what it rests on, in the order in which things happen.

No rule is written twice: each step asks a decider of `decide`, with the views the actors build, and
says what that answers. Nothing here reads the cluster.
"""

from collections.abc import Iterator

from snapshotd import errors
from snapshotd.actors import looking
from snapshotd.app.explain import advice, beside, facts, leaving
from snapshotd.decide import binding, contents, intents, publishing, routing, validation, views
from snapshotd.model import keys, names, snapshots, volumes

_POLICY = views.ClusterPolicy()


class NotThere(errors.Gone):
    """There is no such object; the message says what there is."""


def snapshot(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain a VolumeSnapshot; raises `NotThere`."""
    found = known.cache.find(snapshots.VolumeSnapshot, key)
    if found is None:
        raise NotThere(_not_there(known, key))
    if found.metadata.deleting:
        return facts.Report(str(key), tuple(leaving.of_snapshot(known, found)))
    return facts.Report(str(key), tuple(_of_snapshot(known, found)))


def content(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain a VolumeSnapshotContent; raises `NotThere`."""
    found = known.cache.find(snapshots.VolumeSnapshotContent, key)
    if found is None:
        raise NotThere(_not_there(known, key))
    return facts.Report(str(key), tuple(_of_content(known, found)))


def claim(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain what snapshots have to do with a claim; raises `NotThere`."""
    found = known.cache.find(volumes.PersistentVolumeClaim, key)
    if found is None:
        raise NotThere(_not_there(known, key))
    return facts.Report(str(key), tuple(leaving.of_claim(known, found)))


def group(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain the members of a group snapshot; raises `NotThere`."""
    if known.cache.get(key) is None:
        raise NotThere(_not_there(known, key))
    members = known.cache.by_index(routing.MEMBERS_BY_GROUP, key)
    findings = [
        _in_short(known, each) for each in members if isinstance(each, snapshots.VolumeSnapshot)
    ]
    none = advice.unknown(key, "no VolumeSnapshot says that it is a member of it")
    return facts.Report(str(key), tuple(findings) or (none,))


def unsettled(known: facts.Facts) -> Iterator[facts.Report]:
    """Explain everything that is neither ready nor quietly kept."""
    for each in known.cache.of_kind(keys.Kind.VOLUME_SNAPSHOT):
        report = snapshot(known, each.key)
        if report.verdict.state is not facts.State.OK:
            yield report
    for found in known.cache.of_kind(keys.Kind.VOLUME_SNAPSHOT_CONTENT):
        if isinstance(found, snapshots.VolumeSnapshotContent) and _is_alone(known, found):
            yield content(known, found.key)


def _in_short(known: facts.Facts, member: snapshots.VolumeSnapshot) -> facts.Finding:
    verdict = snapshot(known, member.key).verdict
    return facts.Finding(verdict.state, str(member.key), verdict.told, since=verdict.since)


def _of_snapshot(known: facts.Facts, found: snapshots.VolumeSnapshot) -> Iterator[facts.Finding]:
    key = found.key
    eyes = looking.Eyes(known.cache, _POLICY)
    if told := validation.snapshot_problem(found):
        command = advice.kubectl("delete", key)
        yield advice.problem(key, told, who=advice.USER, command=command)
        return
    bound = eyes.bound_content(found)
    if bound is None and not found.bound_content and routing.claim_of(found) is not None:
        yield from _source(known, eyes.source(found, content_absent=True))
    elif bound is not None:
        yield from _belongs(found, bound)
        yield from beside.the_driver(known, bound)
    view = eyes.binding(found, content_absent=True)
    yield _next_step(known, found, binding.decide(view, _POLICY, known.now))
    if not found.ready:
        yield from beside.complaints(known, key)


def _source(known: facts.Facts, view: views.BindingView) -> Iterator[facts.Finding]:
    """Look at what a dynamic snapshot's content is made of: claim, volume, class."""
    key = routing.claim_of(view.snapshot)
    try:
        claim_, volume = binding.source_of(view)
        yield advice.fine(key, f"is bound to {volume.key}")
    except errors.Invalid as error:
        command = advice.kubectl("describe", key) if key is not None else ""
        yield advice.problem(key, str(error), who=advice.USER, command=command)
        return  # without it nothing can be said of the class, but for what the rule says below
    if volume.spec.csi is None:
        told = "is not a CSI driver's: only volumes of CSI drivers can be snapshotted"
        command = advice.kubectl("describe", volume.key)
        yield advice.problem(volume.key, told, who=advice.ADMINISTRATOR, command=command)
        return
    try:
        chosen = binding.class_of(view)
        draft = contents.draft(view, chosen, volume, _POLICY)
        binding.check_driver(chosen, draft.spec.driver, volume)
    except errors.Invalid as error:
        command = "kubectl get volumesnapshotclasses"
        yield advice.problem("class", str(error), who=advice.ADMINISTRATOR, command=command)
        return
    how = "named" if view.snapshot.spec.volume_snapshot_class_name else "the default"
    yield advice.fine(chosen.key, f"is {how}: driver {chosen.driver}, {chosen.deletion_policy}")
    yield from beside.registered(known, chosen.driver)
    protected = names.CLAIM_FINALIZER in claim_.metadata.finalizers
    told = "is protected while it is cut from" if protected else "is not protected yet"
    yield (advice.fine if protected else advice.waits)(claim_.key, told)


def _belongs(
    found: snapshots.VolumeSnapshot, bound: snapshots.VolumeSnapshotContent
) -> Iterator[facts.Finding]:
    ref = bound.spec.volume_snapshot_ref
    if validation.may_point_back(bound, found):
        yield advice.fine(bound.key, "belongs to it")
        return
    told = f"belongs to {ref.namespace}/{ref.name} {ref.uid}".rstrip()
    command = advice.kubectl("get", bound.key, " -o yaml")
    yield advice.problem(bound.key, told, who=advice.ADMINISTRATOR, command=command)


def _next_step(
    known: facts.Facts, found: snapshots.VolumeSnapshot, decision: intents.Decision
) -> facts.Finding:
    """Say what binding would do now, and why: the rule's own answer."""
    status = found.status or snapshots.VolumeSnapshotStatus()
    since = (status.error.time if status.error else None) or found.metadata.creation_timestamp or ""
    deeds = [each for each in decision.intents if isinstance(each, intents.Write)]
    tells = any(isinstance(each, intents.PublishStatus) for each in deeds)
    if decision.why and (tells or not deeds) and not _is_wait(decision.why):
        command = advice.kubectl("describe", found.key)
        return advice.problem(
            found.key, decision.why, who=_who(found), command=command, since=since
        )
    if deeds and not decision.why:
        told = f"the controller has something to do: {_named(deeds)}"
        return beside.needs_the_controller(known, found.key, told, since)
    if found.ready:
        return advice.fine(found.key, "is ready to use", since=status.creation_time or "")
    if deeds:
        told = f"the controller has something to do: {_named(deeds)}"
        return beside.needs_the_controller(known, found.key, told, since)
    return advice.waits(found.key, decision.why or "waits for the controller", since=since)


def _of_content(
    known: facts.Facts, found: snapshots.VolumeSnapshotContent
) -> Iterator[facts.Finding]:
    if told := validation.content_problem(found):
        command = advice.kubectl("get", found.key, " -o yaml")
        yield advice.problem(found.key, told, who=advice.ADMINISTRATOR, command=command)
        return
    ref = found.spec.volume_snapshot_ref
    owner = keys.Key(keys.Kind.VOLUME_SNAPSHOT, ref.namespace, ref.name)
    holder = known.cache.find(snapshots.VolumeSnapshot, owner)
    if holder is not None and validation.points_back(found, holder):
        yield advice.fine(owner, "has it")
    elif not ref.uid:
        yield advice.waits(owner, "is not bound to it yet", command=advice.kubectl("get", owner))
    else:
        yield leaving.without_owner(found, owner)
    yield from beside.the_driver(known, found)
    yield from beside.complaints(known, found.key)


def _is_alone(known: facts.Facts, found: snapshots.VolumeSnapshotContent) -> bool:
    """Say whether no VolumeSnapshot's report tells of this content."""
    ref = found.spec.volume_snapshot_ref
    owner = known.cache.get(keys.Key(keys.Kind.VOLUME_SNAPSHOT, ref.namespace, ref.name))
    if not isinstance(owner, snapshots.VolumeSnapshot):
        return True
    return publishing.bound_name(owner) != found.metadata.name


def _is_wait(why: str) -> bool:
    return why.startswith(("waits for", "is cut", "asks"))


def _who(found: snapshots.VolumeSnapshot) -> str:
    """Say who mends what a snapshot waits for: contents made by hand are an administrator's."""
    given = found.spec.source.volume_snapshot_content_name
    return advice.ADMINISTRATOR if given else advice.USER


def _named(deeds: list[intents.Write]) -> str:
    return ", ".join(type(each).__name__ for each in deeds)


def _not_there(known: facts.Facts, key: keys.Key) -> str:
    others = [each.key for each in known.cache.of_kind(key.kind) if each.key.name == key.name]
    if others:
        return f"there is no {key}; there is {others[0]}: name its namespace with -n"
    return f"there is no {key}"
