"""Every rule of the group definitions, in each version that has it: accepted, refused, changed."""

import api
import pytest
from group_objects import (
    BOUND,
    CLASS,
    CONTENT_SPEC,
    CUT,
    GIVEN,
    GROUP,
    HANDLES,
    NAMED,
    REFERENCE,
    SELECTED,
    SELECTOR,
    STRICT,
    VERSIONS,
    JsonObject,
    class_,
    content,
    group,
    made,
    named,
    where,
)

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]

ACCEPTED = [
    SELECTED,
    group({"selector": {}}),
    group({"selector": {"matchLabels": {"a": "b"}}}),
    NAMED,
    CUT,
    BOUND,
    GIVEN,
    class_(driver="d", deletionPolicy="Retain"),
    CLASS,
]

ONE_SOURCE = "exactly one of selector and volumeGroupSnapshotContentName must be set"
ONE_CONTENT_SOURCE = "exactly one of volumeHandles and groupSnapshotHandles must be set"
WHOLE_REFERENCE = (
    "both volumeGroupSnapshotRef.name and volumeGroupSnapshotRef.namespace must be set"
)

REFUSED = [
    ({"kind": "VolumeGroupSnapshot"}, "spec: Required value"),
    ({"kind": "VolumeGroupSnapshot", "spec": {}}, "spec.source: Required value"),
    (group({}), ONE_SOURCE),
    (group({"selector": SELECTOR, "volumeGroupSnapshotContentName": "a"}), ONE_SOURCE),
    (
        group({"selector": {}}, volumeGroupSnapshotClassName=""),
        "volumeGroupSnapshotClassName must not be the empty string when set",
    ),
    (group({"selector": {"matchLabels": {"a": 1}}}), "must be of type string"),
    (group({"selector": {"matchExpressions": [{"key": "a"}]}}), "operator: Required value"),
    (group({"selector": {"matchExpressions": [{"operator": "In"}]}}), "key: Required value"),
    ({"kind": "VolumeGroupSnapshotContent"}, "spec: Required value"),
    *((content(**{field: None}), f"spec.{field}: Required value") for field in CONTENT_SPEC),
    (content(deletionPolicy="Keep"), 'Unsupported value: "Keep"'),
    (content(source={}), ONE_CONTENT_SOURCE),
    (content(source={"volumeHandles": [], "groupSnapshotHandles": HANDLES}), ONE_CONTENT_SOURCE),
    *(
        (content(source={"groupSnapshotHandles": {given: HANDLES[given]}}), "Required value")
        for given in HANDLES
    ),
    (content(volumeGroupSnapshotRef={"name": "n"}), WHOLE_REFERENCE),
    (content(volumeGroupSnapshotRef={"namespace": "ns"}), WHOLE_REFERENCE),
    (content(volumeGroupSnapshotRef={}), WHOLE_REFERENCE),
    (class_(driver="d"), "deletionPolicy: Required value"),
    (class_(deletionPolicy="Delete"), "driver: Required value"),
    (class_(driver="d", deletionPolicy="No"), "Unsupported value"),
    (class_(driver="d", deletionPolicy="Delete", parameters={"a": 1}), "must be of type string"),
]

UPDATES = [
    (SELECTED, {"source": {"selector": {"matchLabels": {"app": "x"}}}}, "selector is immutable"),
    (
        NAMED,
        {"source": {"volumeGroupSnapshotContentName": "b"}},
        "volumeGroupSnapshotContentName is immutable",
    ),
    (
        SELECTED,
        {"source": {"selector": None, "volumeGroupSnapshotContentName": "a"}},
        "selector is required once set",
    ),
    (
        NAMED,
        {"source": {"volumeGroupSnapshotContentName": None, "selector": SELECTOR}},
        "volumeGroupSnapshotContentName is required once set",
    ),
    (SELECTED, {"source": {"volumeGroupSnapshotContentName": "a"}}, ONE_SOURCE),
    (
        NAMED,
        {"volumeGroupSnapshotClassName": ""},
        "volumeGroupSnapshotClassName must not be the empty string when set",
    ),
    (CUT, {"source": {"volumeHandles": ["v"]}}, "volumeHandles is immutable"),
    (
        GIVEN,
        {"source": {"groupSnapshotHandles": {"volumeGroupSnapshotHandle": "h"}}},
        "groupSnapshotHandles is immutable",
    ),
    (
        CUT,
        {"source": {"volumeHandles": None, "groupSnapshotHandles": HANDLES}},
        "volumeHandles is required once set",
    ),
    (
        GIVEN,
        {"source": {"groupSnapshotHandles": None, "volumeHandles": ["v"]}},
        "groupSnapshotHandles is required once set",
    ),
    (CUT, {"source": {"groupSnapshotHandles": HANDLES}}, ONE_CONTENT_SOURCE),
    (CUT, {"volumeGroupSnapshotRef": {"name": None}}, WHOLE_REFERENCE),
    (CUT, {"volumeGroupSnapshotRef": {"namespace": None}}, WHOLE_REFERENCE),
    (CUT, {"deletionPolicy": "Keep"}, "Unsupported value"),
]

# Refused in v1 and v1beta2, allowed in v1beta1; the fields of a class are not below a spec.
ONCE = [
    (CUT, {"spec": {"driver": "e"}}, "driver is immutable once set"),
    (
        BOUND,
        {"spec": {"volumeGroupSnapshotClassName": "iron"}},
        "volumeGroupSnapshotClassName is immutable once set",
    ),
    (
        CUT,
        {"spec": {"volumeGroupSnapshotRef": {"name": "other"}}},
        "volumeGroupSnapshotRef.name and volumeGroupSnapshotRef.namespace are immutable",
    ),
    (
        CUT,
        {"spec": {"volumeGroupSnapshotRef": {"namespace": "other"}}},
        "volumeGroupSnapshotRef.name and volumeGroupSnapshotRef.namespace are immutable",
    ),
    (
        BOUND,
        {"spec": {"volumeGroupSnapshotRef": {"uid": "other"}}},
        "volumeGroupSnapshotRef.uid is immutable once set",
    ),
    (
        BOUND,
        {"spec": {"volumeGroupSnapshotRef": {"uid": None}}},
        "volumeGroupSnapshotRef.uid is immutable once set",
    ),
    (CLASS, {"driver": "e"}, "driver is immutable once set"),
    (CLASS, {"deletionPolicy": "Retain"}, "deletionPolicy is immutable once set"),
    (CLASS, {"parameters": {"a": "c"}}, "parameters are immutable once set"),
    (CLASS, {"parameters": {"b": "c"}}, "parameters are immutable once set"),
]

CHANGES = [
    (SELECTED, {"spec": {"volumeGroupSnapshotClassName": "other"}}),
    (SELECTED, {"metadata": {"annotations": {"a": "b"}}}),
    (NAMED, {"metadata": {"annotations": {"a": "b"}}}),
    (CUT, {"spec": {"deletionPolicy": "Retain"}}),
    (CUT, {"spec": {"volumeGroupSnapshotClassName": "gold"}}),
    (CUT, {"spec": {"volumeGroupSnapshotRef": {"uid": "u"}}}),
    (GIVEN, {"metadata": {"labels": {"a": "b"}}}),
    (CLASS, {"metadata": {"labels": {"a": "b"}}}),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("obj", ACCEPTED)
async def test_a_sound_group_object_is_accepted(
    cluster: api.Api, space: str, obj: JsonObject, version: str
) -> None:
    path = await made(cluster, space, obj, version)
    found = await cluster.ask("GET", path)
    assert {field: found.body[field] for field in obj} == obj


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("obj", "told"), REFUSED)
async def test_an_unsound_group_object_is_refused(
    cluster: api.Api, space: str, obj: JsonObject, told: str, version: str
) -> None:
    path = where(space, obj["kind"], version)
    answer = await cluster.ask("POST", path, named(space, obj, version))
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("obj", "spec", "told"), UPDATES)
async def test_a_change_that_no_version_allows_is_refused(  # noqa: PLR0917 - a table's row
    cluster: api.Api, space: str, obj: JsonObject, spec: JsonObject, told: str, version: str
) -> None:
    path = await made(cluster, space, obj, version)
    answer = await cluster.ask("PATCH", path, {"spec": spec}, kind=api.MERGE)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]


@pytest.mark.parametrize("version", STRICT)
@pytest.mark.parametrize(("obj", "change", "told"), ONCE)
async def test_what_is_set_once_stays(  # noqa: PLR0917 - a table's row
    cluster: api.Api, space: str, obj: JsonObject, change: JsonObject, told: str, version: str
) -> None:
    path = await made(cluster, space, obj, version)
    answer = await cluster.ask("PATCH", path, change, kind=api.MERGE)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]


@pytest.mark.parametrize(("obj", "change", "told"), ONCE)
async def test_the_oldest_version_lets_it_change(
    cluster: api.Api, space: str, obj: JsonObject, change: JsonObject, told: str
) -> None:
    del told
    path = await made(cluster, space, obj, "v1beta1")
    answer = await cluster.ask("PATCH", path, change, kind=api.MERGE)
    assert answer.code == 200, answer.body


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("obj", "change"), CHANGES)
async def test_a_change_of_a_group_object_that_may_be_is_made(
    cluster: api.Api, space: str, obj: JsonObject, change: JsonObject, version: str
) -> None:
    path = await made(cluster, space, obj, version)
    answer = await cluster.ask("PATCH", path, change, kind=api.MERGE)
    assert answer.code == 200, answer.body


@pytest.mark.parametrize("version", STRICT)
async def test_an_empty_uid_is_no_uid_yet(cluster: api.Api, space: str, version: str) -> None:
    obj = content(volumeGroupSnapshotRef={**REFERENCE, "uid": ""})
    path = await made(cluster, space, obj, version)
    change = {"spec": {"volumeGroupSnapshotRef": {"uid": "u"}}}
    answer = await cluster.ask("PATCH", path, change, kind=api.MERGE)
    assert answer.code == 200, answer.body


@pytest.mark.parametrize("version", STRICT)
async def test_contents_are_selected_by_their_driver(
    cluster: api.Api, space: str, version: str
) -> None:
    obj = content(driver=f"{space}.example.com")
    await made(cluster, space, obj, version)
    path = where(space, obj["kind"], version)
    for driver, count in ((f"{space}.example.com", 1), ("another", 0)):
        found = await cluster.ask("GET", f"{path}?fieldSelector=spec.driver%3D{driver}")
        assert len(found.body["items"]) == count


async def test_the_oldest_version_is_served_with_a_warning(cluster: api.Api, space: str) -> None:
    for kind, obj in (("VolumeGroupSnapshot", NAMED), ("VolumeGroupSnapshotContent", CUT)):
        path = where(space, kind, "v1beta1")
        answer = await cluster.create(path, named(space, obj, "v1beta1"))
        told = f"{GROUP}/v1beta1 {kind} is deprecated; use {GROUP}/v1 {kind}"
        assert any(told in each for each in answer.warnings)


COLUMNS = {
    "VolumeGroupSnapshot": (
        SELECTED,
        "Name ReadyToUse VolumeGroupSnapshotClass VolumeGroupSnapshotContent CreationTime Age",
    ),
    "VolumeGroupSnapshotContent": (
        CUT,
        (
            "Name ReadyToUse DeletionPolicy Driver VolumeGroupSnapshotClass "
            "VolumeGroupSnapshotNamespace VolumeGroupSnapshot Age"
        ),
    ),
    "VolumeGroupSnapshotClass": (CLASS, "Name Driver DeletionPolicy Age"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", COLUMNS)
async def test_the_columns_are_those_of_the_reference(
    cluster: api.Api, space: str, kind: str, version: str
) -> None:
    obj, columns = COLUMNS[kind]
    path = await made(cluster, space, obj, version)
    table = await cluster.ask("GET", path, accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    names = [each["name"] for each in table.body["columnDefinitions"]]
    assert names == columns.split()
