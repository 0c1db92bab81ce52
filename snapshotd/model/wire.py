"""JSON to model and back: the one place where malformed input is found, and named.

A list is taken apart first, so that one malformed object costs only itself: the others of the list
go on being served.
"""

from typing import Any

import msgspec

from snapshotd import errors
from snapshotd.model import groups, keys, leases, meta, secrets, snapshots, volumes

Object = (
    snapshots.VolumeSnapshot
    | snapshots.VolumeSnapshotContent
    | snapshots.VolumeSnapshotClass
    | groups.VolumeGroupSnapshot
    | groups.VolumeGroupSnapshotContent
    | groups.VolumeGroupSnapshotClass
    | volumes.PersistentVolumeClaim
    | volumes.PersistentVolume
    | volumes.StorageClass
    | volumes.Node
    | leases.Lease
    | secrets.Secret
)

TYPES: dict[keys.Kind, type[Object]] = {
    keys.Kind.VOLUME_SNAPSHOT: snapshots.VolumeSnapshot,
    keys.Kind.VOLUME_SNAPSHOT_CONTENT: snapshots.VolumeSnapshotContent,
    keys.Kind.VOLUME_SNAPSHOT_CLASS: snapshots.VolumeSnapshotClass,
    keys.Kind.VOLUME_GROUP_SNAPSHOT: groups.VolumeGroupSnapshot,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT: groups.VolumeGroupSnapshotContent,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS: groups.VolumeGroupSnapshotClass,
    keys.Kind.CLAIM: volumes.PersistentVolumeClaim,
    keys.Kind.VOLUME: volumes.PersistentVolume,
    keys.Kind.STORAGE_CLASS: volumes.StorageClass,
    keys.Kind.NODE: volumes.Node,
    keys.Kind.LEASE: leases.Lease,
    keys.Kind.SECRET: secrets.Secret,
}

_decoders: dict[keys.Kind, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(type_) for kind, type_ in TYPES.items()
}
_encoder = msgspec.json.Encoder()


class _Named(meta.Model, frozen=True, gc=False):
    """As little of an object as it takes to name it."""

    metadata: meta.ObjectReference = meta.ObjectReference()


class ListMeta(meta.Model, frozen=True, gc=False):
    """A list's version, and the token of its next page ('' on the last)."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class RawList(meta.Model, frozen=True, gc=False):
    """A page of a list, its items still as bytes."""

    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] = ()


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch; `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: msgspec.Raw


class StatusCause(meta.Model, frozen=True, gc=False):
    """One thing that was wrong: the path of the field."""

    field: str = ""


class StatusDetails(meta.Model, frozen=True, gc=False):
    """All that was wrong."""

    causes: tuple[StatusCause, ...] = ()


class Status(meta.Model, frozen=True, gc=False):
    """What the API server says of a request that failed (meta/v1 Status)."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


_list_decoder = msgspec.json.Decoder(RawList)
_event_decoder = msgspec.json.Decoder(WatchEvent)
_status_decoder = msgspec.json.Decoder(Status)
_named_decoder = msgspec.json.Decoder(_Named)


def decode(kind: keys.Kind, body: bytes | msgspec.Raw) -> Object:
    """Return the object; raises `Invalid` naming it where it is malformed."""
    try:
        decoded: Object = _decoders[kind].decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise errors.Invalid(f"malformed {kind} {_name_in(body)}: {error}") from error
    try:
        keys.version_number(decoded.metadata.resource_version)
    except ValueError as error:
        raise errors.Invalid(
            f"malformed {decoded.key}: resourceVersion {decoded.metadata.resource_version!r}"
            " is not a number"
        ) from error
    return decoded


def decode_list(body: bytes) -> RawList:
    """Return a page of a list with its items undecoded; raises `Invalid`."""
    try:
        return _list_decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise errors.Invalid(f"malformed list: {error}") from error


def decode_event(line: bytes) -> WatchEvent:
    """Return one watch event with its object undecoded; raises `Invalid`."""
    try:
        return _event_decoder.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise errors.Invalid(f"malformed watch event: {error}") from error


def decode_status(body: bytes | msgspec.Raw) -> Status:
    """Return the Status in an answer; an answer that holds none gives an empty one."""
    try:
        return _status_decoder.decode(body)
    except (msgspec.DecodeError, ValueError):
        return Status()


def encode(value: object) -> bytes:
    """Return a Struct (or plain data) as JSON."""
    return _encoder.encode(value)


def _name_in(body: bytes | msgspec.Raw) -> str:
    try:
        named = _named_decoder.decode(body).metadata
    except (msgspec.DecodeError, ValueError):
        return "(no readable name)"
    return f"{named.namespace}/{named.name}" if named.namespace else named.name
