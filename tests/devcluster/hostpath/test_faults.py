"""Faults strike as planned, and what the file system says becomes a status code."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
import structlog.testing

from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import faults, interceptor, workshop

PROBE = csi_pb2.ProbeRequest()


def plan(client: Any, method: str, **fault: Any) -> None:
    client.driver.faults.plan = faults.Plan(methods={method: faults.Fault(**fault)})


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
)
async def test_every_code_can_be_planned_for_any_method(client: Any, code: grpc.StatusCode) -> None:
    plan(client, "Probe", code=code.name)
    assert await client.refused(client.identity.Probe, PROBE) is code
    await client.identity.GetPluginInfo(csi_pb2.GetPluginInfoRequest())


async def test_a_fault_strikes_as_often_as_planned_and_anew_with_each_plan(client: Any) -> None:
    for _ in range(2):
        plan(client, "Probe", code="ABORTED", times=2)
        for _ in range(2):
            assert await client.refused(client.identity.Probe, PROBE) is grpc.StatusCode.ABORTED
        await client.identity.Probe(PROBE)


async def test_a_latency_holds_the_call_and_no_other(client: Any) -> None:
    plan(client, "Probe", latency=3600)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.identity.Probe(PROBE, timeout=0.05)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await client.volume()


async def test_a_call_that_hangs_did_no_work_unless_its_answer_is_lost(client: Any) -> None:
    volume = await client.volume()
    request = csi_pb2.CreateSnapshotRequest(source_volume_id=volume, name="snap")
    for lose_answer, made in ((False, 0), (True, 1)):
        plan(client, "CreateSnapshot", hang=True, lose_answer=lose_answer)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.stub.CreateSnapshot(request, timeout=1.0 if made else 0.05)
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert len((await client.list()).entries) == made


async def test_a_lost_answer_is_unavailable_unless_told_otherwise(client: Any) -> None:
    volume = await client.volume()
    for name, code in (("a", ""), ("b", "UNKNOWN")):
        plan(client, "CreateSnapshot", lose_answer=True, code=code)
        request = csi_pb2.CreateSnapshotRequest(source_volume_id=volume, name=name)
        refused = await client.refused(client.stub.CreateSnapshot, request)
        assert refused is grpc.StatusCode[code or "UNAVAILABLE"]
    assert len((await client.list()).entries) == 2


async def test_a_driver_stops_although_a_call_hangs(running: Callable[[], Any]) -> None:
    first = await running()
    plan(first, "Probe", hang=True)
    codes: list[grpc.StatusCode] = []

    async def ask() -> None:
        codes.append(await first.refused(first.identity.Probe, PROBE))

    with anyio.fail_after(4):  # a driver waits 5 s for the calls in flight
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await first.identity.GetPluginInfo(csi_pb2.GetPluginInfoRequest())
            await running()
    assert codes == [grpc.StatusCode.UNAVAILABLE]


@pytest.mark.parametrize(
    "text",
    [
        '{"methods": {"Probe": {"code": "NONSENSE"}}}',
        '{"methods": {"Probe": {"code": "OK"}}}',
        '{"methods": {"Probe": {"latncy": 1}}}',
        '{"ready_after": "soon"}',
        "{",
    ],
)
def test_a_plan_that_cannot_be_understood_is_told_and_changes_nothing(
    tmp_path: Path, text: str
) -> None:
    planned = faults.Faults(tmp_path / "faults.json")
    (tmp_path / "faults.json").write_text('{"ready_after": 5}')
    assert planned.current().ready_after == 5
    (tmp_path / "faults.json").write_text(text)
    with structlog.testing.capture_logs() as logs:
        assert planned.current().ready_after == 5
        assert planned.current().ready_after == 5
    assert [each["event"] for each in logs] == ["faults_not_understood"]


class Refused(Exception):
    """What gRPC raises when a call is aborted."""


class Context:
    """As much of gRPC's context as an abort needs."""

    async def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise Refused(code, message)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left"), "RESOURCE_EXHAUSTED", "No space left"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "RESOURCE_EXHAUSTED", "Quota exceeded"),
        (PermissionError(errno.EACCES, "Denied", "a/file"), "INTERNAL", "Denied: a/file"),
        (OSError("no number"), "INTERNAL", "no number"),
        (workshop.Busy("a thing"), "ABORTED", "an operation on a thing is under way"),
    ],
)
async def test_what_the_file_system_says_becomes_a_code(
    tmp_path: Path, error: Exception, code: str, words: str
) -> None:
    around = interceptor.Interceptor(faults.Faults(tmp_path / "faults.json"))

    async def handler(_request: Any, _context: Any) -> None:
        raise error

    with pytest.raises(Refused) as told:
        await around._call("CreateSnapshot", handler, PROBE, Context())
    assert told.value.args[0] is grpc.StatusCode[code]
    assert told.value.args[1].endswith(words)


async def test_a_method_that_does_not_exist_is_unimplemented(client: Any) -> None:
    code = await client.refused(client.channel.unary_unary("/csi.v1.Controller/Nonsense"), b"")
    assert code is grpc.StatusCode.UNIMPLEMENTED
