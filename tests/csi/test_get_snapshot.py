"""GetSnapshot, for the drivers that have it: one snapshot, none, or a refusal."""

import grpc
import pytest
from scripted_driver import WORDS, Scripted

from snapshotd.csi import connection, driver
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets

CHECK = intents.CheckSnapshot("handle")
CODES = [each for each in grpc.StatusCode if each.name not in {"OK", "NOT_FOUND"}]
RPC = csi_pb2.ControllerServiceCapability.RPC


async def getting(scripted: Scripted, link: connection.Connection) -> driver.Driver:
    """Return a client that was told that the driver has both ways to ask."""
    scripted.able = [RPC.CREATE_DELETE_SNAPSHOT, RPC.LIST_SNAPSHOTS, RPC.GET_SNAPSHOT]
    using = driver.Driver(link)
    assert driver.GET_SNAPSHOT in await using.capabilities()
    scripted.requests.clear()
    return using


async def test_a_snapshot_is_got_in_full(scripted: Scripted, link: connection.Connection) -> None:
    scripted.snapshot.size_bytes = 5
    scripted.snapshot.ready_to_use = True
    scripted.snapshot.creation_time.seconds = 2
    scripted.snapshot.group_snapshot_id = "g"
    using = await getting(scripted, link)
    answer = await using.check_snapshot(CHECK, secrets.Credentials({"k": "v"}))
    assert answer == outcomes.SnapshotInfo(
        "handle", "vol", creation_time=2_000_000_000, size=5, ready=True, group_handle="g"
    )
    [sent] = scripted.requests
    assert isinstance(sent, csi_pb2.GetSnapshotRequest)
    assert (sent.snapshot_id, dict(sent.secrets)) == ("handle", {"k": "v"})


async def test_a_snapshot_that_cannot_be_got_is_not_listed(
    scripted: Scripted, link: connection.Connection
) -> None:
    using = await getting(scripted, link)
    scripted.code = grpc.StatusCode.NOT_FOUND
    answer = await using.check_snapshot(CHECK, secrets.NO_CREDENTIALS)
    assert answer == outcomes.NotListed()


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
async def test_every_other_code_is_a_refusal(
    scripted: Scripted, link: connection.Connection, code: grpc.StatusCode
) -> None:
    using = await getting(scripted, link)
    scripted.code = code
    answer = await using.check_snapshot(CHECK, secrets.NO_CREDENTIALS)
    assert answer == outcomes.Refusal(outcomes.Code[code.name], WORDS)


async def test_a_driver_that_lost_the_capability_is_asked_for_a_list_again(
    scripted: Scripted, link: connection.Connection
) -> None:
    using = await getting(scripted, link)
    scripted.able = [RPC.CREATE_DELETE_SNAPSHOT, RPC.LIST_SNAPSHOTS]
    await using.capabilities()
    await using.check_snapshot(CHECK, secrets.NO_CREDENTIALS)
    assert isinstance(scripted.requests[-1], csi_pb2.ListSnapshotsRequest)


async def test_a_list_that_says_not_found_is_a_refusal(
    scripted: Scripted, link: connection.Connection
) -> None:
    """ListSnapshots of an id that does not exist answers with an empty list, never with this."""
    scripted.code = grpc.StatusCode.NOT_FOUND
    answer = await driver.Driver(link).check_snapshot(CHECK, secrets.NO_CREDENTIALS)
    assert isinstance(answer, outcomes.Refusal)
