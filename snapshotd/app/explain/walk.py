"""The walk: an object and what it rests on, in the order in which things happen.

No rule is written twice: each step asks a decider of `decide`, with the views the actors build, and
says what that answers. Nothing here reads the cluster.
"""

from collections.abc import Iterator

import msgspec

from snapshotd import errors
from snapshotd.actors import looking
from snapshotd.app.explain import advice, beside, facts, leaving
from snapshotd.decide import (
    binding,
    drafts,
    indexes,
    intents,
    members,
    publishing,
    selection,
    validation,
    views,
)
from snapshotd.model import families, groups, keys, names, snapshots, volumes

_POLICY = views.ClusterPolicy()
_SINGLE, _GROUP = families.SINGLE, families.GROUP


class NotThere(errors.Gone):
    """There is no such object; the message says what there is."""


def snapshot(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain a VolumeSnapshot; raises `NotThere`."""
    found = known.cache.find(snapshots.VolumeSnapshot, key)
    if found is None:
        raise NotThere(_not_there(known, key))
    own = tuple(_own(known, found))
    return facts.Report(str(key), (*own, *_of_its_group(known, found)))


def content(known: facts.Facts, key: keys.Key) -> facts.Report:
    """Explain a content, of a snapshot or a group; raises `NotThere`."""
    found = known.cache.get(key)
    if not isinstance(found, groups.AnyContent):
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
    owned = known.cache.by_index(indexes.MEMBERS_BY_GROUP, key)
    in_short = [
        _in_short(known, each) for each in owned if isinstance(each, snapshots.VolumeSnapshot)
    ]
    return facts.Report(str(key), tuple(_own(known, found)), tuple(in_short))


def unsettled(known: facts.Facts) -> Iterator[facts.Report]:
    """Explain everything that is neither ready nor quietly kept: groups first, then the rest."""
    reports = [group(known, each.key) for each in known.cache.of_kind(_GROUP.snapshot_kind)]
    reports += [snapshot(known, each.key) for each in known.cache.of_kind(_SINGLE.snapshot_kind)]
    for kind in (_GROUP.content_kind, _SINGLE.content_kind):
        for found in known.cache.of_kind(kind):
            if isinstance(found, groups.AnyContent) and _is_alone(known, found):
                reports.append(content(known, found.key))
    yield from (each for each in reports if each.verdict.state is not facts.State.OK)


def _own(known: facts.Facts, found: groups.AnySnapshot) -> Iterator[facts.Finding]:
    """Explain a snapshot, or group, by itself: without what becomes of its members, or group."""
    explain = leaving.of_snapshot if found.metadata.deleting else _of_snapshot
    yield from explain(known, found)


def _in_short(known: facts.Facts, member: snapshots.VolumeSnapshot) -> facts.Finding:
    verdict = facts.Report("", tuple(_own(known, member))).verdict
    return facts.Finding(verdict.state, str(member.key), verdict.told, since=verdict.since)


def _of_its_group(known: facts.Facts, member: snapshots.VolumeSnapshot) -> Iterator[facts.Finding]:
    """Name the group that a snapshot is a member of; while it waits, or goes, how that one is."""
    key = indexes.group_of(member)
    if key is None:
        return
    found = looking.Eyes(known.cache, _POLICY).homes.group_of(member)
    waits = member.metadata.deleting or not member.ready
    if found is not None:
        yield advice.note(key, "is the group snapshot that it is a member of")
        verdict = facts.Report("", tuple(_own(known, found))).verdict
        if waits and verdict.state is not facts.State.OK:
            yield verdict
    elif key.kind in known.unread:
        yield advice.unknown(key, f"is its group snapshot; {known.unread[key.kind]}")
    elif waits and not member.metadata.deleting and not member.bound_content:
        told = "is its group snapshot, and is not there: nobody gives it a content any more"
        command = advice.kubectl("delete", member.key)
        yield advice.problem(key, told, who=advice.USER, command=command)
    else:
        yield advice.note(key, "was its group snapshot, and is gone")


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
    yield _next_step(known, view, binding.decide(view, _POLICY, known.now))
    if found.status is None and names.GROUP_BOUND_FINALIZER not in found.metadata.finalizers:
        yield from beside.unserved(known, found, found.metadata.creation_timestamp or "")
    if not found.ready:
        yield from beside.complaints(known, key)


def _source(known: facts.Facts, view: views.BindingView) -> Iterator[facts.Finding]:
    """Look at what a dynamic snapshot's content is made of: claim, volume, class."""
    unfit = tuple(_unfit(view))
    if unfit:
        yield from unfit
        return  # without it nothing can be said of the class, but for what the rule says below
    found = binding.sources_of(view)
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


def _unfit(view: views.BindingView) -> Iterator[facts.Finding]:
    """Yield what is wrong with each claim to cut from, or with what selects them."""
    found, namespace = view.snapshot, view.snapshot.metadata.namespace
    if isinstance(found, groups.VolumeGroupSnapshot) and not view.sources:
        unreadable = selection.problem(found.spec.source.selector or groups.LabelSelector())
        command = (
            advice.kubectl("delete", found.key)  # a selector cannot be changed
            if unreadable
            else f"kubectl -n {namespace} get pvc --show-labels"
        )
        try:
            binding.sources_of(view)
        except errors.Invalid as error:
            yield advice.problem(found.key, str(error), who=advice.USER, command=command)
    for each in view.sources:
        try:
            binding.sources_of(msgspec.structs.replace(view, sources=(each,)))
        except errors.Invalid as error:
            key = volumes.claim_key(namespace, each.name)
            command = advice.kubectl("describe", key)
            yield advice.problem(key, str(error), who=advice.USER, command=command)


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
    known: facts.Facts, view: views.BindingView, decision: intents.Decision
) -> facts.Finding:
    """Say what binding would do now, and why: the rule's own answer."""
    found = view.snapshot
    since = (found.error.time if found.error else None) or found.metadata.creation_timestamp or ""
    deeds = [each for each in decision.intents if isinstance(each, intents.Write)]
    tells = any(isinstance(each, intents.PublishStatus) for each in deeds)
    if any(isinstance(each, intents.Wake) for each in decision.intents):
        return beside.needs_the_controller(known, found.key, decision.why, since)
    if decision.why and (tells or not deeds) and not _is_wait(view, decision.why):
        who, command = _who(known, view)
        return advice.problem(found.key, decision.why, who=who, command=command, since=since)
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
    if isinstance(holder, groups.AnySnapshot) and validation.points_back(found, holder):
        bound = publishing.bound_name(holder)
        has_it = bound == found.metadata.name
        yield advice.fine(owner, "has it") if has_it else leaving.beside_another(found, bound)
    elif not ref.uid:
        yield advice.waits(owner, "is not bound to it yet", command=advice.kubectl("get", owner))
    elif owner.kind in known.unread:
        yield advice.unknown(owner, known.unread[owner.kind])
    else:
        yield leaving.without_owner(found, owner)
    yield from beside.the_driver(known, found)
    if validation.follows_group(found) and isinstance(holder, snapshots.VolumeSnapshot):
        yield from _of_its_group(known, holder)
    yield from beside.complaints(known, found.key)


def _is_alone(known: facts.Facts, found: groups.AnyContent) -> bool:
    """Say whether no VolumeSnapshot's report tells of this content."""
    ref = found.ref
    owner = known.cache.get(keys.Key(found.family.snapshot_kind, ref.namespace, ref.name))
    if not isinstance(owner, groups.AnySnapshot):
        return True
    return publishing.bound_name(owner) != found.metadata.name


def _is_wait(view: views.BindingView, why: str) -> bool:
    for_members = why == members.unready(view) and not members.failed(view)
    return for_members or why.startswith(("waits for", "is cut", "asks"))


def _who(known: facts.Facts, view: views.BindingView) -> tuple[str, str]:
    """Say who mends what a snapshot waits for, and how to see more of it.

    Contents made by hand are an administrator's, and what ails a member is that one's.
    """
    found = view.snapshot
    for each in view.members:
        if each.snapshot is not None and each.snapshot.error and not each.snapshot.ready:
            verdict = facts.Report("", tuple(_own(known, each.snapshot))).verdict
            command = verdict.command or advice.kubectl("describe", each.snapshot.key)
            return verdict.who or advice.USER, command
    who = advice.ADMINISTRATOR if found.given_content else advice.USER
    return who, advice.kubectl("describe", found.key)


def _cut_at(found: groups.AnySnapshot) -> str:
    return (found.status.creation_time if found.status else None) or ""


def _named(deeds: list[intents.Write]) -> str:
    return ", ".join(type(each).__name__ for each in deeds)


def _not_there(known: facts.Facts, key: keys.Key) -> str:
    others = [each.key for each in known.cache.of_kind(key.kind) if each.key.name == key.name]
    if others:
        return f"there is no {key}; there is {others[0]}: name its namespace with -n"
    if key.kind in known.unread:
        return f"{key} cannot be read: {known.unread[key.kind]}"
    return f"there is no {key}"
