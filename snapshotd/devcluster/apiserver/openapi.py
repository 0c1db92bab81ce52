"""The schemas of what is served, as OpenAPI v2 and v3: for `kubectl explain`, `apply`, `create`.

Documents are made when they are asked for, and kept until the registry changes.
"""

import hashlib
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources

JsonObject = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_kept: dict[tuple[str, ...], tuple[int, JsonObject]] = {}


def _string(description: str) -> JsonObject:
    return {"type": "string", "description": description}


_OBJECT_META: JsonObject = {
    "description": "Metadata that every stored object has.",
    "type": "object",
    "properties": {
        "annotations": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Notes of programs and people, not used to select objects.",
        },
        "creationTimestamp": _string("When the object was made; set by the server."),
        "deletionGracePeriodSeconds": {
            "type": "integer",
            "format": "int64",
            "description": "Seconds the object was given to end; set by the server.",
        },
        "deletionTimestamp": _string("When its deletion was asked for; set by the server."),
        "finalizers": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What must be done before the object can go.",
            "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge",
        },
        "generateName": _string("Beginning of a name that the server completes."),
        "generation": {
            "type": "integer",
            "format": "int64",
            "description": "Counts the changes of what is wanted; set by the server.",
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Words to select objects by.",
        },
        "managedFields": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Who wrote which field last; kept by the server.",
        },
        "name": _string("Name of the object, unique in its namespace."),
        "namespace": _string("Namespace of the object."),
        "ownerReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": _string("API version of the owner."),
                    "blockOwnerDeletion": {"type": "boolean", "description": "Held by this one."},
                    "controller": {"type": "boolean", "description": "The one in charge."},
                    "kind": _string("Kind of the owner."),
                    "name": _string("Name of the owner."),
                    "uid": _string("Uid of the owner."),
                },
            },
            "description": "Objects with whose end this one ends.",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-merge-key": "uid",
            "x-kubernetes-patch-strategy": "merge",
        },
        "resourceVersion": _string("Version of the object; set by the server."),
        "selfLink": _string("Not used any more."),
        "uid": _string("Tells this object from others of its name; set by the server."),
    },
}


def _name(resource: resources.Resource) -> str:
    backwards = (
        ".".join(reversed(resource.group.split("."))) if resource.group else "io.k8s.api.core"
    )
    return f"{backwards}.{resource.version}.{resource.kind}"


def _schema(resource: resources.Resource, meta: str) -> JsonObject:
    declared: JsonObject = (
        resource.schema.openapi() if resource.schema is not None else {"type": "object"}
    )
    properties: JsonObject = {**declared.get("properties", {})}
    properties["apiVersion"] = _string("Version of the schema of this object.")
    properties["kind"] = _string("What this object is.")
    properties["metadata"] = {"description": "Metadata of the object.", "$ref": meta}
    return {
        **{
            name: value for name, value in declared.items() if not name.startswith("x-kubernetes-v")
        },
        "properties": properties,
        "x-kubernetes-group-version-kind": [_gvk(resource)],
    }


def _gvk(resource: resources.Resource) -> JsonObject:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _fresh(registry: resources.Registry, key: tuple[str, ...]) -> JsonObject | None:
    found = _kept.get((str(id(registry)), *key))
    return found[1] if found is not None and found[0] == registry.revision else None


def _keep(registry: resources.Registry, key: tuple[str, ...], document: JsonObject) -> JsonObject:
    _kept[(str(id(registry)), *key)] = (registry.revision, document)
    return document


def v3_index(registry: resources.Registry) -> JsonObject:
    """Return /openapi/v3: where each group's version is described, and by which hash it changes."""
    paths = {}
    for group, version in sorted({(each.group, each.version) for each in registry}):
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        seed = f"{path} {registry.revision}".encode()
        digest = hashlib.sha256(seed).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def v3(registry: resources.Registry, group: str, version: str) -> JsonObject:
    """Return the description of one group's version; raises 404."""
    found = [each for each in registry if (each.group, each.version) == (group, version)]
    if not found:
        raise errors.ApiError(
            404, "NotFound", "the server could not find the requested resource", details={}
        )
    fresh = _fresh(registry, (group, version))
    if fresh is not None:
        return fresh
    meta = f"{_META}.ObjectMeta"
    reference = f"#/components/schemas/{meta}"
    schemas = {_name(each): _plain(_schema(each, reference)) for each in found}
    paths: JsonObject = {}
    for each in found:
        body = {"$ref": f"#/components/schemas/{_name(each)}"}
        paths.update(_paths(each, body, parameters=_v3_parameters()))
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "components": {"schemas": {meta: _OBJECT_META, **schemas}},
    }
    return _keep(registry, (group, version), document)


def v2(registry: resources.Registry) -> JsonObject:
    """Return /openapi/v2: everything in one document."""
    fresh = _fresh(registry, ("v2",))
    if fresh is not None:
        return fresh
    meta = f"{_META}.ObjectMeta"
    definitions = {meta: _OBJECT_META}
    paths: JsonObject = {}
    for each in registry:
        definitions[_name(each)] = _plain(_schema(each, f"#/definitions/{meta}"))
        body = {"$ref": f"#/definitions/{_name(each)}"}
        paths.update(_paths(each, body, parameters=_v2_parameters()))
    document = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "definitions": definitions,
    }
    return _keep(registry, ("v2",), document)


def _plain(schema: Any) -> Any:
    """Return a schema without what OpenAPI readers of clients do not take."""
    if isinstance(schema, dict):
        plain = {name: _plain(value) for name, value in schema.items() if name != "nullable"}
        if plain.get("x-kubernetes-int-or-string") is True:
            plain.setdefault("type", "string")
            plain.setdefault("format", "int-or-string")
        return plain
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    return schema


_QUERY = ("dryRun", "fieldManager", "fieldValidation", "force")


def _v3_parameters() -> list[JsonObject]:
    return [{"name": each, "in": "query", "schema": {"type": "string"}} for each in _QUERY]


def _v2_parameters() -> list[JsonObject]:
    return [{"name": each, "in": "query", "type": "string"} for each in _QUERY]


_ACTIONS = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}


def _paths(
    resource: resources.Resource, body: JsonObject, *, parameters: list[JsonObject]
) -> JsonObject:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    if resource.namespaced:
        root += "/namespaces/{namespace}"
    collection, one = f"{root}/{resource.plural}", f"{root}/{resource.plural}/{{name}}"

    def operation(action: str) -> JsonObject:
        return {
            "description": f"{action} {resource.kind}",
            "operationId": f"{action}{resource.version}{resource.kind}{resource.group}",
            "parameters": parameters,
            "responses": {"200": {"description": "OK", **_content(body, parameters)}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _gvk(resource),
        }

    paths = {
        collection: {"get": operation("list"), "post": operation("post")},
        one: {method: operation(action) for method, action in _ACTIONS.items()},
    }
    if resource.has_status:
        paths[f"{one}/status"] = {method: operation(method) for method in ("get", "put", "patch")}
    return paths


def _content(body: JsonObject, parameters: list[JsonObject]) -> JsonObject:
    if "schema" in parameters[0]:
        return {"content": {"application/json": {"schema": body}}}
    return {"schema": body}
