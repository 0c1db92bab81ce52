"""The CSI client against a real gRPC server: every code, deadlines, cancellation, restarts."""

from pathlib import Path

import anyio
import grpc
import pytest
import scripted_driver
import structlog.testing
from scripted_driver import Scripted

from snapshotd import errors
from snapshotd.csi import connection, driver, redaction
from snapshotd.csi import errors as codes
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets
from snapshotd.runtime import clock

CREATE = intents.CreateSnapshot(name="snap", source_volume="vol", parameters={"a": "b"})
DELETE = intents.DeleteSnapshot("handle")
CHECK = intents.CheckSnapshot("handle")
FAILURES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
async def test_every_code_becomes_a_refusal_with_the_drivers_words(
    scripted: Scripted, link: connection.Connection, code: grpc.StatusCode
) -> None:
    scripted.code = code
    using = driver.Driver(link)
    expected = outcomes.Refusal(outcomes.Code[code.name], "in the driver's own words")
    assert await using.create_snapshot(CREATE, secrets.NO_CREDENTIALS) == expected
    assert await using.delete_snapshot(DELETE, secrets.NO_CREDENTIALS) == expected
    assert await using.check_snapshot(CHECK, secrets.NO_CREDENTIALS) == expected


@pytest.mark.parametrize("code", list(outcomes.Code))
def test_every_refusal_has_an_error_for_those_who_cannot_go_on(code: outcomes.Code) -> None:
    error = codes.error_of(outcomes.Refusal(code, "why"), "Call")
    assert str(error) == f"Call: {code}: why"
    assert isinstance(error, errors.Retryable | errors.Terminal | errors.Gone)


async def test_a_snapshot_is_told_in_full(scripted: Scripted, link: connection.Connection) -> None:
    scripted.snapshot.size_bytes = 5
    scripted.snapshot.ready_to_use = True
    scripted.snapshot.creation_time.seconds = 2
    scripted.snapshot.creation_time.nanos = 3
    answer = await driver.Driver(link).create_snapshot(CREATE, secrets.Credentials({"k": "v"}))
    assert answer == outcomes.SnapshotInfo(
        "handle", "vol", creation_time=2_000_000_003, size=5, ready=True
    )
    sent = scripted.requests[0]
    assert (sent.name, sent.source_volume_id) == ("snap", "vol")
    assert dict(sent.parameters) == {"a": "b"}
    assert dict(sent.secrets) == {"k": "v"}


@pytest.mark.usefixtures("scripted")
async def test_a_time_that_is_not_told_is_none(link: connection.Connection) -> None:
    answer = await driver.Driver(link).create_snapshot(CREATE, secrets.NO_CREDENTIALS)
    assert isinstance(answer, outcomes.SnapshotInfo)
    assert answer.creation_time is None


async def test_a_success_without_a_handle_is_no_success(
    scripted: Scripted, link: connection.Connection
) -> None:
    scripted.snapshot.snapshot_id = ""
    answer = await driver.Driver(link).create_snapshot(CREATE, secrets.NO_CREDENTIALS)
    assert isinstance(answer, outcomes.Refusal)


async def test_a_snapshot_nobody_knows_is_not_listed(
    scripted: Scripted, link: connection.Connection
) -> None:
    scripted.entries = []
    answer = await driver.Driver(link).check_snapshot(CHECK, secrets.NO_CREDENTIALS)
    assert answer == outcomes.NotListed()


@pytest.mark.parametrize(
    ("sources", "kind"),
    [({}, None), ({"snapshot": "s"}, "snapshot"), ({"source_volume": "v"}, "volume")],
)
async def test_a_volume_is_filled_from_what_it_is_asked_to_be(
    scripted: Scripted, link: connection.Connection, sources: dict[str, str], kind: str | None
) -> None:
    made = await driver.Driver(link).create_volume("name", 5, parameters={"p": "q"}, **sources)
    assert made == driver.VolumeInfo("new", 7, {"on": "a"})
    [sent] = scripted.requests
    assert (sent.name, sent.capacity_range.required_bytes) == ("name", 5)
    assert dict(sent.parameters) == {"p": "q"}
    assert sent.volume_content_source.WhichOneof("type") == kind
    source = sent.volume_content_source
    assert (source.snapshot.snapshot_id, source.volume.volume_id) == (
        sources.get("snapshot", ""),
        sources.get("source_volume", ""),
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, errors.Gone),
        (grpc.StatusCode.ALREADY_EXISTS, errors.Invalid),
        (grpc.StatusCode.UNIMPLEMENTED, errors.Refused),
        (grpc.StatusCode.ABORTED, errors.Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Unavailable),
    ],
)
async def test_a_provisioner_is_told_by_errors_of_ours(
    scripted: Scripted,
    link: connection.Connection,
    code: grpc.StatusCode,
    error: type[errors.SnapshotdError],
) -> None:
    scripted.code = code
    using = driver.Driver(link)
    with pytest.raises(error, match="driver's own words"):
        await using.create_volume("name", 5, parameters={})
    with pytest.raises(error, match="driver's own words"):
        await using.delete_volume("handle")


async def test_a_call_that_hangs_ends_at_its_deadline(scripted: Scripted, tmp_path: Path) -> None:
    scripted.hangs = True
    hurried = connection.Connection(str(tmp_path / "csi.sock"), timeout=0.05)
    answer = await driver.Driver(hurried).create_snapshot(CREATE, secrets.NO_CREDENTIALS)
    await hurried.close()
    assert isinstance(answer, outcomes.Refusal)
    assert answer.code is outcomes.Code.DEADLINE_EXCEEDED


async def test_a_cancelled_call_ends_its_scope_and_nothing_else(
    scripted: Scripted, link: connection.Connection
) -> None:
    """grpc.aio raises a CancelledError of its own; a worker must survive ten of them."""
    scripted.hangs = True
    using = driver.Driver(link)
    rounds = 0
    for _ in range(10):
        with anyio.move_on_after(0.02) as scope:
            await using.create_snapshot(CREATE, secrets.NO_CREDENTIALS)
        assert scope.cancelled_caught
        rounds += 1
    assert rounds == 10


async def test_a_driver_that_comes_back_is_found_again(tmp_path: Path) -> None:
    servicer = scripted_driver.scripted()
    socket = tmp_path / "csi.sock"
    first = await scripted_driver.serve(servicer, socket)
    link = connection.Connection(str(socket), timeout=10.0)
    using = driver.Driver(link)
    assert await using.identify() == "scripted.example.com"
    await first.stop(None)
    lost = await using.delete_snapshot(DELETE, secrets.NO_CREDENTIALS)
    assert isinstance(lost, outcomes.Refusal)
    assert lost.code is outcomes.Code.UNAVAILABLE
    socket.unlink(missing_ok=True)
    second = await scripted_driver.serve(servicer, socket)
    await link.ready(30.0)
    assert await using.delete_snapshot(DELETE, secrets.NO_CREDENTIALS) == outcomes.Deleted()
    await link.close()
    await second.stop(None)


async def test_a_driver_that_is_not_there_is_told(tmp_path: Path) -> None:
    link = connection.Connection(str(tmp_path / "nobody.sock"))
    with pytest.raises(errors.Unavailable, match="is it running"):
        await link.ready(0.05)
    await link.close()


@pytest.mark.parametrize("address", ["tcp://1.2.3.4:5", "", "x" * 200])
def test_an_address_that_is_no_socket_is_told(address: str) -> None:
    with pytest.raises(errors.Misconfigured, match="--csi-address"):
        connection.target_of(address)


async def test_a_driver_without_a_name_is_refused(
    scripted: Scripted, link: connection.Connection
) -> None:
    scripted.name = ""
    with pytest.raises(errors.Refused, match="no name"):
        await driver.Driver(link).identify()


@pytest.mark.usefixtures("scripted")
async def test_capabilities_are_names_and_unknown_ones_are_left_out(
    link: connection.Connection,
) -> None:
    found = await driver.Driver(link).capabilities()
    assert found == {"CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS"}


class Instant(clock.SystemClock):
    """A clock whose sleeps are over at once."""

    async def sleep(self, seconds: float) -> None:
        del seconds
        await anyio.lowlevel.checkpoint()


async def test_a_driver_is_probed_until_it_is_ready(
    scripted: Scripted, link: connection.Connection
) -> None:
    scripted.unready = 3
    await driver.Driver(link).probe_until_ready(Instant())
    assert len(scripted.requests) == 4


async def test_calls_are_counted_by_their_full_name(
    scripted: Scripted, link: connection.Connection
) -> None:
    seen: list[tuple[str, str]] = []
    link.observe = lambda method, code, _seconds: seen.append((method, code))
    scripted.code = grpc.StatusCode.INTERNAL
    await driver.Driver(link).delete_snapshot(DELETE, secrets.NO_CREDENTIALS)
    assert seen == [("/csi.v1.Controller/DeleteSnapshot", "INTERNAL")]


async def test_secrets_are_seen_by_nobody_but_the_driver(
    scripted: Scripted, link: connection.Connection
) -> None:
    hidden = secrets.Credentials({"password": "open sesame"})
    scripted.code = grpc.StatusCode.INTERNAL
    with structlog.testing.capture_logs() as logs:
        answer = await driver.Driver(link).create_snapshot(CREATE, hidden)
    assert dict(scripted.requests[0].secrets) == {"password": "open sesame"}
    assert "sesame" not in repr((hidden, answer, logs))


async def test_a_secret_that_the_driver_repeats_is_not_repeated(
    scripted: Scripted, link: connection.Connection
) -> None:
    """The words end in a status and an Event, where anyone may read them."""
    hidden = secrets.Credentials(
        {"user": "ad", "password": "open sesame", "longer": "open sesame!"}
    )
    scripted.code = grpc.StatusCode.UNAUTHENTICATED
    scripted.words = "ad said open sesame!, not open sesame"
    using = driver.Driver(link)
    told = "ad said ***stripped***, not ***stripped***"
    expected = outcomes.Refusal(outcomes.Code.UNAUTHENTICATED, told)
    assert await using.create_snapshot(CREATE, hidden) == expected
    assert await using.delete_snapshot(DELETE, hidden) == expected
    assert await using.check_snapshot(CHECK, hidden) == expected


async def test_requests_are_logged_without_their_secrets(
    scripted: Scripted, link: connection.Connection
) -> None:
    hidden = secrets.Credentials({"password": "open sesame"})
    with structlog.testing.capture_logs() as logs:
        await driver.Driver(link).create_snapshot(CREATE, hidden)
    assert scripted.requests
    [told] = [each for each in logs if each["event"] == "csi_call"]
    assert told["method"] == "Controller/CreateSnapshot"
    assert told["request"] == {
        "source_volume_id": "vol",
        "name": "snap",
        "parameters": {"a": "b"},
        "secrets": redaction.HIDDEN,
    }


def test_every_field_named_for_secrets_is_marked_as_one() -> None:
    """A field added to the proto source without the mark would be logged."""
    fields = [
        field
        for message in csi_pb2.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if "secret" in field.name
    ]
    assert len(fields) == 10
    assert all(field.GetOptions().Extensions[csi_pb2.csi_secret] for field in fields)


async def test_a_connection_closed_under_a_call_is_an_answer(
    scripted: Scripted, tmp_path: Path
) -> None:
    """gRPC raises a CancelledError that nobody asked for: the worker must not end of it."""
    scripted.hangs = True
    closing = connection.Connection(str(tmp_path / "csi.sock"), timeout=10.0)
    seen: list[str] = []
    closing.observe = lambda _method, code, _seconds: seen.append(code)
    answers: list[outcomes.Answer] = []

    async def work() -> None:
        using = driver.Driver(closing)
        answers.append(await using.delete_snapshot(DELETE, secrets.NO_CREDENTIALS))
        answers.append(await using.delete_snapshot(DELETE, secrets.NO_CREDENTIALS))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await scripted.asked.wait()
        await closing.close()
    expected = outcomes.Refusal(outcomes.Code.CANCELLED, "the connection was closed")
    assert answers == [expected, expected]
    assert seen == ["CANCELLED", "CANCELLED"]


async def test_a_cancelled_call_is_not_counted_as_a_success(
    scripted: Scripted, link: connection.Connection
) -> None:
    scripted.hangs = True
    seen: list[str] = []
    link.observe = lambda _method, code, _seconds: seen.append(code)
    with anyio.move_on_after(0.02):
        await driver.Driver(link).delete_snapshot(DELETE, secrets.NO_CREDENTIALS)
    assert seen == ["CANCELLED"]
