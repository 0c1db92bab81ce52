"""The webhook over real HTTPS: what it answers, what it refuses, and how it keeps its limits."""

import json
import signal
from pathlib import Path
from typing import Any

import anyio
import certificates
import converting
import e2e
import prometheus_client
import pytest
import yaml

from snapshotd import errors, settings
from snapshotd.app.webhook import answering, command, serving
from snapshotd.runtime import clock
from snapshotd.telemetry import conversions

JsonObject = dict[str, Any]


async def test_a_content_is_converted(webhook: converting.Running) -> None:
    code, kind, text = await webhook.client.ask(converting.review())
    assert (code, kind) == (200, "application/json")
    answer = json.loads(text)
    response = answer["response"]
    assert (answer["kind"], response["uid"]) == ("ConversionReview", "u-1")
    assert "request" not in answer
    assert response["result"] == {"status": "Success"}
    [new] = response["convertedObjects"]
    assert new["apiVersion"] == f"{converting.GROUP}/v1beta1"
    handles = {"volumeHandle": "v", "snapshotHandle": "s"}
    assert new["status"] == {"volumeSnapshotHandlePairList": [handles]}
    assert webhook.count("conversion_requests", result="converted") == 1
    assert webhook.count("conversion_objects") == 1


@pytest.mark.parametrize("kind", ["application/yaml", "text/yaml"])
async def test_yaml_is_answered_in_yaml_where_that_is_wanted(
    webhook: converting.Running, kind: str
) -> None:
    body = (
        yaml.safe_dump(converting.review("v1beta2")).replace("name: c", "name: 2026-01-01").encode()
    )
    code, told, text = await webhook.client.ask(body, kind=kind, Accept=kind)
    assert (code, told) == (200, kind)
    [new] = yaml.safe_load(text)["response"]["convertedObjects"]
    assert new["status"] == converting.CONTENT["status"]
    assert new["metadata"] == {"name": "2026-01-01"}
    code, told, text = await webhook.client.ask(body, kind=kind, Accept="application/json, */*")
    assert (code, told) == (200, "application/json")
    assert json.loads(text)["response"]["convertedObjects"] == [new]


async def test_what_cannot_be_converted_is_told_in_the_review(webhook: converting.Running) -> None:
    code, _, text = await webhook.client.ask(converting.review("v7"))
    result = json.loads(text)["response"]["result"]
    assert (code, result["status"]) == (200, "Failure")
    assert "unexpected conversion version" in result["message"]
    assert webhook.count("conversion_requests", result="failed") == 1


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b"{", "application/json", "cannot be read"),
        (b"", "application/json", "cannot be read"),
        (b"[]", "application/json", "must be an object"),
        (b"[" * 50_000, "application/json", "cannot be read"),
        (b'{"a": 1e999}', "application/json", "cannot be read"),
        (b"{}", "text/plain", "neither JSON nor YAML"),
        (b"{}", "application/octet-stream", "neither JSON nor YAML"),
        (b"a: [", "application/yaml", "cannot be read"),
        (b"a: &x 1\nb: *x", "application/yaml", "aliases"),
        (b"[" * 500, "application/yaml", "deeper than 100"),
        (b"? [a]\n: b", "application/yaml", "cannot be read"),
        (b"!!python/object:os.system {}", "application/yaml", "cannot be read"),
        (
            json.dumps({**converting.review(), "kind": "Status"}).encode(),
            "application/json",
            "is expected",
        ),
        (
            json.dumps(
                {**converting.review(), "apiVersion": "apiextensions.k8s.io/v1beta1"}
            ).encode(),
            "application/json",
            "is expected",
        ),
        (
            json.dumps({**converting.review(), "request": {}}).encode(),
            "application/json",
            "request.uid",
        ),
    ],
)
async def test_what_is_no_review_is_a_bad_request(
    webhook: converting.Running, body: bytes, kind: str, told: str
) -> None:
    code, _, text = await webhook.client.ask(body, kind=kind)
    assert code == 400
    assert told in text
    assert webhook.count("conversion_requests", result="refused") == 1
    assert (await webhook.client.ask(converting.review()))[0] == 200


async def test_an_answer_in_another_form_is_not_to_be_had(webhook: converting.Running) -> None:
    assert (await webhook.client.ask(converting.review(), Accept="text/html"))[0] == 400


async def test_it_is_ready_and_there_is_nothing_else(webhook: converting.Running) -> None:
    code, _, text = await webhook.client.ask(method="GET", path="/readyz")
    assert (code, text) == (200, "ok")
    assert (await webhook.client.ask(method="GET", path="/metrics"))[0] == 404
    assert (await webhook.client.ask(method="GET"))[0] == 405


async def test_a_body_that_is_too_large_is_refused(
    files: converting.Files, identity: certificates.Identity
) -> None:
    async with converting.running(files, identity, max_body_bytes=2000) as webhook:
        assert (await webhook.client.ask(converting.review()))[0] == 200
        large = json.dumps(converting.review("v1", *[converting.CONTENT] * 20)).encode()
        code, _, text = await webhook.client.ask(large)
        assert (code, text) == (413, "the body is larger than 2000 bytes\n")
        wire = await webhook.client.open()
        head = b"POST /convert HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await wire.send(head + b"%x\r\n" % len(large) + large + b"\r\n")
        assert await wire.status() == 413
        await wire.close()
        assert webhook.count("conversion_requests", result="too_large") == 2


async def test_a_large_body_is_converted_in_a_thread(webhook: converting.Running) -> None:
    code, _, text = await webhook.client.ask(
        converting.review("v1beta1", *[converting.CONTENT] * 4000)
    )
    assert code == 200
    assert len(json.loads(text)["response"]["convertedObjects"]) == 4000


async def test_a_body_that_never_comes_is_given_up(
    files: converting.Files, identity: certificates.Identity
) -> None:
    async with converting.running(
        files, identity, request_timeout=settings.Seconds(0.1)
    ) as webhook:
        wire = await webhook.client.open()
        await wire.begin(json.dumps(converting.review()).encode(), missing=5)
        assert await wire.status() == 408
        assert await wire.reader.read() == b""
        await wire.close()
        assert webhook.count("conversion_requests", result="slow") == 1


async def test_who_gets_no_turn_in_time_is_told_so(
    files: converting.Files, identity: certificates.Identity
) -> None:
    values = {"request_timeout": settings.Seconds(0.1), "max_concurrent_requests": 1}
    async with converting.running(files, identity, **values) as webhook:
        webhook.hook._slots.acquire_nowait()
        code, _, text = await webhook.client.ask(converting.review())
        assert (code, "no turn within 0.1 s" in text) == (503, True)
        assert (await webhook.client.ask(method="GET", path="/readyz"))[0] == 200
        webhook.hook._slots.release()
        assert (await webhook.client.ask(converting.review()))[0] == 200
        assert webhook.count("conversion_requests", result="busy") == 1


async def test_whoever_waits_has_a_turn(
    files: converting.Files, identity: certificates.Identity
) -> None:
    async with converting.running(files, identity, max_concurrent_requests=1) as webhook:
        codes = []

        async def ask() -> None:
            codes.append((await webhook.client.ask(converting.review()))[0])

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)
        assert codes == [200] * 8


async def test_a_header_that_is_too_long_is_refused(
    files: converting.Files, identity: certificates.Identity
) -> None:
    async with converting.running(files, identity, max_header_bytes=1000) as webhook:
        wire = await webhook.client.open()
        await wire.begin(json.dumps(converting.review()).encode(), long="x" * 2000)
        assert await wire.status() == 400
        await wire.close()


async def test_a_client_that_leaves_is_no_defect(
    webhook: converting.Running, capfd: pytest.CaptureFixture[str]
) -> None:
    wire = await webhook.client.open()
    await wire.begin(json.dumps(converting.review()).encode(), missing=5)
    assert (await webhook.client.ask(converting.review()))[0] == 200
    wire.writer.transport.abort()
    webhook.hook.stop()
    await webhook.ended.wait()
    assert webhook.count("conversion_requests", result="gone") == 1
    assert "crashed" not in "".join(capfd.readouterr())


async def test_a_stop_lets_what_is_under_way_be_answered(webhook: converting.Running) -> None:
    idle, busy = await webhook.client.open(), await webhook.client.open()
    body = json.dumps(converting.review()).encode()
    await busy.begin(body)
    assert (await webhook.client.ask(converting.review()))[
        0
    ] == 200  # so the head of `busy` has arrived
    webhook.hook.stop()
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(OSError, match="Connect"):
        await webhook.client.open()
    assert not webhook.ended.is_set()
    await busy.send(body[-1:])
    assert await busy.status() == 200
    await webhook.ended.wait()
    assert await idle.reader.read() == b""
    for each in (idle, busy):
        await each.close()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tls_cert_file": ""}, "--tls-cert-file is required"),
        ({"tls_private_key_file": ""}, "--tls-private-key-file is required"),
        ({"port": 70_000}, "--port 70000"),
        ({"max_body_bytes": 0}, "--max-body-bytes 0: it must be more"),
        ({"max_concurrent_requests": -1}, "--max-concurrent-requests -1"),
        ({"request_timeout": 0.0}, "--request-timeout 0"),
    ],
)
async def test_flags_that_cannot_be_meant_are_refused(values: JsonObject, told: str) -> None:
    given = {"tls_cert_file": "c", "tls_private_key_file": "k", **values}
    with pytest.raises(errors.Misconfigured, match=told):
        await command.run(settings.Webhook(converting=settings.Converting(**given)))


async def test_a_port_that_is_taken_is_told(
    webhook: converting.Running, files: converting.Files
) -> None:
    chosen = settings.Converting(
        tls_cert_file=str(files.chain),
        tls_private_key_file=str(files.key),
        port=webhook.hook.port,
    )
    meters = conversions.ConversionMetrics(prometheus_client.CollectorRegistry())
    second = serving.Webhook(chosen, time=clock.SystemClock(), meters=meters, host="127.0.0.1")
    with pytest.raises(errors.Misconfigured, match="it is in use"):
        await second.run()


def test_the_answer_names_what_people_want_to_know() -> None:
    body = json.dumps(converting.review("v1", converting.CONTENT, converting.CONTENT)).encode()
    answer = answering.answer(body, "application/json", "")
    assert (answer.uid, answer.objects, answer.failure) == ("u-1", 2, "")


def test_the_program_serves_and_ends_when_it_is_asked_to(
    files: converting.Files, tmp_path: Path
) -> None:
    words = ["--tls-cert-file", str(files.chain), "--tls-private-key-file", str(files.key)]
    words += ["--port", "0", "--http-endpoint", "127.0.0.1:0", "--logging-format", "json"]
    part = e2e.Part(tmp_path / "log", "webhook", *words)
    try:
        converting.said(part, "webhook_listening")
    finally:
        code = part.stop(signal.SIGTERM)
    said = [json.loads(line)["event"] for line in part.log.read_text().splitlines()]
    assert code == 0
    assert {"endpoint_listening", "webhook_listening", "stopping"} <= set(said)


def test_the_program_says_which_flag_is_missing(tmp_path: Path) -> None:
    part = e2e.Part(tmp_path / "log", "webhook")
    assert part.process.wait(timeout=e2e.PATIENCE) == 2
    part.stop(signal.SIGTERM)
    assert "--tls-cert-file is required" in part.log.read_text()
