"""Group objects between their versions: lossless, whatever they hold, and never an exception."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshotd.model import conversion, names

JsonObject = dict[str, Any]

GROUP = "groupsnapshot.storage.k8s.io"
CONTENT = "VolumeGroupSnapshotContent"
KINDS = ["VolumeGroupSnapshot", CONTENT, "VolumeGroupSnapshotClass"]
VERSIONS = ["v1", "v1beta2", "v1beta1"]
LISTED = ["v1", "v1beta2"]  # where a content lists all that is known of its snapshots
ANNOTATION = "groupsnapshot.storage.kubernetes.io/volume-snapshot-info-list"
RESERVED = {"volumeSnapshotInfoList", "volumeSnapshotHandlePairList"}
DETAILS = {"creationTime", "readyToUse", "restoreSize"}

words = st.text(st.characters(codec="utf-8"), max_size=5)
numbers = st.integers(-(1 << 63), (1 << 63) - 1)
plain = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    plain | words,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=3),
    max_leaves=6,
)
handles = st.fixed_dictionaries({}, optional={"volumeHandle": words, "snapshotHandle": words})
details = st.fixed_dictionaries(
    {}, optional={"creationTime": numbers, "readyToUse": st.booleans(), "restoreSize": numbers}
)
unknown = st.dictionaries(words.filter(lambda name: name not in DETAILS), anything, max_size=2)
pairs = st.builds(lambda first, second: {**first, **second}, unknown, handles)
entries = st.builds(lambda first, second: {**first, **second}, pairs, details)
annotations = st.dictionaries(words, words, min_size=1, max_size=2)
metadata = st.builds(
    lambda known, more: {**more, **known},
    st.fixed_dictionaries({"name": words}, optional={"annotations": annotations}),
    st.dictionaries(words.filter(lambda name: name != "annotations"), anything, max_size=2),
)
TOP = {"apiVersion", "kind", "metadata", "status"}
rest = st.dictionaries(words.filter(lambda name: name not in TOP), anything, max_size=3)
others = st.dictionaries(words.filter(lambda name: name not in RESERVED), anything, max_size=2)


def contents(version: str, field: str, members: st.SearchStrategy[Any]) -> Any:
    """Return a strategy for contents of a version whose status lists `members` in `field`."""
    listed = st.fixed_dictionaries({}, optional={field: st.lists(members, max_size=4) | st.none()})
    status = st.builds(lambda first, second: {**first, **second}, others, listed)
    fixed = {"apiVersion": st.just(f"{GROUP}/{version}"), "kind": st.just(CONTENT)}
    known = st.fixed_dictionaries({**fixed, "metadata": metadata}, optional={"status": status})
    return st.builds(lambda first, second: {**first, **second}, rest, known)


def asked(objects: list[Any], version: str) -> JsonObject:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {
            "uid": "u",
            "desiredAPIVersion": f"{GROUP}/{version}",
            "objects": objects,
        },
    }


def converted(obj: JsonObject, version: str) -> JsonObject:
    """Convert one object by a whole review, and see that nothing given was changed."""
    review = asked([obj], version)
    before = copy.deepcopy(review)
    answer = conversion.review(review)
    assert review == before
    assert answer["response"]["result"] == {"status": "Success"}
    [new] = answer["response"]["convertedObjects"]
    assert new["apiVersion"] == f"{GROUP}/{version}"
    assert isinstance(new, dict)
    return new


def failed(objects: list[Any], desired: str) -> str:
    review = asked(objects, "v1")
    review["request"]["desiredAPIVersion"] = desired
    response = conversion.review(review)["response"]
    assert response["uid"] == "u"
    assert response["result"]["status"] == "Failure"
    assert response["convertedObjects"] == []
    return str(response["result"]["message"])


ENTRY: JsonObject = {
    "volumeHandle": "v",
    "snapshotHandle": "s",
    "creationTime": 1,
    "readyToUse": True,
    "restoreSize": 2,
}
PAIR: JsonObject = {"volumeHandle": "v", "snapshotHandle": "s"}


def content(version: str, status: JsonObject | None = None, **meta: Any) -> JsonObject:
    obj = {"apiVersion": f"{GROUP}/{version}", "kind": CONTENT, "metadata": {"name": "c", **meta}}
    return obj if status is None else {**obj, "status": status}


@given(st.data(), st.sampled_from(LISTED), st.sampled_from(VERSIONS))
def test_what_lists_snapshots_comes_back_as_it_was(data: Any, home: str, abroad: str) -> None:
    obj = data.draw(contents(home, "volumeSnapshotInfoList", entries | anything))
    assert converted(converted(obj, abroad), home) == obj


@given(st.data(), st.sampled_from(VERSIONS))
def test_what_lists_pairs_comes_back_as_it_was(data: Any, abroad: str) -> None:
    obj = data.draw(contents("v1beta1", "volumeSnapshotHandlePairList", pairs))
    assert converted(converted(obj, abroad), "v1beta1") == obj


@given(st.data(), st.lists(st.sampled_from(VERSIONS), max_size=5), st.sampled_from(LISTED))
def test_no_way_around_loses_anything(data: Any, way: list[str], home: str) -> None:
    obj = now = data.draw(contents(home, "volumeSnapshotInfoList", entries))
    for version in [*way, home]:
        now = converted(now, version)
    assert now == obj


@given(rest, metadata, st.sampled_from(VERSIONS), st.sampled_from(VERSIONS))
def test_groups_and_classes_change_nothing_but_their_version(
    more: JsonObject, meta: JsonObject, before: str, after: str
) -> None:
    for kind in KINDS:
        if kind != CONTENT:
            obj = {**more, "apiVersion": f"{GROUP}/{before}", "kind": kind, "metadata": meta}
            assert converted(obj, after) == {**obj, "apiVersion": f"{GROUP}/{after}"}


@given(anything, st.lists(anything, max_size=2), st.sampled_from([*VERSIONS, "v2", ""]))
def test_whatever_is_asked_there_is_an_answer(document: Any, objects: Any, version: str) -> None:
    with contextlib.suppress(conversion.NoReview):
        conversion.review(document)
    answer = conversion.review(asked(objects, version))
    assert answer["response"]["result"]["status"] in {"Success", "Failure"}


@given(anything, anything, anything, st.sampled_from(VERSIONS), st.sampled_from(VERSIONS))
def test_an_odd_content_is_converted_all_the_same(
    meta: Any, status: Any, listed: Any, before: str, after: str
) -> None:
    for odd in (status, dict.fromkeys(RESERVED, listed)):
        obj = {**content(before), "metadata": meta, "status": odd}
        converted(obj, after)


@pytest.mark.parametrize("version", LISTED)
def test_pairs_hold_the_handles_and_an_annotation_the_rest(version: str) -> None:
    obj = content(version, {"volumeSnapshotInfoList": [ENTRY], "readyToUse": True})
    old = converted(obj, "v1beta1")
    assert old["status"] == {"volumeSnapshotHandlePairList": [PAIR], "readyToUse": True}
    assert json.loads(old["metadata"]["annotations"][ANNOTATION]) == [ENTRY]
    assert names.INFO_LIST_ANNOTATION == ANNOTATION


@pytest.mark.parametrize("version", LISTED)
def test_the_annotation_becomes_the_list_again(version: str) -> None:
    kept = {ANNOTATION: json.dumps([ENTRY]), "other": "stays"}
    obj = content("v1beta1", {"volumeSnapshotHandlePairList": [PAIR]}, annotations=kept)
    new = converted(obj, version)
    assert new["status"] == {"volumeSnapshotInfoList": [ENTRY]}
    assert new["metadata"]["annotations"] == {"other": "stays"}


def test_pairs_without_an_annotation_become_the_list() -> None:
    new = converted(content("v1beta1", {"volumeSnapshotHandlePairList": [PAIR]}), "v1")
    assert new == content("v1", {"volumeSnapshotInfoList": [PAIR]})


def test_what_an_old_client_changed_holds_and_the_rest_keeps_its_details() -> None:
    other = {"volumeHandle": "w", "snapshotHandle": "t", "readyToUse": False}
    fresh = {"volumeHandle": "v", "snapshotHandle": "new"}
    kept = {ANNOTATION: json.dumps([ENTRY, other])}
    told = {"volumeSnapshotHandlePairList": [{"volumeHandle": "w", "snapshotHandle": "t"}, fresh]}
    new = converted(content("v1beta1", told, annotations=kept), "v1")
    assert new["status"]["volumeSnapshotInfoList"] == [other, fresh]
    assert "annotations" not in new["metadata"]


def test_an_old_client_that_drops_unknown_fields_does_no_harm() -> None:
    entry = {**ENTRY, "field": "of tomorrow"}
    old = converted(content("v1", {"volumeSnapshotInfoList": [entry]}), "v1beta1")
    old["status"]["volumeSnapshotHandlePairList"] = [PAIR]
    assert converted(old, "v1")["status"]["volumeSnapshotInfoList"] == [entry]


def test_an_annotation_alone_says_nothing_of_a_status() -> None:
    """Whoever may write metadata could else write a status."""
    obj = content("v1beta1", annotations={ANNOTATION: json.dumps([ENTRY])})
    assert converted(obj, "v1") == content("v1")


@pytest.mark.parametrize("text", ["", "{", "{}", "null", "[" * 100_000, '["x"]', 5])
def test_an_annotation_that_cannot_be_read_costs_the_details_alone(text: Any) -> None:
    told = {"volumeSnapshotHandlePairList": [PAIR]}
    new = converted(content("v1beta1", told, annotations={ANNOTATION: text}), "v1")
    assert new == content("v1", {"volumeSnapshotInfoList": [PAIR]})


@pytest.mark.parametrize("version", ["v1alpha1", "v2", "", "v1/v1"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_version_is_told(kind: str, version: str) -> None:
    obj = {**content("v1"), "kind": kind}
    to, of = f"{GROUP}/{version}", {**obj, "apiVersion": f"{GROUP}/{version}"}
    assert f"from '{GROUP}/v1' to '{to}'" in failed([obj], to)
    assert f"from '{to}' to '{GROUP}/v1'" in failed([of], f"{GROUP}/v1")


@pytest.mark.parametrize("api", ["snapshot.storage.k8s.io/v1", "v1", None, 3, ["v1"]])
def test_another_group_is_told(api: Any) -> None:
    told = failed([{**content("v1"), "apiVersion": api}], f"{GROUP}/v1")
    assert f"unexpected conversion version from {api!r}" in told


@pytest.mark.parametrize("kind", ["VolumeSnapshot", "", None, 3])
def test_an_unknown_kind_is_told(kind: Any) -> None:
    told = failed([content("v1"), {**content("v1"), "kind": kind}], f"{GROUP}/v1beta2")
    assert told.startswith(f"objects[1]: kind {kind!r} is none of VolumeGroupSnapshot")


def test_what_no_json_can_hold_is_told() -> None:
    entry = {**ENTRY, "snapshotHandle": "\ud800"}
    obj = content("v1", {"volumeSnapshotInfoList": [entry]})
    assert "is no JSON" in failed([obj], f"{GROUP}/v1beta1")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "Status"}, "ConversionReview is expected"),
        ({"apiVersion": "apiextensions.k8s.io/v1beta1"}, "apiextensions.k8s.io/v1 ConversionRe"),
        ({"request": None}, "request: Required"),
        ({"request": {"uid": 1}}, "request.uid"),
        ({"request": {"uid": "u"}}, "request.desiredAPIVersion"),
        ({"request": {"uid": "u", "desiredAPIVersion": "v1"}}, "request.objects"),
    ],
)
def test_what_is_no_review_is_refused(change: JsonObject, told: str) -> None:
    with pytest.raises(conversion.NoReview, match=told):
        conversion.review({**asked([], "v1"), **change})


def test_the_answer_leaves_the_request_out_and_keeps_its_uid() -> None:
    answer = conversion.review(asked([content("v1")], "v1beta2"))
    assert answer == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "response": {
            "uid": "u",
            "result": {"status": "Success"},
            "convertedObjects": [content("v1beta2")],
        },
    }
