"""The calls about groups against a real gRPC server: every code, secrets, answers that lack ids."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import scripted_driver
import scripted_groups
import structlog.testing
from scripted_groups import ScriptedGroups

from snapshotd import errors
from snapshotd.csi import connection, groups, redaction
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets

CREATE = intents.CreateGroupSnapshot("snap", ("one", "two"), {"a": "b"})
DELETE = intents.DeleteGroupSnapshot("group", ("one#1", "two#1"))
CHECK = intents.CheckGroupSnapshot("group", ("one#1", "two#1"))
FAILURES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
WORDS = scripted_driver.WORDS


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedGroups]:
    servicer = scripted_groups.scripted()
    server = await scripted_driver.serve(servicer, tmp_path / "csi.sock")
    yield servicer
    await server.stop(None)


def through(link: connection.Connection) -> groups.GroupDriver:
    return groups.GroupDriver(link)


async def answers(
    link: connection.Connection, credentials: secrets.Credentials = secrets.NO_CREDENTIALS
) -> list[outcomes.GroupAnswer]:
    """Make each call once; return its answer."""
    using = through(link)
    return [
        await using.create_group(CREATE, credentials),
        await using.delete_group(DELETE, credentials),
        await using.check_group(CHECK, credentials),
    ]


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
async def test_every_code_becomes_a_refusal_with_the_drivers_words(
    scripted: ScriptedGroups, link: connection.Connection, code: grpc.StatusCode
) -> None:
    scripted.code = code
    refusal = outcomes.Refusal(outcomes.Code[code.name], WORDS)
    absent = code is grpc.StatusCode.NOT_FOUND
    checked = outcomes.NotListed() if absent else refusal
    assert await answers(link) == [refusal, refusal, checked]


async def test_a_group_is_told_in_full(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    scripted.group.ready_to_use = True
    scripted.group.creation_time.seconds = 2
    scripted.group.creation_time.nanos = 3
    first = scripted.group.snapshots[0]
    first.size_bytes = 5
    first.ready_to_use = True
    first.creation_time.seconds = 4
    told = outcomes.GroupInfo(
        "group",
        creation_time=2_000_000_003,
        ready=True,
        members=(
            outcomes.SnapshotInfo(
                "one#1", "one", 4_000_000_000, 5, ready=True, group_handle="group"
            ),
            outcomes.SnapshotInfo("two#1", "two", group_handle="group"),
        ),
    )
    assert await answers(link) == [told, outcomes.Deleted(), told]


@pytest.mark.usefixtures("scripted")
async def test_a_time_that_is_not_told_is_none(link: connection.Connection) -> None:
    made, _, _ = await answers(link)
    assert isinstance(made, outcomes.GroupInfo)
    assert made.creation_time is None
    assert not made.ready


async def test_a_request_says_all_that_was_asked_for(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    await answers(link, secrets.Credentials({"k": "v"}))
    created, deleted, checked = scripted.requests
    assert isinstance(created, csi_pb2.CreateVolumeGroupSnapshotRequest)
    assert (created.name, list(created.source_volume_ids)) == ("snap", ["one", "two"])
    assert dict(created.parameters) == {"a": "b"}
    assert isinstance(deleted, csi_pb2.DeleteVolumeGroupSnapshotRequest)
    assert isinstance(checked, csi_pb2.GetVolumeGroupSnapshotRequest)
    for sent in (deleted, checked):
        assert (sent.group_snapshot_id, list(sent.snapshot_ids)) == ("group", ["one#1", "two#1"])
    assert [dict(each.secrets) for each in scripted.requests] == [{"k": "v"}] * 3


async def test_a_success_that_does_not_name_the_group_is_no_success(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    scripted.group.group_snapshot_id = ""
    created, deleted, checked = await answers(link)
    for answer, call in ((created, "Create"), (checked, "Get")):
        told = f"{call}VolumeGroupSnapshot succeeded without a group_snapshot_id"
        assert answer == outcomes.Refusal(outcomes.Code.INTERNAL, told)
    assert deleted == outcomes.Deleted()


async def test_members_without_a_name_are_left_out_and_the_group_is_not_forgotten(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    """It is there: taken for a failure, it would be left on the storage system."""
    scripted.group.snapshots[0].snapshot_id = ""
    for expected in (["two#1"], []):
        created, _, checked = await answers(link)
        assert created == checked
        assert isinstance(created, outcomes.GroupInfo)
        assert created.handle == "group"
        assert [each.handle for each in created.members] == expected
        del scripted.group.snapshots[1:]


async def test_a_secret_that_the_driver_repeats_is_not_repeated(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    scripted.code = grpc.StatusCode.UNAUTHENTICATED
    scripted.words = "nobody of the name open sesame"
    told = f"nobody of the name {redaction.HIDDEN}"
    expected = outcomes.Refusal(outcomes.Code.UNAUTHENTICATED, told)
    hidden = secrets.Credentials({"password": "open sesame"})
    assert await answers(link, hidden) == [expected] * 3
    assert {each.secrets["password"] for each in scripted.requests} == {"open sesame"}


async def test_requests_are_logged_and_counted_without_their_secrets(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    seen: list[tuple[str, str]] = []
    link.observe = lambda method, code, _seconds: seen.append((method, code))
    with structlog.testing.capture_logs() as logs:
        await answers(link, secrets.Credentials({"password": "open sesame"}))
    assert len(scripted.requests) == 3
    assert "sesame" not in repr(logs)
    told = [each["request"]["secrets"] for each in logs if each["event"] == "csi_call"]
    assert told == [redaction.HIDDEN] * 3
    assert seen == [
        (f"/csi.v1.GroupController/{verb}VolumeGroupSnapshot", "OK")
        for verb in ("Create", "Delete", "Get")
    ]


@pytest.mark.usefixtures("scripted")
async def test_capabilities_are_names_and_unknown_ones_are_left_out(
    link: connection.Connection,
) -> None:
    found = await groups.GroupDriver(link).group_capabilities()
    assert found == {groups.CREATE_DELETE_GET_GROUP}


async def test_a_service_without_capabilities_has_none(
    scripted: ScriptedGroups, link: connection.Connection
) -> None:
    scripted.group_able = []
    assert await groups.GroupDriver(link).group_capabilities() == frozenset()


async def test_a_driver_without_the_service_has_no_capability_and_refuses_its_calls(
    tmp_path: Path, link: connection.Connection
) -> None:
    alone = await scripted_driver.serve(scripted_driver.scripted(), tmp_path / "csi.sock")
    assert await groups.GroupDriver(link).group_capabilities() == frozenset()
    codes = [each.code for each in await answers(link) if isinstance(each, outcomes.Refusal)]
    assert codes == [outcomes.Code.UNIMPLEMENTED] * 3
    await alone.stop(None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.PERMISSION_DENIED, errors.Refused),
        (grpc.StatusCode.INTERNAL, errors.Unavailable),
    ],
)
async def test_capabilities_that_cannot_be_had_are_an_error(
    scripted: ScriptedGroups,
    link: connection.Connection,
    code: grpc.StatusCode,
    error: type[errors.SnapshotdError],
) -> None:
    scripted.code = code
    with pytest.raises(error, match="driver's own words"):
        await groups.GroupDriver(link).group_capabilities()
