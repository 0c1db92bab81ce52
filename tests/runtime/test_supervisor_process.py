"""What only a real process shows: signals from outside, a stuck loop, the exit code."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

PROGRAM = """
import sys, anyio
from snapshotd.runtime import supervisor
from snapshotd.telemetry import logging

async def run(status):
    status.started()
    print("running", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        print("stopping", flush=True)
        if sys.argv[1] == "stuck":
            while True:
                pass

logging.configure("json", 0)
ending = anyio.run(supervisor.Supervisor([supervisor.Part("a", run)]).run)
sys.exit(ending.code)
"""


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, request.param]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            expect(child, "running")
            yield child
        finally:
            child.kill()


def expect(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == f"{line}\n"


@pytest.mark.parametrize("process", ["obedient"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_well(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    process.send_signal(number)

    expect(process, "stopping")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in stderr


@pytest.mark.parametrize("process", ["stuck"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_even_a_stuck_process_at_once(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    process.send_signal(signal.SIGTERM)
    expect(process, "stopping")

    process.send_signal(number)

    _, stderr = process.communicate(timeout=30)
    assert process.returncode == -number
    assert "Traceback" not in stderr
