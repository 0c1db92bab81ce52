"""Group objects for tests of their definitions, and how they are made on an API server."""

from typing import Any

import api

JsonObject = dict[str, Any]

GROUP = "groupsnapshot.storage.k8s.io"
VERSIONS = ["v1", "v1beta2", "v1beta1"]
STRICT = ["v1", "v1beta2"]  # the versions that keep a field which v1beta1 lets change
PLURALS = {
    "VolumeGroupSnapshot": "volumegroupsnapshots",
    "VolumeGroupSnapshotContent": "volumegroupsnapshotcontents",
    "VolumeGroupSnapshotClass": "volumegroupsnapshotclasses",
}
SELECTOR: JsonObject = {
    "matchLabels": {"app": "db"},
    "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}],
}
HANDLES: JsonObject = {"volumeGroupSnapshotHandle": "g", "volumeSnapshotHandles": ["s"]}
REFERENCE: JsonObject = {"name": "n", "namespace": "ns"}
CONTENT_SPEC: JsonObject = {
    "deletionPolicy": "Delete",
    "driver": "d",
    "source": {"volumeHandles": ["v", "w"]},
    "volumeGroupSnapshotRef": REFERENCE,
}


def group(source: JsonObject, **more: Any) -> JsonObject:
    return {"kind": "VolumeGroupSnapshot", "spec": {"source": source, **more}}


def content(**fields: Any) -> JsonObject:
    """A content with these fields; None leaves one out."""
    spec = {**CONTENT_SPEC, **fields}
    spec = {name: value for name, value in spec.items() if value is not None}
    return {"kind": "VolumeGroupSnapshotContent", "spec": spec}


def class_(**fields: Any) -> JsonObject:
    return {"kind": "VolumeGroupSnapshotClass", **fields}


SELECTED = group({"selector": SELECTOR}, volumeGroupSnapshotClassName="c")
NAMED = group({"volumeGroupSnapshotContentName": "a"})
CUT = content()
BOUND = content(
    volumeGroupSnapshotRef={**REFERENCE, "uid": "u"}, volumeGroupSnapshotClassName="gold"
)
GIVEN = content(source={"groupSnapshotHandles": HANDLES}, deletionPolicy="Retain")
CLASS = class_(driver="d", deletionPolicy="Delete", parameters={"a": "b"})


def where(space: str, kind: str, version: str) -> str:
    scope = f"/namespaces/{space}" if kind == "VolumeGroupSnapshot" else ""
    return f"/apis/{GROUP}/{version}{scope}/{PLURALS[kind]}"


def named(space: str, obj: JsonObject, version: str) -> JsonObject:
    return {"apiVersion": f"{GROUP}/{version}", "metadata": {"name": f"{space}-x"}, **obj}


async def made(cluster: api.Api, space: str, obj: JsonObject, version: str) -> str:
    """Create an object and return its path."""
    path = where(space, obj["kind"], version)
    answer = await cluster.create(path, named(space, obj, version))
    assert answer.body["apiVersion"] == f"{GROUP}/{version}"
    return f"{path}/{space}-x"
