"""Logs: structlog configured once, for our own events and for those of the libraries.

Invariants: an event is a constant snake_case word with values beside it; no secret leaves through a
value's type or name; a traceback appears at debug level only; logging never raises into the work
that it tells of, and costs one write for all the lines of one turn of the event loop. The level can
be changed at any time (`toggle_debug`), and a line below it costs a call that does nothing.
"""

import asyncio
import atexit
import contextlib
import functools
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import msgspec
import structlog

from snapshotd.model import keys, secrets

Format: TypeAlias = Literal["text", "json"]
Event: TypeAlias = structlog.typing.EventDict

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_DEBUG_FROM: Final = 4  # the -v of the reference: from here on, what goes on inside
_LIBRARIES_FROM: Final = 6  # and from here on, what the libraries say when all is well
_HIDDEN: Final = "[hidden]"
_DEEPEST: Final = 6  # what is nested deeper, or in itself, is cut off there
_SECRET_TYPES: Final = (secrets.Credentials, secrets.Secret)
_SECRET_WORDS: Final = ("secret", "token", "password", "credential", "authorization")


class Sink:
    """A file that collects lines and writes them once per turn of the event loop.

    Where no loop runs, `flush` writes at once.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Write to `file`."""
        self._file = file
        self._lines: list[bytes] = []
        self._lock = threading.Lock()  # libraries log from threads of their own
        self._loop: asyncio.AbstractEventLoop | None = None  # that is going to call `drain`

    def write(self, line: bytes) -> None:
        """Take one line, its newline included."""
        with self._lock:
            self._lines.append(line)

    def flush(self) -> None:
        """Have what was taken written before the loop waits again."""
        if self._loop is not None and not self._loop.is_closed():
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self.drain()
        else:
            self._loop.call_soon(self.drain)

    def drain(self) -> None:
        """Write what was taken; a closed or broken stderr costs the lines, never the work."""
        self._loop = None
        with self._lock:
            lines, self._lines = self._lines, []
        with contextlib.suppress(OSError, ValueError):
            self._file.write(b"".join(lines))
            self._file.flush()


class _Libraries(logging.Handler):
    """Hands the standard library's log records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        log.log(
            level,
            "library_message",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


class _Switch:
    """The level of this process: one, and it can be changed while loggers are in use.

    Every logger is an instance of `logger`, whose methods are those of structlog's class for the
    level: one that is off does nothing at all, so nothing is asked at each call.
    """

    def __init__(self) -> None:
        self.logger: type[Any] = type(
            "Logger", (structlog.make_filtering_bound_logger(logging.INFO),), {}
        )
        self.usual = self.level = logging.INFO

    def turn(self, level: int) -> None:
        self.level = level
        for name, method in vars(structlog.make_filtering_bound_logger(level)).items():
            if not name.startswith("__"):
                setattr(self.logger, name, method)


_switch: Final = _Switch()


def configure(
    rendering: Format, verbosity: int, *, level: str = "", file: BinaryIO | None = None
) -> None:
    """Set up the logs of this process, to stderr unless another file is given.

    `verbosity` is the reference's `-v`: info below 4, debug from there on; `level` wins over it and
    is one of `LEVELS`.
    """
    file = file or sys.stderr.buffer
    sink = Sink(file)
    atexit.register(sink.drain)
    usual = logging.DEBUG if verbosity >= _DEBUG_FROM else logging.INFO
    _switch.usual = LEVELS[level] if level else usual
    _switch.turn(_switch.usual)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _describe_exception,
            _hide_secrets,
            *(_to_text(colours=file.isatty()) if rendering == "text" else _to_json()),
        ],
        wrapper_class=_switch.logger,
        logger_factory=structlog.BytesLoggerFactory(sink),  # type: ignore[arg-type] # writes, flushes
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        # never debug: at that level the Kubernetes client shows whole objects, Secrets included
        level=logging.INFO if verbosity >= _LIBRARIES_FROM else logging.WARNING,
        handlers=[_Libraries()],
        force=True,
    )


def toggle_debug() -> str:
    """Log at debug level from now on, or, if that is so already, as at the start; return which.

    A process that was started at debug level goes to info and back.
    """
    other = logging.INFO if _switch.usual == logging.DEBUG else _switch.usual
    _switch.turn(other if _switch.level == logging.DEBUG else logging.DEBUG)
    return logging.getLevelName(_switch.level).lower()


def _to_json() -> list[structlog.typing.Processor]:
    return [structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"), _render_json]


def _to_text(*, colours: bool) -> list[structlog.typing.Processor]:
    """Render for a person: local time and colours on a terminal, else as complete as JSON."""
    if not colours:
        return [structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"), _render_plain]
    console = structlog.dev.ConsoleRenderer(
        timestamp_key="ts",
        exception_formatter=structlog.dev.plain_traceback,
        sort_keys=False,
    )

    def render(logger: Any, method: str, event: Event) -> bytes:
        return str(console(logger, method, event)).encode(errors="backslashreplace")

    return [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="ts"), render]


def _render_plain(_logger: Any, _method: str, event: Event) -> bytes:
    """Render as the console does, at a quarter of its cost: every write to the cluster is told."""
    ts, level, name = event.pop("ts", ""), event.pop("level", ""), event.pop("event", "")
    trace = event.pop("exception", None)
    values = [f"{key}={_in_a_word(value)}" for key, value in event.items()]
    head = f"{ts} [{level:<9}] " + (f"{name!s:<30}" if values else str(name))
    text = " ".join([head, *values])
    return (f"{text}\n{trace}" if trace else text).encode(errors="backslashreplace")


def _in_a_word(value: object) -> str:
    if not isinstance(value, str):
        return repr(value)
    return repr(value) if _SEPARATING.search(value) else value


_SEPARATING: Final = re.compile(r"[\s=\"']")  # what would make a value unreadable as one word
_encoder = msgspec.json.Encoder(enc_hook=str)


def _render_json(_logger: Any, _method: str, event: Event) -> bytes:
    first = {name: event.pop(name, None) for name in ("ts", "level", "event")}
    try:
        return _encoder.encode({**first, **event})
    except Exception:  # noqa: BLE001 - a lone surrogate must not stop the work
        return _encoder.encode({**first, **{name: ascii(value) for name, value in event.items()}})


def _hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: object, value: object, *, depth: int = 0) -> object:
    """Return the value, or what may be shown of it; `name` is what it is called."""
    if isinstance(value, _SECRET_TYPES) or _is_secret(name):
        return _HIDDEN
    if isinstance(value, keys.Key):
        return str(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) and depth == _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {key: _hidden(key, each, depth=depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_hidden(name, each, depth=depth + 1) for each in value]
    return value


@functools.lru_cache(maxsize=1024)
def _is_secret(name: object) -> bool:
    lowered = str(name).lower()
    return any(word in lowered for word in _SECRET_WORDS)


def _describe_exception(_logger: Any, _method: str, event: Event) -> Event:
    """Put an exception's type, text and place into fields; the traceback only where asked for."""
    given = event.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is None:
        return event
    event["error_type"] = type(error).__name__
    event.setdefault("error", str(error))
    event["error_at"] = _place(error.__traceback__)
    if _switch.level <= logging.DEBUG:
        event["exception"] = "".join(traceback.format_exception(error))
    return event


def _place(trace: TracebackType | None) -> str | None:
    """Return `module:line` of where an exception was raised."""
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
