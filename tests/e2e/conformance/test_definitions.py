"""Every rule of the snapshot definitions: what is accepted, refused, and refused as a change."""

from typing import Any

import api
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]

JsonObject = dict[str, Any]

CONTENT_SPEC: JsonObject = {
    "deletionPolicy": "Delete",
    "driver": "d",
    "source": {"volumeHandle": "v"},
    "volumeSnapshotRef": {"name": "n", "namespace": "ns"},
}


def without(spec: JsonObject, name: str) -> JsonObject:
    return {key: value for key, value in spec.items() if key != name}


def snapshot(spec: JsonObject) -> JsonObject:
    return {"kind": "VolumeSnapshot", "spec": spec}


def content(spec: JsonObject) -> JsonObject:
    return {"kind": "VolumeSnapshotContent", "spec": spec}


def class_(fields: JsonObject) -> JsonObject:
    return {"kind": "VolumeSnapshotClass", **fields}


PLURALS = {
    "VolumeSnapshot": "volumesnapshots",
    "VolumeSnapshotContent": "volumesnapshotcontents",
    "VolumeSnapshotClass": "volumesnapshotclasses",
}


def where(space: str, kind: str, version: str = "v1") -> str:
    root = f"/apis/snapshot.storage.k8s.io/{version}"
    scope = f"/namespaces/{space}" if kind == "VolumeSnapshot" else ""
    return f"{root}{scope}/{PLURALS[kind]}"


def named(space: str, obj: JsonObject, version: str = "v1") -> JsonObject:
    api_version = f"snapshot.storage.k8s.io/{version}"
    return {"apiVersion": api_version, "metadata": {"name": f"{space}-x"}, **obj}


ACCEPTED = [
    snapshot({"source": {"persistentVolumeClaimName": "a"}}),
    snapshot({"source": {"volumeSnapshotContentName": "a"}}),
    snapshot({"source": {"persistentVolumeClaimName": "a"}, "volumeSnapshotClassName": "c"}),
    snapshot({"source": {"persistentVolumeClaimName": ""}}),
    content(CONTENT_SPEC),
    content({**CONTENT_SPEC, "source": {"snapshotHandle": "s"}}),
    content({**CONTENT_SPEC, "deletionPolicy": "Retain", "sourceVolumeMode": "Block"}),
    class_({"driver": "d", "deletionPolicy": "Delete"}),
    class_({"driver": "d", "deletionPolicy": "Retain", "parameters": {"a": "b"}}),
]

REFUSED = [
    (snapshot({}), "spec.source: Required value"),
    (snapshot({"source": {}}), "exactly one of volumeSnapshotContentName and persistentVolume"),
    (
        snapshot({"source": {"persistentVolumeClaimName": "a", "volumeSnapshotContentName": "b"}}),
        "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set",
    ),
    (
        snapshot({"source": {"persistentVolumeClaimName": "a"}, "volumeSnapshotClassName": ""}),
        "volumeSnapshotClassName must not be the empty string when set",
    ),
    (snapshot({"source": {"persistentVolumeClaimName": 3}}), "must be of type string"),
    *(
        (content(without(CONTENT_SPEC, field)), f"spec.{field}: Required value")
        for field in CONTENT_SPEC
    ),
    (content({**CONTENT_SPEC, "deletionPolicy": "Keep"}), 'Unsupported value: "Keep"'),
    (content({**CONTENT_SPEC, "source": {}}), "exactly one of volumeHandle and snapshotHandle"),
    (
        content({**CONTENT_SPEC, "source": {"volumeHandle": "a", "snapshotHandle": "b"}}),
        "exactly one of volumeHandle and snapshotHandle must be set",
    ),
    *(
        (
            content({**CONTENT_SPEC, "volumeSnapshotRef": reference}),
            "both spec.volumeSnapshotRef.name and spec.volumeSnapshotRef.namespace must be set",
        )
        for reference in ({"name": "n"}, {"namespace": "ns"}, {})
    ),
    (class_({"driver": "d"}), "deletionPolicy: Required value"),
    (class_({"deletionPolicy": "Delete"}), "driver: Required value"),
    (class_({"driver": "d", "deletionPolicy": "No"}), "Unsupported value"),
    (class_({"driver": "d", "deletionPolicy": "Delete", "parameters": {"a": 1}}), "type string"),
]

UPDATES = [
    (ACCEPTED[0], {"spec": {"source": {"persistentVolumeClaimName": "b"}}}, "is immutable"),
    (ACCEPTED[1], {"spec": {"source": {"volumeSnapshotContentName": "b"}}}, "is immutable"),
    (
        ACCEPTED[1],
        {"spec": {"source": {"volumeSnapshotContentName": None, "persistentVolumeClaimName": "a"}}},
        "volumeSnapshotContentName is required once set",
    ),
    (ACCEPTED[4], {"spec": {"source": {"volumeHandle": "w"}}}, "volumeHandle is immutable"),
    (ACCEPTED[5], {"spec": {"source": {"snapshotHandle": "w"}}}, "snapshotHandle is immutable"),
    (
        ACCEPTED[4],
        {"spec": {"source": {"volumeHandle": None, "snapshotHandle": "s"}}},
        "volumeHandle is required once set",
    ),
    (
        ACCEPTED[5],
        {"spec": {"source": {"snapshotHandle": None, "volumeHandle": "s"}}},
        "snapshotHandle is required once set",
    ),
    (ACCEPTED[6], {"spec": {"sourceVolumeMode": None}}, "sourceVolumeMode is required once set"),
    (ACCEPTED[6], {"spec": {"sourceVolumeMode": "Filesystem"}}, "sourceVolumeMode is immutable"),
]

CHANGES = [
    (ACCEPTED[0], {"spec": {"volumeSnapshotClassName": "other"}}),
    (ACCEPTED[0], {"metadata": {"annotations": {"a": "b"}}}),
    (ACCEPTED[4], {"spec": {"deletionPolicy": "Retain"}}),
    (ACCEPTED[4], {"spec": {"sourceVolumeMode": "Filesystem"}}),
    (ACCEPTED[4], {"spec": {"volumeSnapshotRef": {"uid": "u"}}}),
    (ACCEPTED[7], {"driver": "other", "deletionPolicy": "Retain"}),
]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("obj", ACCEPTED)
async def test_a_sound_object_is_accepted(
    cluster: api.Api, space: str, obj: JsonObject, version: str
) -> None:
    made = await cluster.create(where(space, obj["kind"], version), named(space, obj, version))
    assert made.body["apiVersion"] == f"snapshot.storage.k8s.io/{version}"


@pytest.mark.parametrize(("obj", "told"), REFUSED)
async def test_an_unsound_object_is_refused(
    cluster: api.Api, space: str, obj: JsonObject, told: str
) -> None:
    answer = await cluster.ask("POST", where(space, obj["kind"]), named(space, obj))
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]


@pytest.mark.parametrize(("obj", "change", "told"), UPDATES)
async def test_a_change_that_may_not_be_is_refused(
    cluster: api.Api, space: str, obj: JsonObject, change: JsonObject, told: str
) -> None:
    path = where(space, obj["kind"])
    await cluster.create(path, named(space, obj))
    answer = await cluster.ask("PATCH", f"{path}/{space}-x", change, kind=api.MERGE)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]


@pytest.mark.parametrize(("obj", "change"), CHANGES)
async def test_a_change_that_may_be_is_made(
    cluster: api.Api, space: str, obj: JsonObject, change: JsonObject
) -> None:
    path = where(space, obj["kind"])
    await cluster.create(path, named(space, obj))
    answer = await cluster.ask("PATCH", f"{path}/{space}-x", change, kind=api.MERGE)
    assert answer.code == 200, answer.body


async def test_a_reference_that_is_bound_keeps_its_name(cluster: api.Api, space: str) -> None:
    """A merge patch of the uid alone: the reference is atomic to owners, not to patches."""
    path = where(space, "VolumeSnapshotContent")
    await cluster.create(path, named(space, ACCEPTED[4]))
    change = {"spec": {"volumeSnapshotRef": {"uid": "u"}}}
    answer = await cluster.ask("PATCH", f"{path}/{space}-x", change, kind=api.MERGE)
    reference = answer.body["spec"]["volumeSnapshotRef"]
    assert reference == {"name": "n", "namespace": "ns", "uid": "u"}


@pytest.mark.parametrize(
    "status",
    [{"restoreSize": "1Gi"}, {"creationTime": "2026-01-01T00:00:00Z"}, {"readyToUse": True}],
)
async def test_a_sound_status_is_accepted(cluster: api.Api, space: str, status: JsonObject) -> None:
    path = where(space, "VolumeSnapshot")
    await cluster.create(path, named(space, ACCEPTED[0]))
    change = {"status": status}
    answer = await cluster.ask("PATCH", f"{path}/{space}-x/status", change, kind=api.MERGE)
    assert answer.body["status"] == status


@pytest.mark.parametrize(
    "status",
    [{"restoreSize": "much"}, {"creationTime": "today"}, {"readyToUse": "yes"}, {"error": "x"}],
)
async def test_an_unsound_status_is_refused(
    cluster: api.Api, space: str, status: JsonObject
) -> None:
    path = where(space, "VolumeSnapshot")
    await cluster.create(path, named(space, ACCEPTED[0]))
    change = {"status": status}
    answer = await cluster.ask("PATCH", f"{path}/{space}-x/status", change, kind=api.MERGE)
    assert answer.code == 422, answer.body
