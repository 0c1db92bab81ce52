"""What a client can see of objects: the same on the embedded server and on the real one."""

import api
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]

SNAPSHOTS = api.SNAPSHOTS


def snapshot(name: str = "a", **metadata: object) -> api.JsonObject:
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name, **metadata},
        "spec": {"source": {"persistentVolumeClaimName": "claim"}},
    }


def path(space: str, name: str = "", *, version: str = "v1") -> str:
    root = f"/apis/snapshot.storage.k8s.io/{version}/namespaces/{space}/volumesnapshots"
    return f"{root}/{name}" if name else root


async def test_a_new_object_gets_what_only_the_server_gives(cluster: api.Api, space: str) -> None:
    made = await cluster.create(path(space), snapshot())
    meta = made.body["metadata"]
    assert meta["generation"] == 1
    assert meta["namespace"] == space
    assert int(meta["resourceVersion"]) > 0
    assert {"uid", "creationTimestamp", "managedFields"} <= meta.keys()


async def test_a_name_is_made_from_generate_name(cluster: api.Api, space: str) -> None:
    body = snapshot()
    body["metadata"] = {"generateName": "snap-"}
    made = await cluster.create(path(space), body)
    name = made.body["metadata"]["name"]
    assert name.startswith("snap-")
    assert len(name) == len("snap-") + 5


async def test_a_taken_name_is_409_already_exists(cluster: api.Api, space: str) -> None:
    await cluster.create(path(space), snapshot())
    answer = await cluster.ask("POST", path(space), snapshot())
    assert (answer.code, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.body["details"]["name"] == "a"


async def test_a_missing_object_is_404(cluster: api.Api, space: str) -> None:
    answer = await cluster.ask("GET", path(space, "nothing"))
    assert (answer.code, answer.body["reason"]) == (404, "NotFound")
    message = 'volumesnapshots.snapshot.storage.k8s.io "nothing" not found'
    assert answer.body["message"] == message


async def test_a_missing_namespace_is_404(cluster: api.Api, space: str) -> None:
    answer = await cluster.ask("POST", path(f"{space}-no"), snapshot())
    assert (answer.code, answer.body["reason"]) == (404, "NotFound")


async def test_an_unknown_path_is_404(cluster: api.Api, space: str) -> None:
    answer = await cluster.ask("GET", f"{SNAPSHOTS}/namespaces/{space}/nothings")
    assert answer.code == 404


async def test_a_stale_put_is_409_conflict(cluster: api.Api, space: str) -> None:
    made = await cluster.create(path(space), snapshot())
    await cluster.ask(
        "PATCH", path(space, "a"), {"metadata": {"labels": {"x": "y"}}}, kind=api.MERGE
    )
    answer = await cluster.ask("PUT", path(space, "a"), made.body)
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")


async def test_a_patch_with_a_stale_version_is_409(cluster: api.Api, space: str) -> None:
    made = await cluster.create(path(space), snapshot())
    change = {"metadata": {"labels": {"x": "1"}, "resourceVersion": made.version}}
    first = await cluster.ask("PATCH", path(space, "a"), change, kind=api.MERGE)
    assert first.code == 200
    change = {"metadata": {"labels": {"x": "2"}, "resourceVersion": made.version}}
    second = await cluster.ask("PATCH", path(space, "a"), change, kind=api.MERGE)
    assert (second.code, second.body["reason"]) == (409, "Conflict")


async def test_a_write_that_changes_nothing_takes_no_version(cluster: api.Api, space: str) -> None:
    made = await cluster.create(path(space), snapshot(labels={"x": "y"}))
    change = {"metadata": {"labels": {"x": "y"}}}
    answer = await cluster.ask("PATCH", path(space, "a"), change, kind=api.MERGE)
    assert answer.version == made.version


async def test_status_and_the_rest_are_kept_apart(cluster: api.Api, space: str) -> None:
    body = {**snapshot(), "status": {"readyToUse": True}}
    made = await cluster.create(path(space), body)
    assert "status" not in made.body
    main = await cluster.ask(
        "PATCH", path(space, "a"), {"status": {"readyToUse": True}}, kind=api.MERGE
    )
    assert "status" not in main.body
    change = {
        "status": {"readyToUse": False},
        "spec": {"volumeSnapshotClassName": "sneaked"},
    }
    status = await cluster.ask("PATCH", path(space, "a") + "/status", change, kind=api.MERGE)
    assert status.body["status"] == {"readyToUse": False}
    assert "volumeSnapshotClassName" not in status.body["spec"]
    assert status.body["metadata"]["generation"] == 1


async def test_generation_counts_changes_of_the_spec_alone(cluster: api.Api, space: str) -> None:
    await cluster.create(path(space), snapshot())
    labelled = await cluster.ask(
        "PATCH", path(space, "a"), {"metadata": {"labels": {"x": "y"}}}, kind=api.MERGE
    )
    assert labelled.body["metadata"]["generation"] == 1
    changed = await cluster.ask(
        "PATCH", path(space, "a"), {"spec": {"volumeSnapshotClassName": "c"}}, kind=api.MERGE
    )
    assert changed.body["metadata"]["generation"] == 2


async def test_a_finalizer_holds_an_object_and_its_end_lets_it_go(
    cluster: api.Api, space: str
) -> None:
    await cluster.create(path(space), snapshot(finalizers=["example.com/hold"]))
    held = await cluster.ask("DELETE", path(space, "a"))
    assert held.code == 200
    assert "deletionTimestamp" in held.body["metadata"]
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    refused = await cluster.ask("PATCH", path(space, "a"), more, kind=api.MERGE)
    assert refused.code == 422
    freed = await cluster.ask(
        "PATCH", path(space, "a"), {"metadata": {"finalizers": None}}, kind=api.MERGE
    )
    assert freed.code == 200
    assert (await cluster.ask("GET", path(space, "a"))).code == 404


async def test_a_deletion_keeps_to_its_preconditions(cluster: api.Api, space: str) -> None:
    made = await cluster.create(path(space), snapshot())
    wrong = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    answer = await cluster.ask("DELETE", path(space, "a"), wrong)
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    right = {**wrong, "preconditions": {"uid": made.body["metadata"]["uid"]}}
    done = await cluster.ask("DELETE", path(space, "a"), right)
    assert (done.code, done.body["status"]) == (200, "Success")


async def test_a_json_patch_may_replace_what_is_not_there(cluster: api.Api, space: str) -> None:
    """Lenient, as the server's library is: the reference's sidecar relies on it."""
    await cluster.create(path(space), snapshot(annotations={"a": "b"}))
    change = [{"op": "replace", "path": "/metadata/annotations/new", "value": "x"}]
    answer = await cluster.ask("PATCH", path(space, "a"), change, kind=api.JSON_PATCH)
    assert answer.code == 200, answer.body
    assert answer.body["metadata"]["annotations"] == {"a": "b", "new": "x"}


async def test_a_json_patch_whose_test_fails_is_422(cluster: api.Api, space: str) -> None:
    await cluster.create(path(space), snapshot())
    change = [{"op": "test", "path": "/metadata/name", "value": "another"}]
    answer = await cluster.ask("PATCH", path(space, "a"), change, kind=api.JSON_PATCH)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")


async def test_a_strategic_patch_is_for_built_in_kinds(cluster: api.Api, space: str) -> None:
    await cluster.create(path(space), snapshot())
    answer = await cluster.ask("PATCH", path(space, "a"), {}, kind=api.STRATEGIC)
    assert (answer.code, answer.body["reason"]) == (415, "UnsupportedMediaType")
    configs = f"/api/v1/namespaces/{space}/configmaps"
    body = {"metadata": {"name": "c", "finalizers": ["example.com/a"]}, "data": {"x": "1"}}
    await cluster.create(configs, body)
    change = {"metadata": {"finalizers": ["example.com/b"]}, "data": {"y": "2"}}
    merged = await cluster.ask("PATCH", f"{configs}/c", change, kind=api.STRATEGIC)
    assert merged.body["data"] == {"x": "1", "y": "2"}
    assert set(merged.body["metadata"]["finalizers"]) == {"example.com/a", "example.com/b"}


async def test_nothing_is_stored_by_a_dry_run(cluster: api.Api, space: str) -> None:
    answer = await cluster.ask("POST", path(space) + "?dryRun=All", snapshot())
    assert answer.code == 201
    assert (await cluster.ask("GET", path(space, "a"))).code == 404


@pytest.mark.parametrize(("mode", "code"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
async def test_unknown_fields_are_told_as_asked(
    cluster: api.Api, space: str, mode: str, code: int
) -> None:
    body = snapshot()
    body["spec"]["nonsense"] = 1
    answer = await cluster.ask("POST", path(space) + f"?fieldValidation={mode}", body)
    assert answer.code == code
    if mode == "Strict":
        assert 'unknown field "spec.nonsense"' in answer.body["message"]
    else:
        assert "nonsense" not in answer.body["spec"]
        assert bool(answer.warnings) == (mode == "Warn")


async def test_the_old_version_is_served_with_a_warning(cluster: api.Api, space: str) -> None:
    body = {**snapshot(), "apiVersion": "snapshot.storage.k8s.io/v1beta1"}
    made = await cluster.create(path(space, version="v1beta1"), body)
    assert made.body["apiVersion"] == "snapshot.storage.k8s.io/v1beta1"
    assert any("v1beta1 VolumeSnapshot is deprecated" in each for each in made.warnings)
    new = await cluster.ask("GET", path(space, "a"))
    assert new.body["apiVersion"] == "snapshot.storage.k8s.io/v1"


async def test_applying_moves_ownership_and_removes_what_is_not_applied(
    cluster: api.Api, space: str
) -> None:
    def applied(**labels: str) -> api.JsonObject:
        return {**snapshot(), "metadata": {"name": "a", "labels": labels}}

    where = path(space, "a") + "?fieldManager=one"
    first = await cluster.ask("PATCH", where, applied(x="1", y="1"), kind=api.APPLY)
    assert first.code == 201, first.body
    again = await cluster.ask("PATCH", where, applied(x="1", y="1"), kind=api.APPLY)
    assert (again.code, again.version) == (200, first.version)
    fewer = await cluster.ask("PATCH", where, applied(x="1"), kind=api.APPLY)
    assert fewer.body["metadata"]["labels"] == {"x": "1"}
    other = path(space, "a") + "?fieldManager=two"
    clash = await cluster.ask("PATCH", other, applied(x="2"), kind=api.APPLY)
    assert (clash.code, clash.body["reason"]) == (409, "Conflict")
    causes = clash.body["details"]["causes"]
    assert [each["field"] for each in causes] == [".metadata.labels.x"]
    forced = await cluster.ask("PATCH", other + "&force=true", applied(x="2"), kind=api.APPLY)
    assert forced.body["metadata"]["labels"] == {"x": "2"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"persistentVolumeClaimName": "other"}, "persistentVolumeClaimName is immutable"),
        (
            {"persistentVolumeClaimName": None, "volumeSnapshotContentName": "c"},
            "persistentVolumeClaimName is required once set",
        ),
        (
            {"volumeSnapshotContentName": "c"},
            "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set",
        ),
    ],
)
async def test_the_source_never_changes(
    cluster: api.Api, space: str, change: api.JsonObject, told: str
) -> None:
    await cluster.create(path(space), snapshot())
    answer = await cluster.ask(
        "PATCH", path(space, "a"), {"spec": {"source": change}}, kind=api.MERGE
    )
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert told in answer.body["message"]
    assert any("spec.source" in each["field"] for each in answer.body["details"]["causes"])
