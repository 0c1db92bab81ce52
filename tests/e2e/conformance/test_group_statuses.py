"""Every rule of the statuses of the group definitions, in each version that has it."""

import api
import pytest
from group_objects import CUT, SELECTED, STRICT, VERSIONS, JsonObject, made

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]

# One status after the other: what the second says of the first.
STATUSES = [
    (
        SELECTED,
        {"boundVolumeGroupSnapshotContentName": "a"},
        {"boundVolumeGroupSnapshotContentName": "b"},
        "boundVolumeGroupSnapshotContentName is immutable once set",
    ),
    (
        CUT,
        {"volumeGroupSnapshotHandle": "g"},
        {"volumeGroupSnapshotHandle": "h"},
        "volumeGroupSnapshotHandle is immutable once set",
    ),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("obj", "first", "second", "told"), STATUSES)
async def test_a_name_in_a_status_may_be_cleared_but_not_changed(  # noqa: PLR0913, PLR0917
    cluster: api.Api,
    space: str,
    obj: JsonObject,
    first: JsonObject,
    second: JsonObject,
    told: str,
    version: str,
) -> None:
    path = await made(cluster, space, obj, version) + "/status"
    answer = await cluster.ask("PATCH", path, {"status": first}, kind=api.MERGE)
    assert answer.body["status"] == first
    answer = await cluster.ask("PATCH", path, {"status": second}, kind=api.MERGE)
    if version in STRICT:
        assert (answer.code, answer.body["reason"]) == (422, "Invalid")
        assert told in answer.body["message"]
    else:
        assert answer.code == 200, answer.body
    cleared = dict.fromkeys(first)
    answer = await cluster.ask("PATCH", path, {"status": cleared}, kind=api.MERGE)
    assert answer.code == 200, answer.body
    answer = await cluster.ask("PATCH", path, {"status": second}, kind=api.MERGE)
    assert answer.body["status"] == second


ENTRY: JsonObject = {
    "volumeHandle": "v",
    "snapshotHandle": "s",
    "creationTime": 1_700_000_000_000_000_001,
    "readyToUse": True,
    "restoreSize": 1 << 40,
}
CONTENT_STATUS: JsonObject = {
    "volumeGroupSnapshotHandle": "g",
    "creationTime": "2026-01-01T00:00:00Z",
    "readyToUse": False,
    "error": {"time": "2026-01-01T00:00:00Z", "message": "m"},
}


@pytest.mark.parametrize("version", STRICT)
@pytest.mark.parametrize("entry", [ENTRY, {"snapshotHandle": "s"}, {}])
async def test_a_status_tells_all_of_its_snapshots(
    cluster: api.Api, space: str, entry: JsonObject, version: str
) -> None:
    path = await made(cluster, space, CUT, version) + "/status"
    status = {**CONTENT_STATUS, "volumeSnapshotInfoList": [entry]}
    answer = await cluster.ask("PATCH", path, {"status": status}, kind=api.MERGE)
    assert answer.body["status"] == status


@pytest.mark.parametrize("given", ["volumeHandle", "snapshotHandle"])
async def test_the_oldest_version_wants_pairs_of_handles(
    cluster: api.Api, space: str, given: str
) -> None:
    path = await made(cluster, space, CUT, "v1beta1") + "/status"
    status = {"volumeSnapshotHandlePairList": [{given: "x"}]}
    answer = await cluster.ask("PATCH", path, {"status": status}, kind=api.MERGE)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert "Required value" in answer.body["message"]


@pytest.mark.parametrize("version", STRICT)
@pytest.mark.parametrize(
    "wrong",
    [
        {"creationTime": 1},
        {"readyToUse": "yes"},
        {"volumeSnapshotInfoList": [{"creationTime": "2026-01-01T00:00:00Z"}]},
        {"volumeSnapshotInfoList": [{"restoreSize": "1Gi"}]},
    ],
)
async def test_an_unsound_status_of_a_group_content_is_refused(
    cluster: api.Api, space: str, wrong: JsonObject, version: str
) -> None:
    path = await made(cluster, space, CUT, version) + "/status"
    answer = await cluster.ask("PATCH", path, {"status": wrong}, kind=api.MERGE)
    assert answer.code == 422, answer.body
