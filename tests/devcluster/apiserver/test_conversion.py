"""One object in three versions, converted in this process, or by a webhook over HTTPS."""

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import api
import certificates
import converting
import pytest
import yaml

from snapshotd.devcluster.apiserver import crd, server
from snapshotd.model import conversion

JsonObject = dict[str, Any]

CRDS = Path(__file__).parents[3] / "config" / "crd"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "groupsnapshot.storage.k8s.io"
PLURAL = "volumegroupsnapshotcontents"
NAME = f"{PLURAL}.{GROUP}"
VERSIONS = ["v1", "v1beta2", "v1beta1"]
SERVICE: JsonObject = {"service": {"namespace": "ns", "name": "hook"}}
SPEC: JsonObject = {
    "deletionPolicy": "Delete",
    "driver": "d",
    "source": {"volumeHandles": ["v"]},
    "volumeGroupSnapshotRef": {"name": "n", "namespace": "ns"},
}
ENTRY: JsonObject = {
    "volumeHandle": "v",
    "snapshotHandle": "s",
    "creationTime": 1_700_000_000_000_000_001,
    "readyToUse": True,
    "restoreSize": 5,
}
PAIR: JsonObject = {"volumeHandle": "v", "snapshotHandle": "s"}
TOLD = {
    "v1": {"volumeSnapshotInfoList": [ENTRY]},
    "v1beta2": {"volumeSnapshotInfoList": [ENTRY]},
    "v1beta1": {"volumeSnapshotHandlePairList": [PAIR]},
}


def where(version: str, name: str = "") -> str:
    root = f"/apis/{GROUP}/{version}/{PLURAL}"
    return f"{root}/{name}" if name else root


def content(version: str, name: str = "c", **meta: Any) -> JsonObject:
    metadata = {"name": name, **meta} if name else meta
    api_version = f"{GROUP}/{version}"
    kind = "VolumeGroupSnapshotContent"
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": SPEC}


def definition(client: JsonObject | None) -> JsonObject:
    found: JsonObject = yaml.safe_load((CRDS / f"{GROUP}_{PLURAL}.yaml").read_text())
    if client is not None:
        found["spec"]["conversion"] = {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
        }
    return found


class Cluster(api.Api):
    """An embedded API server that serves contents of groups."""

    serving: server.ApiServer
    webhook: converting.Running | None = None

    async def told(self, status: JsonObject, version: str, name: str = "c") -> JsonObject:
        path = where(version, name) + "/status"
        answer = await self.ask("PATCH", path, {"status": status}, kind=api.MERGE)
        assert answer.code == 200, answer.body
        found: JsonObject = answer.body["status"]
        return found


@contextlib.asynccontextmanager
async def running(
    converter: crd.Converter = conversion.review, client: JsonObject | None = None
) -> AsyncIterator[Cluster]:
    chosen = server.Settings(tls=False, converters={GROUP: converter})
    serving = server.ApiServer(chosen)
    async with anyio.create_task_group() as group:
        await group.start(serving.run)
        async with Cluster(serving.url, serving.token) as cluster:
            cluster.serving = serving
            await cluster.create(DEFINITIONS, definition(client))
            yield cluster
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster that asks a webhook for every conversion."""
    identity = certificates.make()
    files = converting.Files(folder).put(identity)
    async with converting.running(files, identity) as webhook:
        bundle = base64.b64encode(identity.certificate).decode()
        url = f"https://127.0.0.1:{webhook.hook.port}/convert"
        async with running(client={"url": url, "caBundle": bundle}) as cluster:
            cluster.webhook = webhook
            yield cluster


@pytest.fixture(params=["service", "url"])
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    made = running(client=SERVICE) if request.param == "service" else asking(tmp_path)
    async with made as cluster:
        yield cluster


@pytest.mark.parametrize("reading", VERSIONS)
@pytest.mark.parametrize("writing", VERSIONS)
async def test_what_is_written_in_one_version_is_read_in_each(
    cluster: Cluster, writing: str, reading: str
) -> None:
    made = await cluster.create(where(writing), content(writing, labels={"a": "b"}))
    assert await cluster.told(TOLD[writing], writing) == TOLD[writing]
    details = TOLD["v1"] if writing != "v1beta1" else {"volumeSnapshotInfoList": [PAIR]}
    found = await cluster.ask("GET", where(reading, "c"))
    assert found.body["apiVersion"] == f"{GROUP}/{reading}"
    assert found.body["status"] == (TOLD["v1beta1"] if reading == "v1beta1" else details)
    for field in ("uid", "creationTimestamp", "labels"):
        assert found.body["metadata"][field] == made.body["metadata"][field]
    kept = cluster.serving.storage.get((GROUP, PLURAL), ("", "c"))
    assert kept is not None
    assert kept.value["apiVersion"] == f"{GROUP}/v1beta2"
    assert kept.value["status"] == details
    assert "annotations" not in kept.value["metadata"]


async def test_a_list_is_one_question_whatever_its_length(cluster: Cluster) -> None:
    for number in range(5):
        await cluster.create(where("v1"), content("v1", f"c{number}"))
        status = {"volumeSnapshotInfoList": [{**ENTRY, "restoreSize": number}]}
        await cluster.told(status, "v1", f"c{number}")
    before = (
        cluster.webhook.count("conversion_requests", result="converted") if cluster.webhook else 0
    )
    for accept in ("application/json", "application/json;as=Table;g=meta.k8s.io;v=v1"):
        found = await cluster.ask("GET", where("v1beta1"), accept=accept)
        assert found.code == 200
        assert len(found.body.get("items") or found.body["rows"]) == 5
    listed = await cluster.ask("GET", where("v1beta1"))
    assert [each["status"] for each in listed.body["items"]] == [TOLD["v1beta1"]] * 5
    if cluster.webhook:
        assert cluster.webhook.count("conversion_requests", result="converted") == before + 1


async def test_a_watch_tells_each_change_in_its_version(cluster: Cluster) -> None:
    await cluster.create(where("v1"), content("v1"))
    await cluster.told(TOLD["v1"], "v1")
    events: list[JsonObject] = []

    async def watch() -> None:
        path = where("v1beta1") + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
        path += "&resourceVersionMatch=NotOlderThan"
        events.extend(await cluster.watch(path, 4))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        second = {"volumeSnapshotInfoList": [ENTRY, {**ENTRY, "volumeHandle": "w"}]}
        await anyio.wait_all_tasks_blocked()
        await cluster.told(second, "v1")
        await cluster.ask("DELETE", where("v1", "c"))
    assert {each["object"]["apiVersion"] for each in events} == {f"{GROUP}/v1beta1"}
    pairs = [PAIR, {**PAIR, "volumeHandle": "w"}]
    told = [each["object"]["status"] for each in events if each["type"] != "BOOKMARK"]
    assert [each["volumeSnapshotHandlePairList"] for each in told][-1] == pairs
    assert events[-1]["type"] == "DELETED"


async def test_an_old_client_changes_what_it_knows_and_keeps_what_it_does_not(
    cluster: Cluster,
) -> None:
    await cluster.create(where("v1"), content("v1"))
    await cluster.told(TOLD["v1"], "v1")
    found = await cluster.ask("GET", where("v1beta1", "c"))
    found.body["metadata"]["labels"] = {"a": "b"}
    put = await cluster.ask("PUT", where("v1beta1", "c"), found.body)
    assert put.code == 200, put.body
    other = {"volumeHandle": "w", "snapshotHandle": "t"}
    await cluster.told({"volumeSnapshotHandlePairList": [PAIR, other]}, "v1beta1")
    new = await cluster.ask("GET", where("v1", "c"))
    assert new.body["status"] == {"volumeSnapshotInfoList": [ENTRY, other]}
    assert new.body["metadata"]["labels"] == {"a": "b"}
    assert "annotations" not in new.body["metadata"]


async def test_a_write_that_changes_nothing_takes_no_version_in_any_version(
    cluster: Cluster,
) -> None:
    await cluster.create(where("v1"), content("v1"))
    await cluster.told(TOLD["v1"], "v1")
    found = await cluster.ask("GET", where("v1beta1", "c"))
    again = await cluster.ask("PUT", where("v1beta1", "c"), found.body)
    assert again.version == found.version


async def test_a_name_may_be_made_by_the_server(cluster: Cluster) -> None:
    made = await cluster.create(where("v1beta1"), content("v1beta1", "", generateName="c-"))
    found = await cluster.ask("GET", where("v1", made.body["metadata"]["name"]))
    assert found.body["metadata"]["uid"] == made.body["metadata"]["uid"]


async def test_applying_works_in_a_version_that_is_not_stored(cluster: Cluster) -> None:
    path = where("v1beta1", "c") + "?fieldManager=one"
    for code in (201, 200):
        answer = await cluster.ask("PATCH", path, content("v1beta1"), kind=api.APPLY)
        assert answer.code == code, answer.body


async def test_a_deletion_keeps_to_its_preconditions_in_any_version(cluster: Cluster) -> None:
    made = await cluster.create(where("v1beta2"), content("v1beta2", finalizers=["a.b/c"]))
    options = {"preconditions": {"resourceVersion": made.version}}
    held = await cluster.ask("DELETE", where("v1beta1", "c"), options)
    assert held.code == 200, held.body
    assert "deletionTimestamp" in held.body["metadata"]
    free = {"metadata": {"finalizers": None}}
    await cluster.ask("PATCH", where("v1beta1", "c"), free, kind=api.MERGE)
    assert (await cluster.ask("GET", where("v1", "c"))).code == 404


async def test_a_whole_collection_goes_in_a_version_that_is_not_stored(cluster: Cluster) -> None:
    for name in ("c", "d"):
        await cluster.create(where("v1"), content("v1", name))
        await cluster.told(TOLD["v1"], "v1", name)
    gone = await cluster.ask("DELETE", where("v1beta1"))
    assert [each["status"] for each in gone.body["items"]] == [TOLD["v1beta1"]] * 2


async def test_unknown_fields_are_told_once(cluster: Cluster) -> None:
    body = content("v1beta1")
    body["spec"] = {**SPEC, "nonsense": 1}
    answer = await cluster.create(where("v1beta1"), body)
    assert len([each for each in answer.warnings if "nonsense" in each]) == 1


async def test_without_a_webhook_nothing_but_the_version_changes() -> None:
    async with running() as cluster:
        await cluster.create(where("v1"), content("v1"))
        await cluster.told(TOLD["v1"], "v1")
        found = await cluster.ask("GET", where("v1beta1", "c"))
        assert found.body["apiVersion"] == f"{GROUP}/v1beta1"
        assert found.body["status"] == TOLD["v1"]


def _raises(_: JsonObject) -> JsonObject:
    raise KeyError("no")


def _answers(**changes: Any) -> crd.Converter:
    def convert(review: JsonObject) -> JsonObject:
        answer = conversion.review(review)
        return {"response": {**answer["response"], **changes}}

    return convert


@pytest.mark.parametrize(
    ("converter", "told"),
    [
        (_raises, "KeyError"),
        (_answers(result={"status": "Failure", "message": "not today"}), "not today"),
        (_answers(uid="another"), "not to this"),
        (_answers(convertedObjects=[]), "0 objects for 1"),
        (_answers(convertedObjects=["x"]), "an object of the answer is None"),
        (_answers(convertedObjects=[{"apiVersion": "v1", "kind": "Pod"}]), "is ('v1', 'Pod')"),
        (lambda _: {}, "not to this"),
    ],
)
async def test_a_conversion_that_fails_is_told_and_nothing_is_stored(
    converter: crd.Converter, told: str
) -> None:
    async with running(converter, SERVICE) as cluster:
        answer = await cluster.ask("POST", where("v1"), content("v1"))
        assert (answer.code, answer.body["reason"]) == (500, "InternalError")
        start = f"conversion webhook for {GROUP}/v1, Kind=VolumeGroupSnapshotContent failed: "
        assert answer.body["message"].startswith(start)
        assert told in answer.body["message"]
        listed = await cluster.ask("GET", where("v1beta2"))
        assert listed.body["items"] == []


async def test_a_webhook_decides_nothing_of_the_metadata_but_labels_and_annotations() -> None:
    def meddle(review: JsonObject) -> JsonObject:
        answer = conversion.review(review)
        for each in answer["response"]["convertedObjects"]:
            each["metadata"] = {"name": "other", "uid": "x", "labels": {"by": "hook"}}
        return answer

    async with running(meddle, SERVICE) as cluster:
        made = await cluster.create(where("v1beta2"), content("v1beta2"))
        found = await cluster.ask("GET", where("v1", "c"))
        meta = found.body["metadata"]
        assert (meta["name"], meta["uid"]) == ("c", made.body["metadata"]["uid"])
        assert meta["labels"] == {"by": "hook"}


async def test_a_webhook_that_is_not_there_is_told() -> None:
    async with running(client={"url": "https://127.0.0.1:1/convert"}) as cluster:
        answer = await cluster.ask("POST", where("v1"), content("v1"))
        assert (answer.code, answer.body["reason"]) == (500, "InternalError")
        assert "https://127.0.0.1:1/convert" in answer.body["message"]
        made = await cluster.create(where("v1beta2"), content("v1beta2"))
        assert made.body["apiVersion"] == f"{GROUP}/v1beta2"


async def test_a_service_that_nothing_here_is_called_is_told() -> None:
    async with running(client=SERVICE) as cluster:
        other = yaml.safe_load(yaml.safe_dump(definition(SERVICE)).replace(GROUP, "other.example"))
        del other["metadata"]["annotations"]
        await cluster.create(DEFINITIONS, other)
        body = {**content("v1"), "apiVersion": "other.example/v1"}
        path = where("v1").replace(GROUP, "other.example")
        answer = await cluster.ask("POST", path, body)
        assert answer.code == 500
        assert "there is no service ns/hook in this process" in answer.body["message"]


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"strategy": "Magic"}, 'Unsupported value: "Magic"'),
        ({"strategy": "Webhook"}, "conversionReviewVersions"),
        (
            {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}},
            "exactly one of url or service is required",
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": {"url": "http://127.0.0.1/convert"},
                },
            },
            "the scheme must be https",
        ),
    ],
)
async def test_a_conversion_that_cannot_be_is_refused_with_its_definition(
    declared: JsonObject, told: str
) -> None:
    async with running() as cluster:
        change = {"spec": {"conversion": declared}}
        answer = await cluster.ask("PATCH", f"{DEFINITIONS}/{NAME}", change, kind=api.MERGE)
        assert answer.code == 422
        assert told in answer.body["message"]
