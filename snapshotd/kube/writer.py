"""One intent, one API call, with the precondition that the intent carries.

Every change is a merge patch of exactly the fields it is about: what we do not know of an object is
never erased. `metadata.uid` in a patch holds it to one incarnation, `metadata.resourceVersion` to
one version. One exception, which is the API server's: a status patch of a custom resource ignores
the uid, so there it is checked in the answer, and only a version prevents.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never

import msgspec

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.kube import connection as connections
from snapshotd.kube import resources
from snapshotd.model import families, keys, meta, wire

FIELD_MANAGER: Final = "snapshotd"
_QUERY: Final = {"fieldManager": FIELD_MANAGER}

Fields = dict[str, Any]


class _Typed(meta.Model, frozen=True, gc=False):
    kind: str = ""


_typed: Final = msgspec.json.Decoder(_Typed)


class Writer:
    """The API server as `actors.ports.Writer`, and typed single writes for others."""

    def __init__(self, connection: connections.Connection) -> None:
        """Write through the connection's work channel."""
        self._connection = connection

    async def write(self, intent: intents.Write) -> wire.Object | None:
        """Do one write; return the object as stored, None where none is left."""
        match intent:
            case intents.UpdateMetadata():
                change = _metadata(intent.finalizers, intent.annotations, intent.labels)
                return await self._change(intent.target, {"metadata": change})
            case intents.PrepareSnapshot():
                return await self._change(intent.target, _prepared(intent))
            case intents.BindContent():
                return await self._change(intent.target, _bound(intent))
            case intents.PublishStatus():
                status = {"status": msgspec.to_builtins(intent.status)}
                return await self._change(intent.target, status, subresource="status")
            case intents.CreateContent():
                return await self.create(intent.content.key, intent.content)
            case intents.CreateMember():
                return await self.create(intent.snapshot.key, intent.snapshot)
            case intents.DeleteContent() | intents.DeleteMember():
                target = intent.target
                return await self.delete(target.key, target.uid, version=target.version)
            case _:
                assert_never(intent)

    async def read(self, key: keys.Key) -> wire.Object | None:
        """Return one object as it is now, None if there is none."""
        try:
            response = await self._connection.work.request("GET", resources.path_of(key))
        except errors.Gone:
            return None
        return wire.decode(key.kind, response.body)

    async def create(
        self, key: keys.Key, body: msgspec.Struct | Mapping[str, object]
    ) -> wire.Object:
        """Create an object from a Struct or plain data, and return it as stored.

        `apiVersion` and `kind` are filled in. Raises `Conflict` when the name is taken, `Gone` when
        the namespace does not exist.
        """
        resource = resources.of(key.kind)
        whole = {
            "apiVersion": resource.api_version,
            "kind": str(key.kind),
            **msgspec.to_builtins(body),
        }
        response = await self._connection.work.request(
            "POST", resource.collection(key.namespace), query=_QUERY, body=wire.encode(whole)
        )
        return wire.decode(key.kind, response.body)

    async def patch(
        self, key: keys.Key, change: Mapping[str, object], *, subresource: str = ""
    ) -> wire.Object | None:
        """Merge a change into an object and return it as stored, None if that let it go.

        Preconditions (`metadata.uid`, `metadata.resourceVersion`) are part of the change. Raises
        `Conflict` where one does not hold, `Gone` where there is no such object.
        """
        response = await self._connection.work.request(
            "PATCH",
            resources.path_of(key, subresource=subresource),
            query=_QUERY,
            body=wire.encode(change),
            content_type=connections.MERGE_PATCH,
        )
        stored = wire.decode(key.kind, response.body)
        gone = stored.metadata.deleting and not stored.metadata.finalizers
        return None if gone else stored

    async def delete(self, key: keys.Key, uid: str, *, version: str = "") -> wire.Object | None:
        """Ask for a deletion; return the object if finalizers hold it, None if it is gone.

        Raises `Conflict` where the name belongs to another incarnation (or, with `version`, where
        the object changed). One that is not there at all is gone: no error.
        """
        preconditions = {"uid": uid, "resourceVersion": version} if version else {"uid": uid}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        path = resources.path_of(key)
        try:
            response = await self._connection.work.request("DELETE", path, body=wire.encode(body))
        except errors.Gone:
            return None
        if _typed.decode(response.body).kind != key.kind:
            return None  # a Status of success
        stored = wire.decode(key.kind, response.body)
        return stored if stored.metadata.deleting and stored.metadata.finalizers else None

    async def _change(
        self, target: intents.Target, change: Fields, *, subresource: str = ""
    ) -> wire.Object | None:
        """Patch exactly the incarnation, and where it says so the version, that was decided on."""
        held: Fields = {"uid": target.uid}
        if target.version:
            held["resourceVersion"] = target.version
        guarded = {**change, "metadata": {**change.get("metadata", {}), **held}}
        stored = await self.patch(target.key, guarded, subresource=subresource)
        if stored is not None and stored.metadata.uid != target.uid:
            raise errors.Conflict(f"{target.key} is another one by now: uid {stored.metadata.uid}")
        return stored


def _metadata(
    finalizers: tuple[str, ...] | None,
    annotations: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Fields:
    change: Fields = {}
    if finalizers is not None:
        change["finalizers"] = finalizers
    if annotations:
        change["annotations"] = annotations
    if labels:
        change["labels"] = labels
    return change


def _prepared(intent: intents.PrepareSnapshot) -> Fields:
    metadata = _metadata(intent.finalizers)
    if intent.owners is not None:
        metadata["ownerReferences"] = msgspec.to_builtins(intent.owners)
    change: Fields = {"metadata": metadata}
    if intent.class_name is not None:
        change["spec"] = {_field(intent.target, "ClassName"): intent.class_name}
    return change


def _bound(intent: intents.BindContent) -> Fields:
    # The reference is an atomic map to server-side apply alone: a merge keeps name and namespace
    spec: Fields = {_field(intent.target, "Ref"): {"uid": intent.snapshot_uid}}
    if intent.class_name is not None:
        spec[_field(intent.target, "ClassName")] = intent.class_name
    return {"metadata": _metadata(intent.finalizers), "spec": spec}


def _field(target: intents.Target, ending: str) -> str:
    """Return a field's name as the object's family has it: volumeSnapshot..., volumeGroup..."""
    kind = target.key.kind
    family = families.GROUP if kind in families.GROUP.kinds else families.SINGLE
    return f"volume{family.named}{ending}"
