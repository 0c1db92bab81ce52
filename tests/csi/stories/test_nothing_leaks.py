"""Credentials go to the driver, and nowhere else: everything that leaves is searched for them."""

import base64
import io
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import anyio.lowlevel
import grpc
import objects
import prometheus_client
import pytest
import structlog
from beside_driver import Look, Story, naming_secret, secret
from scripted_driver import LISTS, Fault

from snapshotd.csi import connection, redaction
from snapshotd.model import names
from snapshotd.telemetry import logging as logs
from snapshotd.telemetry import metrics

VALUES = {
    "password": "zebra-4711-quagga",
    "token": "t0k>>>en???-okapi\n",
    "key": "-----BEGIN KEY-----\ngiraffe6giraffe6\n-----END KEY-----\n",
    "quoted": 'pass"tapir"word',
    "umlaut": "gürteltier-0815",
}
BEASTS = ("zebra", "quagga", "okapi", "giraffe", "tapir", "gürtel", "rteltier")
LIST_SECRET = {
    names.LIST_SECRET_NAME_PARAMETER: "creds",
    names.LIST_SECRET_NAMESPACE_PARAMETER: "vault",
}
WHOLE_LOGS = 9


def shapes(value: str) -> list[str]:
    """Return a value as drivers repeat it."""
    plain = [value, value.strip(), *value.split("\n")]
    coded = [base64.b64encode(each.encode()).decode() for each in plain]
    urls = [base64.urlsafe_b64encode(each.encode()).decode() for each in plain]
    quoted = [json.dumps(each) for each in plain]
    bare = [each.rstrip("=") for each in coded + urls]
    return [each for each in plain + coded + urls + quoted + bare if len(each) > 5]


TRACES = {shape for value in VALUES.values() for shape in shapes(value)} | set(BEASTS)
WORDS = "cannot log in with " + ", ".join(
    shape for value in VALUES.values() for shape in shapes(value)
)


@pytest.fixture(params=["json", "text"])
def log_file(request: pytest.FixtureRequest, logs_put_back: None) -> io.BytesIO:  # noqa: ARG001
    file = io.BytesIO()
    logs.configure(request.param, WHOLE_LOGS, file=file)
    structlog.configure(cache_logger_on_first_use=False)  # or later tests would log here, too
    return file


def plan(story: Story, method: str, *codes: grpc.StatusCode) -> None:
    story.driver.faults[method].extend(Fault(code, words=WORDS) for code in codes)


async def play(story: Story) -> list[Look]:
    """Go through every call, each failing with the driver's indiscretions, and then not."""
    looks: list[Look] = []
    status = grpc.StatusCode
    plan(story, "CreateSnapshot", status.UNAUTHENTICATED, status.UNAVAILABLE, status.ABORTED)
    looks += await story.add(objects.content(metadata__annotations=naming_secret()))
    looks += [await story.look() for _ in range(3)]
    plan(story, "ListSnapshots", status.INTERNAL)
    looks += [await story.look() for _ in range(2)]
    assert story.content().ready
    plan(story, "DeleteSnapshot", status.PERMISSION_DENIED)
    looks += await story.delete()
    looks.append(await story.look())
    assert story.gone()
    plan(story, "CreateSnapshot", status.UNAVAILABLE, status.INVALID_ARGUMENT)
    plan(story, "ListSnapshots", status.INTERNAL)
    lost = objects.content(metadata__annotations=naming_secret(), metadata__uid="uid-2b")
    looks += await story.add(lost)
    looks += await story.delete()
    looks.append(await story.look())
    assert story.gone()
    return looks


def everything(story: Story, looks: list[Look], meters: metrics.Metrics) -> Iterator[str]:
    """Yield whatever somebody may come to see."""
    shown: list[Any] = [*story.client.said, *story.writer.done, *story.recorder.told]
    shown += [*story.api.objects.values(), *story.api.changes]
    for look in looks:
        if look.failure is not None:
            shown.append(look.failure)
            yield "".join(traceback.format_exception(look.failure))
    for each in shown:
        yield repr(each)
        yield str(each)
    yield prometheus_client.generate_latest(meters.registry).decode()


async def test_no_value_of_a_secret_is_anywhere_but_in_the_call(
    story: Story, link: connection.Connection, log_file: io.BytesIO
) -> None:
    meters = metrics.Metrics()
    link.observe = meters.csi(objects.DRIVER).called
    story.driver.able.append(LISTS)
    story.driver.looks_until_ready = 1
    story.api.put(secret(**VALUES))
    story.api.put(objects.class_(parameters=LIST_SECRET))
    await story.start()

    looks = await play(story)

    for look in looks:
        if look.failure is not None:
            structlog.get_logger().error("reconcile_crashed", exc_info=look.failure)
    structlog.get_logger().info("said", said=story.client.said, changes=story.api.changes)
    logging.getLogger("a.library").error("said %s", story.client.said)
    await anyio.lowlevel.checkpoint()  # lines are written at the end of a turn of the loop
    await anyio.lowlevel.checkpoint()
    left = [*everything(story, looks, meters), *log_text(log_file)]
    found = {trace for text in left for trace in TRACES if trace in text}
    assert found == set()
    sent = [dict(each.secrets) for each in story.driver.requests]
    assert sent == len(sent) * [VALUES]
    assert {each.rpartition("/")[2] for each in story.driver.calls} == {
        "CreateSnapshot",
        "DeleteSnapshot",
        "ListSnapshots",
    }


def log_text(file: io.BytesIO) -> list[str]:
    """Return the logs, once it is sure that they tell of calls and of failures."""
    text = file.getvalue().decode()
    for event in ("csi_call", "called_driver", "reconcile_crashed", "library_message"):
        assert event in text
    assert redaction.HIDDEN in text
    return [text, text.encode().decode("unicode_escape")]


async def test_what_was_taken_out_is_seen_to_be(story: Story) -> None:
    story.api.put(secret(**VALUES))
    await story.start()
    plan(story, "CreateSnapshot", grpc.StatusCode.UNAUTHENTICATED)
    await story.add(objects.content(metadata__annotations=naming_secret()))
    begins = "Failed to create snapshot: UNAUTHENTICATED: cannot log in with ***stripped***, "
    assert story.problem().startswith(begins)
    assert story.events()[0][1].startswith(begins)
