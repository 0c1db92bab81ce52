"""The walk: an object and what it rests on, in the order in which things happen.

No rule is written twice: each step asks a decider of `decide`, with the views the actors build, and
says what that answers. Nothing here reads the cluster.
"""

from collections.abc import Iterator

from snapshotd import errors
from snapshotd.actors import looking
from snapshotd.app.explain import advice, beside, facts, leaving
from snapshotd.decide import binding, drafts, intents, publishing, routing, validation, views
from snapshotd.model import groups, keys, names, snapshots, volumes

_POLICY = views.ClusterPolicy()
_SNAPSHOTS = (snapshots.VolumeSnapshot, groups.VolumeGroupSnapshot)


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
    """Explain a group snapshot, and in short each of its members; raises `NotThere`."""
    found = known.cache.find(groups.VolumeGroupSnapshot, key)
    if found is None:
        raise NotThere(_not_there(known, key))
    members = known.cache.by_index(routing.MEMBERS_BY_GROUP, key)
    findings = [
        _in_short(known, each) for each in members if isinstance(each, snapshots.VolumeSnapshot)
    ]
    own = leaving.of_snapshot if found.metadata.deleting else _of_snapshot
    return facts.Report(str(key), (*findings, *own(known, found)))


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


def _of_snapshot(known: facts.Facts, found: groups.AnySnapshot) -> Iterator[facts.Finding]:
    key = found.key
    eyes = looking.Eyes(known.cache, _POLICY)
    if told := validation.snapshot_problem(found):
        command = advice.kubectl("delete", key)
        yield advice.problem(key, told, who=advice.USER, command=command)
        return
    bound = eyes.bound_content(found)
    if bound is None and not found.bound_content and not _is_given(found):
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
    namespace = view.snapshot.metadata.namespace
    key = ", ".join(str(volumes.claim_key(namespace, each.name)) for each in view.sources)
    try:
        found = binding.sources_of(view)
    except errors.Invalid as error:
        wanted = view.sources[0].name if len(view.sources) == 1 else ""
        command = advice.kubectl("describe", volumes.claim_key(namespace, wanted)) if wanted else ""
        about = key or view.snapshot.key
        yield advice.problem(about, str(error), who=advice.USER, command=command)
        return  # without it nothing can be said of the class, but for what the rule says below
    for claim_, volume in found:
        yield advice.fine(claim_.key, f"is bound to {volume.key}")
        if volume.spec.csi is None:
            told = "is not a CSI driver's: only volumes of CSI drivers can be snapshotted"
            command = advice.kubectl("describe", volume.key)
            yield advice.problem(volume.key, told, who=advice.ADMINISTRATOR, command=command)
            return
    try:
        chosen = binding.class_of(view)
        cut_from = tuple(volume for _, volume in found)
        drafts.draft(view, chosen, cut_from, _POLICY)
        for volume in cut_from:
            binding.check_driver(chosen, volume)
    except errors.Invalid as error:
        command = f"kubectl get {view.snapshot.family.class_kind.lower()}es"
        yield advice.problem("class", str(error), who=advice.ADMINISTRATOR, command=command)
        return
    how = "named" if view.snapshot.class_name else "the default"
    yield advice.fine(chosen.key, f"is {how}: driver {chosen.driver}, {chosen.deletion_policy}")
    yield from beside.registered(known, chosen.driver)
    for claim_, _ in found:
        protected = names.CLAIM_FINALIZER in claim_.metadata.finalizers
        told = "is protected while it is cut from" if protected else "is not protected yet"
        yield (advice.fine if protected else advice.waits)(claim_.key, told)


def _is_given(found: groups.AnySnapshot) -> bool:
    return bool(found.given_content) or validation.is_member(found)


def _belongs(found: groups.AnySnapshot, bound: groups.AnyContent) -> Iterator[facts.Finding]:
    ref = bound.ref
    if validation.may_point_back(bound, found):
        yield advice.fine(bound.key, "belongs to it")
        return
    told = f"belongs to {ref.namespace}/{ref.name} {ref.uid}".rstrip()
    command = advice.kubectl("get", bound.key, " -o yaml")
    yield advice.problem(bound.key, told, who=advice.ADMINISTRATOR, command=command)


def _next_step(
    known: facts.Facts, found: groups.AnySnapshot, decision: intents.Decision
) -> facts.Finding:
    """Say what binding would do now, and why: the rule's own answer."""
    since = (found.error.time if found.error else None) or found.metadata.creation_timestamp or ""
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
        return advice.fine(found.key, "is ready to use", since=_cut_at(found))
    if deeds:
        told = f"the controller has something to do: {_named(deeds)}"
        return beside.needs_the_controller(known, found.key, told, since)
    return advice.waits(found.key, decision.why or "waits for the controller", since=since)


def _of_content(known: facts.Facts, found: groups.AnyContent) -> Iterator[facts.Finding]:
    if told := validation.content_problem(found):
        command = advice.kubectl("get", found.key, " -o yaml")
        yield advice.problem(found.key, told, who=advice.ADMINISTRATOR, command=command)
        return
    ref = found.ref
    owner = keys.Key(found.family.snapshot_kind, ref.namespace, ref.name)
    holder = known.cache.get(owner)
    if isinstance(holder, _SNAPSHOTS) and validation.points_back(found, holder):
        yield advice.fine(owner, "has it")
    elif not ref.uid:
        yield advice.waits(owner, "is not bound to it yet", command=advice.kubectl("get", owner))
    else:
        yield leaving.without_owner(found, owner)
    yield from beside.the_driver(known, found)
    yield from beside.complaints(known, found.key)


def _is_alone(known: facts.Facts, found: groups.AnyContent) -> bool:
    """Say whether no VolumeSnapshot's report tells of this content."""
    ref = found.ref
    owner = known.cache.get(keys.Key(found.family.snapshot_kind, ref.namespace, ref.name))
    if not isinstance(owner, _SNAPSHOTS):
        return True
    return publishing.bound_name(owner) != found.metadata.name


def _is_wait(why: str) -> bool:
    return why.startswith(("waits for", "is cut", "asks"))


def _who(found: groups.AnySnapshot) -> str:
    """Say who mends what a snapshot waits for: contents made by hand are an administrator's."""
    return advice.ADMINISTRATOR if found.given_content else advice.USER


def _cut_at(found: groups.AnySnapshot) -> str:
    return (found.status.creation_time if found.status else None) or ""


def _named(deeds: list[intents.Write]) -> str:
    return ", ".join(type(each).__name__ for each in deeds)


def _not_there(known: facts.Facts, key: keys.Key) -> str:
    others = [each.key for each in known.cache.of_kind(key.kind) if each.key.name == key.name]
    if others:
        return f"there is no {key}; there is {others[0]}: name its namespace with -n"
    return f"there is no {key}"
