"""The form in which a client sees objects: whole, as metadata alone, or as rows of a table.

Chosen by the `Accept` header (`application/json;as=Table;g=meta.k8s.io;v=v1`), as kubectl does for
what it prints and informers do for what they only count.
"""

import enum
from typing import Any

import msgspec

from snapshotd.devcluster.apiserver import errors, requests, resources, storage, tables

JsonObject = dict[str, Any]


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
    if value.get("apiVersion") == resource.api_version:
        return value
    return {**value, "apiVersion": resource.api_version}


def body(stored: storage.Stored, resource: resources.Resource) -> bytes:
    """Return a stored object's JSON in the version of `resource`."""
    if resource.version == resource.storage_version:
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
