"""The calls to a driver that creation and deletion both make, and what they carry.

One name, one set of parameters, one place for the credentials: a repeated CreateSnapshot must be
the same call, or the driver would rightly refuse it (CSI spec, CreateSnapshot, "ALREADY_EXISTS").
So it is with groups, whose calls carry all volumes, or the handles of all members, at once.
"""

from snapshotd import errors
from snapshotd.decide import intents, outcomes, secret_refs, telling, views
from snapshotd.model import families, groups, names, snapshots


def create(
    view: views.ContentView, policy: views.DriverPolicy
) -> intents.CreateSnapshot | intents.CreateGroupSnapshot:
    """Return the call that cuts this content's snapshots; raises `Invalid` saying why not.

    For a content that is being deleted the call finds out what an earlier one made: its name is
    what the driver goes by, so it is sent even when the class, and with it the parameters, is gone.
    """
    content = view.content
    uid = content.ref.uid
    if not content.cut_from or not uid:
        needed = "a volumeHandle" if content.family is families.SINGLE else "volumeHandles"
        raise errors.Invalid(
            f"cannot create {content.family.noun} for content {content.metadata.name}: it needs "
            f"{needed} and the uid of its {content.family.snapshot_kind}"
        )
    finds_out = content.metadata.deleting and view.snapshot_class is None
    parameters = {} if finds_out else _parameters(view, policy)
    credentials = secret_refs.of_annotations(content.family, content.metadata.annotations)
    mark = None if content.handle else being_created(content)
    if isinstance(content, groups.VolumeGroupSnapshotContent):
        return intents.CreateGroupSnapshot(
            names.csi_snapshot(policy.group_name_prefix, policy.group_name_uuid_length, uid),
            source_volumes=content.cut_from,
            parameters=parameters,
            credentials=credentials,
            mark=mark,
            mark_after=policy.mark_after,
        )
    return intents.CreateSnapshot(
        names.csi_snapshot(policy.name_prefix, policy.name_uuid_length, uid),
        source_volume=content.cut_from[0],
        parameters=parameters,
        credentials=credentials,
        mark=mark,
        mark_after=policy.mark_after,
    )


def delete(
    content: groups.AnyContent, handle: str
) -> intents.DeleteSnapshot | intents.DeleteGroupSnapshot:
    """Return the call that deletes a snapshot or group; raises `Invalid` saying why not."""
    credentials = secret_refs.of_annotations(content.family, content.metadata.annotations)
    if isinstance(content, snapshots.VolumeSnapshotContent):
        return intents.DeleteSnapshot(handle, credentials)
    return intents.DeleteGroupSnapshot(handle, content.member_handles, credentials)


def check(
    view: views.ContentView, handle: str
) -> intents.CheckSnapshot | intents.CheckGroupSnapshot:
    """Return the call that asks for the state; raises `Invalid` saying why not.

    A group that was cut is asked for with the secret of its cut where its class names no other: the
    reference asks for those with CreateVolumeGroupSnapshot, so classes that work may name none.
    """
    content = view.content
    parameters = view.snapshot_class.parameters if view.snapshot_class else {}
    credentials = secret_refs.lister(content.family, parameters, content=content.metadata.name)
    if isinstance(content, snapshots.VolumeSnapshotContent):
        return intents.CheckSnapshot(handle, credentials)
    if credentials is None and content.cut_from:
        credentials = secret_refs.of_annotations(content.family, content.metadata.annotations)
    if not content.member_handles:
        raise errors.Invalid(no_members(content))
    return intents.CheckGroupSnapshot(handle, content.member_handles, credentials)


def find(content: groups.AnyContent) -> tuple[intents.FindSnapshots, ...]:
    """Return the calls that ask for all snapshots of a content's volumes; raises `Invalid`."""
    credentials = secret_refs.of_annotations(content.family, content.metadata.annotations)
    return tuple(intents.FindSnapshots(each, credentials) for each in content.cut_from)


def names_too_few(view: views.ContentView) -> bool:
    """Say whether a driver refuses a list of members that may be too short for its group.

    Of a group that was told of in part, those that the driver checks the list by may be more (CSI
    spec, "Snapshot list mismatch": "caller SHOULD use different snapshot_ids"). Asked for under its
    name it is told of anew.
    """
    content, answer = view.content, view.answer
    return (
        isinstance(content, groups.VolumeGroupSnapshotContent)
        and isinstance(view.call, intents.CheckGroupSnapshot | intents.DeleteGroupSnapshot)
        and isinstance(answer, outcomes.Refusal)
        and answer.code is outcomes.Code.INVALID_ARGUMENT
        and len(content.member_handles) < len(content.cut_from)
    )


def being_created(content: groups.AnyContent) -> intents.UpdateMetadata | None:
    """Return the patch that marks a cut as begun and not ended, None if it is marked."""
    if content.being_created:
        return None
    mark: dict[str, str | None] = {content.family.being_created: names.MARK}
    return intents.UpdateMetadata(telling.target(content), annotations=mark)


def not_being_created(content: groups.AnyContent) -> intents.UpdateMetadata | None:
    """Return the patch that takes that mark away, None if there is none."""
    if not content.being_created:
        return None
    unmark: dict[str, str | None] = {content.family.being_created: None}
    return intents.UpdateMetadata(telling.target(content), annotations=unmark)


def no_members(content: groups.AnyContent) -> str:
    """Return that a group cannot be asked for, nor deleted, in the reference's words."""
    return (
        f"No snapshots found in the group snapshot: {content.metadata.name} names none in "
        "status.volumeSnapshotInfoList, nor in spec.source.groupSnapshotHandles"
    )


def _parameters(view: views.ContentView, policy: views.DriverPolicy) -> dict[str, str]:
    """Return the class's parameters for the driver: without ours, with what it is to know."""
    content = view.content
    name, kind, what = content.class_name, content.family.class_kind, content.family.noun
    if view.snapshot_class is None:
        raise errors.Invalid(
            f"failed to take {what} {content.metadata.name} without a {what} class: "
            + (f"{kind} {name} does not exist" if name else "it names none")
        )
    sent: dict[str, str] = {}
    for key, value in view.snapshot_class.parameters.items():
        if not key.startswith(names.RESERVED_PARAMETER_PREFIX):
            sent[key] = value
        elif key not in names.KNOWN_PARAMETERS:
            raise errors.Invalid(
                f"found unknown parameter key {key!r} with reserved prefix "
                f"{names.RESERVED_PARAMETER_PREFIX} in {kind} {name}"
            )
    if policy.extra_create_metadata:
        # csi.storage.k8s.io/volumesnapshot/name and its like, as the reference has them
        whose = f"{names.RESERVED_PARAMETER_PREFIX}volume{content.family.named.lower()}"
        sent[f"{whose}/name"] = content.ref.name
        sent[f"{whose}/namespace"] = content.ref.namespace
        sent[f"{whose}content/name"] = content.metadata.name
    return sent
