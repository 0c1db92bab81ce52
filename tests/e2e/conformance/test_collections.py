"""Lists, selectors, pages and watches: the same on the embedded server and on the real one."""

import anyio
import api
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


async def fill(cluster: api.Api, space: str, count: int = 5) -> str:
    where = f"/api/v1/namespaces/{space}/configmaps"
    for number in range(count):
        labels = {"number": str(number), "parity": "odd" if number % 2 else "even"}
        await cluster.create(where, {"metadata": {"name": f"c{number}", "labels": labels}})
    return where


def names(answer: api.Answer) -> list[str]:
    found = [each["metadata"]["name"] for each in answer.body["items"]]
    return [name for name in found if name != "kube-root-ca.crt"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=odd", ["c1", "c3"]),
        ("parity==odd", ["c1", "c3"]),
        ("parity!=odd", ["c0", "c2", "c4"]),
        ("number in (0,1)", ["c0", "c1"]),
        ("number notin (0,1),parity", ["c2", "c3", "c4"]),
        ("!parity", []),
        ("parity=even,number!=2", ["c0", "c4"]),
    ],
)
async def test_labels_select(
    cluster: api.Api, space: str, selector: str, expected: list[str]
) -> None:
    where = await fill(cluster, space)
    answer = await cluster.ask("GET", f"{where}?labelSelector={selector}".replace(" ", "%20"))
    assert names(answer) == expected


async def test_fields_select_and_an_unknown_field_is_400(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space)
    one = await cluster.ask("GET", f"{where}?fieldSelector=metadata.name=c3")
    assert names(one) == ["c3"]
    unknown = await cluster.ask("GET", f"{where}?fieldSelector=data.x=3")
    assert unknown.code == 400


async def test_contents_are_selected_by_their_driver(cluster: api.Api, space: str) -> None:
    where = f"{api.SNAPSHOTS}/volumesnapshotcontents"
    for driver in ("one", "two"):
        await cluster.create(
            where,
            {
                "apiVersion": "snapshot.storage.k8s.io/v1",
                "kind": "VolumeSnapshotContent",
                "metadata": {"name": f"{space}-{driver}"},
                "spec": {
                    "deletionPolicy": "Delete",
                    "driver": f"{space}.{driver}",
                    "source": {"volumeHandle": "h"},
                    "volumeSnapshotRef": {"name": "n", "namespace": "ns"},
                },
            },
        )
    answer = await cluster.ask("GET", f"{where}?fieldSelector=spec.driver={space}.two")
    assert names(answer) == [f"{space}-two"]


async def test_pages_hold_every_object_once(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space)
    found: list[str] = []
    token = ""
    for _ in range(10):
        page = await cluster.ask("GET", f"{where}?limit=2&continue={token}")
        assert len(page.body["items"]) <= 2
        found += names(page)
        token = page.body["metadata"].get("continue", "")
        if not token:
            break
    assert found == ["c0", "c1", "c2", "c3", "c4"]


async def test_a_watch_tells_what_came_after_a_list(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space, 1)
    listed = await cluster.ask("GET", where)
    version = listed.body["metadata"]["resourceVersion"]
    await cluster.create(where, {"metadata": {"name": "later"}})
    await cluster.ask("PATCH", f"{where}/c0", {"data": {"x": "y"}}, kind=api.MERGE)
    await cluster.ask("DELETE", f"{where}/c0")
    with anyio.fail_after(30):
        selector = "fieldSelector=metadata.name!=kube-root-ca.crt"
        events = await cluster.watch(f"{where}?watch=1&resourceVersion={version}&{selector}", 3)
    told = [(each["type"], each["object"]["metadata"]["name"]) for each in events]
    assert told == [("ADDED", "later"), ("MODIFIED", "c0"), ("DELETED", "c0")]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in events]
    assert versions == sorted(versions)


async def test_a_watch_by_labels_tells_when_an_object_leaves_it(
    cluster: api.Api, space: str
) -> None:
    where = await fill(cluster, space, 2)
    version = (await cluster.ask("GET", where)).body["metadata"]["resourceVersion"]
    change = {"metadata": {"labels": {"parity": "even"}}}
    await cluster.ask("PATCH", f"{where}/c1", change, kind=api.MERGE)
    query = f"watch=1&resourceVersion={version}&labelSelector=parity"
    with anyio.fail_after(30):
        odd = await cluster.watch(f"{where}?{query}=odd", 1)
        even = await cluster.watch(f"{where}?{query}=even", 1)
    assert (odd[0]["type"], even[0]["type"]) == ("DELETED", "ADDED")


async def test_a_streaming_list_ends_with_a_bookmark(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space, 2)
    query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
    query += "&resourceVersionMatch=NotOlderThan&labelSelector=parity"
    with anyio.fail_after(30):
        events = await cluster.watch(f"{where}?{query}", 3)
    assert [each["type"] for each in events] == ["ADDED", "ADDED", "BOOKMARK"]
    annotations = events[2]["object"]["metadata"]["annotations"]
    assert annotations == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_ends_after_its_time(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space, 1)
    version = (await cluster.ask("GET", where)).body["metadata"]["resourceVersion"]
    with anyio.fail_after(30):
        query = f"watch=1&resourceVersion={version}&timeoutSeconds=1&labelSelector=none"
        assert await cluster.watch(f"{where}?{query}", 1) == []


async def test_a_collection_is_deleted_by_selector(cluster: api.Api, space: str) -> None:
    where = await fill(cluster, space)
    answer = await cluster.ask("DELETE", f"{where}?labelSelector=parity=odd")
    assert answer.code == 200
    assert names(await cluster.ask("GET", where)) == ["c0", "c2", "c4"]


async def test_rows_are_printed_by_the_columns_of_the_kind(cluster: api.Api, space: str) -> None:
    where = f"{api.SNAPSHOTS}/namespaces/{space}/volumesnapshots"
    body = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": "a"},
        "spec": {"source": {"persistentVolumeClaimName": "claim"}},
    }
    await cluster.create(where, body)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = await cluster.ask("GET", where, accept=accept)
    columns = [each["name"] for each in table.body["columnDefinitions"]]
    assert columns == [
        "Name",
        "ReadyToUse",
        "SourcePVC",
        "SourceSnapshotContent",
        "RestoreSize",
        "SnapshotClass",
        "SnapshotContent",
        "CreationTime",
        "Age",
    ]
    assert table.body["rows"][0]["cells"][:3] == ["a", None, "claim"]
