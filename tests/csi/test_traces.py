"""A span for every call to the driver: its code, and none of its words."""

import grpc
import scripted_driver
import traced

from snapshotd.csi import connection, driver
from snapshotd.decide import intents
from snapshotd.model import secrets

CREDENTIALS = secrets.Credentials({"password": "s3cret"})


async def test_a_call_is_a_span(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    del scripted
    with traced.memory() as kept:
        await driver.Driver(link).delete_snapshot(intents.DeleteSnapshot("h"), CREDENTIALS)

    (span,) = kept.get_finished_spans()
    assert (span.name, span.kind.name) == ("csi.v1.Controller/DeleteSnapshot", "CLIENT")
    assert span.attributes == {"rpc.system": "grpc", "rpc.grpc.status_code": "OK"}


async def test_a_call_that_fails_shows_its_code_and_not_what_the_driver_repeats(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    scripted.code, scripted.words = grpc.StatusCode.INTERNAL, "cannot log in with s3cret"
    with traced.memory() as kept:
        await driver.Driver(link).delete_snapshot(intents.DeleteSnapshot("h"), CREDENTIALS)

    (span,) = kept.get_finished_spans()
    assert span.attributes
    assert span.attributes["rpc.grpc.status_code"] == "INTERNAL"
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "INTERNAL")
    assert "s3cret" not in span.to_json()
