"""The calls to a driver that creation and deletion both make, and what they carry.

One name, one set of parameters, one place for the credentials: a repeated CreateSnapshot must be
the same call, or the driver would rightly refuse it (CSI spec, CreateSnapshot, "ALREADY_EXISTS").
"""

from snapshotd import errors
from snapshotd.decide import intents, secret_refs, telling, views
from snapshotd.model import names, snapshots


def create(view: views.ContentView, policy: views.DriverPolicy) -> intents.CreateSnapshot:
    """Return the call that cuts this content's snapshot; raises `Invalid` saying why not.

    For a content that is being deleted the call finds out what an earlier one made: its name is
    what the driver goes by, so it is sent even when the class, and with it the parameters, is gone.
    """
    content = view.content
    volume = content.spec.source.volume_handle
    ref = content.spec.volume_snapshot_ref
    if not volume or not ref.uid:
        raise errors.Invalid(
            f"cannot create snapshot for content {content.metadata.name}: it needs a volumeHandle "
            "and the uid of its VolumeSnapshot"
        )
    finds_out = content.metadata.deleting and view.snapshot_class is None
    return intents.CreateSnapshot(
        name=names.csi_snapshot(policy.name_prefix, policy.name_uuid_length, ref.uid),
        source_volume=volume,
        parameters={} if finds_out else _parameters(view, policy),
        credentials=secret_refs.of_annotations(content.metadata.annotations),
        mark=None if content.handle else being_created(content),
        mark_after=policy.mark_after,
    )


def delete(content: snapshots.VolumeSnapshotContent, handle: str) -> intents.DeleteSnapshot:
    """Return the call that deletes a snapshot; raises `Invalid` saying why not."""
    credentials = secret_refs.of_annotations(content.metadata.annotations)
    return intents.DeleteSnapshot(handle, credentials)


def check(view: views.ContentView, handle: str) -> intents.CheckSnapshot:
    """Return the call that asks for a snapshot's state; raises `Invalid` saying why not."""
    parameters = view.snapshot_class.parameters if view.snapshot_class else {}
    credentials = secret_refs.lister(parameters, content=view.content.metadata.name)
    return intents.CheckSnapshot(handle, credentials)


def find(content: snapshots.VolumeSnapshotContent) -> intents.FindSnapshots:
    """Return the call that asks for all snapshots of a content's volume; raises `Invalid`."""
    credentials = secret_refs.of_annotations(content.metadata.annotations)
    return intents.FindSnapshots(content.spec.source.volume_handle or "", credentials)


def being_created(content: snapshots.VolumeSnapshotContent) -> intents.UpdateMetadata | None:
    """Return the patch that marks a cut as begun and not ended, None if it is marked."""
    if names.BEING_CREATED_ANNOTATION in content.metadata.annotations:
        return None
    mark: dict[str, str | None] = {names.BEING_CREATED_ANNOTATION: names.MARK}
    return intents.UpdateMetadata(telling.target(content), annotations=mark)


def not_being_created(content: snapshots.VolumeSnapshotContent) -> intents.UpdateMetadata | None:
    """Return the patch that takes that mark away, None if there is none."""
    if names.BEING_CREATED_ANNOTATION not in content.metadata.annotations:
        return None
    unmark: dict[str, str | None] = {names.BEING_CREATED_ANNOTATION: None}
    return intents.UpdateMetadata(telling.target(content), annotations=unmark)


def _parameters(view: views.ContentView, policy: views.DriverPolicy) -> dict[str, str]:
    """Return the class's parameters for the driver: without ours, with what it is to know."""
    name = view.content.spec.volume_snapshot_class_name
    if view.snapshot_class is None:
        raise errors.Invalid(
            f"failed to take snapshot {view.content.metadata.name} without a snapshot class: "
            + (f"VolumeSnapshotClass {name} does not exist" if name else "it names none")
        )
    sent: dict[str, str] = {}
    for key, value in view.snapshot_class.parameters.items():
        if not key.startswith(names.RESERVED_PARAMETER_PREFIX):
            sent[key] = value
        elif key not in names.KNOWN_PARAMETERS:
            raise errors.Invalid(
                f"found unknown parameter key {key!r} with reserved prefix "
                f"{names.RESERVED_PARAMETER_PREFIX} in VolumeSnapshotClass {name}"
            )
    if policy.extra_create_metadata:
        ref = view.content.spec.volume_snapshot_ref
        sent[names.EXTRA_SNAPSHOT_NAME] = ref.name
        sent[names.EXTRA_SNAPSHOT_NAMESPACE] = ref.namespace
        sent[names.EXTRA_CONTENT_NAME] = view.content.metadata.name
    return sent
