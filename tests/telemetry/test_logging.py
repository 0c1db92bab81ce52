import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from snapshotd.model import keys, meta, secrets
from snapshotd.telemetry import logging as logs

pytestmark = pytest.mark.usefixtures("logs_put_back")


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


class Broken(io.BytesIO):
    def write(self, _data: object) -> int:
        raise BrokenPipeError


def written(file: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


def configured(verbosity: int = 0, rendering: logs.Format = "json") -> tuple[io.BytesIO, Any]:
    file = io.BytesIO()
    logs.configure(rendering, verbosity, file=file)
    return file, structlog.get_logger()


def crash() -> KeyError:
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError) as caught:
        del nothing["a defect"]
    return caught.value


def test_a_line_is_an_object_that_begins_with_when_how_loud_and_what() -> None:
    file, log = configured()

    log.info("snapshot_ready", key=keys.Key(keys.Kind.CLAIM, "ns", "a"), took=0.25)

    line = written(file)[0]
    assert list(line) == ["ts", "level", "event", "key", "took"]
    assert line["ts"].endswith("Z")
    assert line | {"ts": ""} == {
        "ts": "",
        "level": "info",
        "event": "snapshot_ready",
        "key": "PersistentVolumeClaim ns/a",
        "took": 0.25,
    }


def test_the_context_of_a_reconcile_is_on_every_line() -> None:
    file, log = configured()

    with structlog.contextvars.bound_contextvars(reconcile_id="1234"):
        log.info("x")

    assert written(file)[0]["reconcile_id"] == "1234"


@pytest.mark.parametrize(("verbosity", "events"), [(0, ["i"]), (3, ["i"]), (4, ["d", "i"])])
def test_verbosity_decides_what_is_told(verbosity: int, events: list[str]) -> None:
    file, log = configured(verbosity)

    log.debug("d")
    log.info("i")

    assert [line["event"] for line in written(file)] == events


def test_secrets_are_hidden_by_type_and_by_name() -> None:
    file, log = configured()
    credentials = secrets.Credentials({"user": "s3cret"})

    log.info(
        "x",
        thing=credentials,
        bearer_token="s3cret",
        Authorization="s3cret",
        things=[credentials, (secrets.Secret(meta.ObjectMeta("a"), {"user": b"s3cret"}),)],
        nested={"password": "s3cret", "deeper": {"clientSecret": "s3cret", "name": "kept"}},
    )

    assert b"s3cret" not in file.getvalue()
    line = written(file)[0]
    assert line["thing"] == line["bearer_token"] == line["Authorization"] == "[hidden]"
    assert line["things"] == ["[hidden]", ["[hidden]"]]
    assert line["nested"] == {
        "password": "[hidden]",
        "deeper": {"clientSecret": "[hidden]", "name": "kept"},
    }


def test_an_exception_is_told_as_fields_without_its_traceback() -> None:
    file, log = configured()

    log.error("reconcile_crashed", exc_info=crash())

    line = written(file)[0]
    assert (line["error_type"], line["error"]) == ("KeyError", "'a defect'")
    assert line["error_at"].partition(":")[0].endswith("test_logging")
    assert "exception" not in line


def test_the_traceback_comes_at_debug_level() -> None:
    file, log = configured(4)

    log.error("reconcile_crashed", exc_info=crash())

    assert written(file)[0]["exception"].startswith("Traceback")


def test_an_exception_may_be_given_in_every_form_of_the_standard_library() -> None:
    file, log = configured()
    defect = crash()

    log.error("x", exc_info=(type(defect), defect, defect.__traceback__))
    try:
        raise defect
    except KeyError:
        log.exception("x")
    log.error("x", exc_info=True)  # noqa: LOG014 - somebody will
    log.error("x", exc_info=LookupError("never raised"))

    lines = written(file)
    assert [line.get("error") for line in lines] == ["'a defect'"] * 2 + [None, "never raised"]
    assert lines[3]["error_at"] is None


def test_what_json_cannot_hold_is_told_in_other_words() -> None:
    file, log = configured()

    log.info("x", value="\ud800")

    assert written(file)[0]["value"] == r"'\ud800'"


def test_what_holds_itself_is_cut_off() -> None:
    file, log = configured()
    cycle: list[Any] = []
    cycle.append(cycle)

    log.info("x", value=cycle)

    assert b"..." in file.getvalue()


def test_any_object_can_be_a_value() -> None:
    file, log = configured()

    log.info("x", path=Path("a/b"), kind=keys.Kind.CLAIM)

    assert written(file)[0]["path"] == "a/b"
    assert written(file)[0]["kind"] == "PersistentVolumeClaim"


def test_text_is_plain_where_no_person_looks() -> None:
    file, log = configured(rendering="text")

    log.info("snapshot_ready", key="a")

    assert b"snapshot_ready" in file.getvalue()
    assert b"key=a" in file.getvalue()
    assert b"\x1b[" not in file.getvalue()


def test_a_plain_line_is_what_the_console_would_show() -> None:
    file, log = configured(rendering="text")
    console = structlog.dev.ConsoleRenderer(colors=False, sort_keys=False)

    values = {"key": "Snap ns/a", "n": 1, "none": None, "plain": "z", "quoted": 'a="b"', "no": ""}

    log.info("wrote", **values)
    log.info("alone")

    shown = [line.split("] ", 1)[1] for line in file.getvalue().decode().splitlines()]
    assert shown == [
        console(None, "info", {"event": "wrote", **values}),
        console(None, "info", {"event": "alone"}),
    ]


def test_text_has_colours_on_a_terminal_and_a_plain_traceback_at_debug_level() -> None:
    file = Terminal()
    logs.configure("text", 4, file=file)

    structlog.get_logger().error("x", exc_info=crash())

    assert b"\x1b[" in file.getvalue()
    assert b"Traceback (most recent call last):" in file.getvalue()


@pytest.mark.parametrize(("verbosity", "told"), [(0, ["w"]), (5, ["w"]), (6, ["i", "w"])])
def test_libraries_are_heard_when_something_is_wrong_and_never_at_debug_level(
    verbosity: int, told: list[str]
) -> None:
    file, _ = configured(verbosity)
    library = logging.getLogger("some.library")

    library.debug("d")
    library.info("i")
    library.warning("w")

    lines = written(file)
    assert [line["message"] for line in lines] == told
    assert {(line["event"], line["logger"]) for line in lines} == {
        ("library_message", "some.library")
    }


def test_a_library_with_levels_of_its_own_is_heard_too() -> None:
    file, _ = configured()

    logging.getLogger("some.library").log(35, "%s of %s", 1, 2)
    logging.getLogger("some.library").log(99, "x", exc_info=crash())

    lines = written(file)
    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "1 of 2"),
        ("critical", "x"),
    ]
    assert lines[1]["error"] == "'a defect'"


def test_a_broken_stderr_harms_nobody() -> None:
    logs.configure("json", 0, file=Broken())

    structlog.get_logger().info("x")


def test_lines_of_one_turn_of_the_loop_are_one_write() -> None:
    writes: list[bytes] = []

    class File(io.BytesIO):
        def write(self, data: Any) -> int:
            writes.append(bytes(data))
            return len(data)

    sink = logs.Sink(File())

    async def talk() -> None:
        for turn in range(2):
            for line in range(3):
                sink.write(b"%d.%d " % (turn, line))
                sink.flush()
            assert len(writes) == turn
            await asyncio.sleep(0)

    asyncio.run(talk())

    assert writes == [b"0.0 0.1 0.2 ", b"1.0 1.1 1.2 "]


def test_lines_are_written_at_once_where_no_loop_runs() -> None:
    file = io.BytesIO()
    sink = logs.Sink(file)

    def talk() -> None:
        sink.write(b"x")
        sink.flush()

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()

    assert file.getvalue() == b"x"


def test_a_loop_that_ended_before_its_turn_is_not_waited_for() -> None:
    file = io.BytesIO()
    sink = logs.Sink(file)
    loop = asyncio.new_event_loop()

    def talk(_done: object) -> None:
        sink.write(b"first ")
        sink.flush()

    end = loop.create_future()
    end.add_done_callback(talk)  # called in the loop's last turn
    end.set_result(None)
    loop.run_until_complete(end)
    loop.close()
    assert file.getvalue() == b""
    sink.write(b"second")
    sink.flush()

    assert file.getvalue() == b"first second"


def test_the_last_lines_are_written_when_the_process_ends() -> None:
    program = (
        "import asyncio, structlog\n"
        "from snapshotd.telemetry import logging\n"
        "logging.configure('json', 0)\n"
        "loop = asyncio.new_event_loop()\n"
        "end = loop.create_future()\n"
        "end.add_done_callback(lambda _: structlog.get_logger().info('last_words'))\n"
        "end.set_result(None)\n"
        "loop.run_until_complete(end)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert json.loads(done.stderr)["event"] == "last_words"


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warning", ["w", "e"]),
        ("error", ["e"]),
    ],
)
def test_a_level_wins_over_the_verbosity(level: str, told: list[str]) -> None:
    file = io.BytesIO()
    logs.configure("json", 0 if level == "debug" else 6, level=level, file=file)
    log = structlog.get_logger()

    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")

    assert [line["event"] for line in written(file)] == told


@pytest.mark.parametrize(
    ("level", "turns"),
    [
        ("info", ["debug", "info", "debug"]),
        ("error", ["debug", "error", "debug"]),
        ("debug", ["info", "debug", "info"]),
    ],
)
def test_debug_is_toggled_against_what_was_asked_for(level: str, turns: list[str]) -> None:
    logs.configure("json", 0, level=level, file=io.BytesIO())

    assert [logs.toggle_debug() for _ in turns] == turns


def test_a_logger_that_is_in_use_already_follows_the_level_and_the_tracebacks_do() -> None:
    file, log = configured()
    log.info("first")  # from here on the logger is cached
    log.debug("hidden")

    logs.toggle_debug()
    assert log.is_enabled_for(logging.DEBUG)
    log.debug("shown")
    log.error("x", exc_info=crash())
    logs.toggle_debug()
    log.debug("hidden")

    lines = written(file)
    assert [line["event"] for line in lines] == ["first", "shown", "x"]
    assert "exception" in lines[2]
