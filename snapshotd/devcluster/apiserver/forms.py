"""The form in which a client sees objects: whole, as metadata alone, or as rows of a table.

Chosen by the `Accept` header (`application/json;as=Table;g=meta.k8s.io;v=v1`), as kubectl does for
what it prints and informers do for what they only count.
"""

import enum
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from snapshotd.devcluster.apiserver import errors, requests, resources, storage, tables

JsonObject = dict[str, Any]
T = TypeVar("T")

_MOST_ASKED: Final = 10  # conversions one request may wait for


class Form(enum.Enum):
    """What an object looks like."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def accepted(header: str) -> Form:
    """Return the first form in an `Accept` header that we know; raises 406 if there is none."""
    for part in header.split(",") if header else ["*/*"]:
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind not in {"application/json", "application/*", "*/*"}:
            continue
        values = dict(piece.split("=", 1) for piece in parameters if "=" in piece)
        wanted = values.get("as", "")
        if not wanted or kind != "application/json":
            return Form.OBJECT
        if values.get("v") == "v1" and wanted.removesuffix("List") in {
            "Table",
            Form.METADATA.value,
        }:
            return Form(wanted.removesuffix("List"))
    raise errors.ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    )


def in_version(value: JsonObject, resource: resources.Resource) -> JsonObject:
    """Return a stored object in the version of `resource` (a copy of what differs)."""
    return _converted(value, resource, resource.api_version)


def to_store(value: JsonObject, resource: resources.Resource) -> JsonObject:
    """Return an object as it is to be stored: a copy, in the storage version.

    Whether it can be read again is found out before it is stored, not after.
    """
    group, version = resource.group, resource.storage_version
    stored = _converted(value, resource, f"{group}/{version}" if group else version)
    in_version(stored, resource)
    return {**stored, "kind": resource.kind}


def _converted(value: JsonObject, resource: resources.Resource, api_version: str) -> JsonObject:
    if value.get("apiVersion") == api_version:
        return value
    if resource.conversion is None:
        return {**value, "apiVersion": api_version}
    return resource.conversion(value, api_version)


def ready(found: Iterable[storage.Stored], resource: resources.Resource) -> None:
    """Have all of these converted at once, where a conversion must be asked for."""
    if resource.conversion is not None:
        resource.conversion.ready([each.value for each in found], resource.api_version)


async def settled(make: Callable[[], Awaitable[T]]) -> T:
    """Return what `make` makes; it is begun again after each conversion that had to be asked for.

    So it must not have changed anything before it needs one.
    """
    for _ in range(_MOST_ASKED):
        try:
            return await make()
        except resources.Pending as pending:
            await pending.resolve()
    raise errors.ApiError(500, "InternalError", "the conversion webhook never says the same twice")


def body(stored: storage.Stored, resource: resources.Resource) -> bytes:
    """Return a stored object's JSON in the version of `resource`."""
    if stored.value.get("apiVersion") == resource.api_version:
        return stored.body
    return msgspec.json.encode(in_version(stored.value, resource))


def of_list(
    request: requests.Request, objects: list[JsonObject], meta: JsonObject, form: Form
) -> JsonObject:
    """Return objects as a table, or as a list of their metadata."""
    if form is Form.TABLE:
        include = request.query.get("includeObject") or "Metadata"
        return tables.render(request.resource, objects, meta, include)
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "items": [partial(obj) for obj in objects],
    }


def of_one(request: requests.Request, obj: JsonObject, form: Form) -> JsonObject:
    """Return one object in a form."""
    if form is Form.TABLE:
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return of_list(request, [obj], meta, form)
    if form is Form.METADATA:
        return partial(obj)
    return obj


def partial(obj: JsonObject) -> JsonObject:
    """Return an object's metadata alone."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }
