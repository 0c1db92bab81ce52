"""Flags from settings: one parser for every command, in the syntax that Go programs take.

`-x` and `--x` are the same, `--flag=false` turns a boolean off, durations are written `1m30s`. A
flag wins over its environment variable, which wins over the default.
"""

import argparse
import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from snapshotd import errors, settings

T = TypeVar("T")

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


def duration(text: str) -> settings.Seconds:
    """Return Go's `1h2m3.5s` as seconds; raises `ValueError` saying how to write one."""
    found = list(_DURATION.finditer(text))
    if text == "0":
        return settings.Seconds(0.0)
    if not found or "".join(match[0] for match in found) != text:
        raise ValueError(f"{text!r} is not a duration: write it like 500ms, 10s or 1m30s")
    return settings.Seconds(sum(float(match[1]) * _UNITS[match[2]] for match in found))


def shown(seconds: float) -> str:
    """Return seconds as a duration is written."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    if minutes and not rest:
        return f"{minutes:g}m"
    return f"{seconds:g}s"


def boolean(text: str) -> bool:
    """Return what Go takes for a boolean; raises `ValueError`."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(f"{text!r} is not true or false")


_READERS: dict[str, Callable[[str], Any]] = {
    "bool": boolean,
    "int": int,
    "float": float,
    "str": str,
    "Seconds": duration,
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors say what to do next."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, what may have been meant, and where to look; exit code 2."""
        hint = self._nearest(message)
        raise errors.Misconfigured(f"{message}{hint}\nSee '{self.prog} --help'.")

    def _nearest(self, message: str) -> str:
        unknown = re.search(r"unrecognized arguments: (-\S+)", message)
        if unknown is None:
            return ""
        name = unknown[1].split("=", 1)[0].lstrip("-")
        known = [each.lstrip("-") for each in self._option_string_actions]
        close = difflib.get_close_matches(name, known, n=1)
        return f" (did you mean --{close[0]}?)" if close else ""


def parser(command: str, group: type[Any], *, description: str, epilog: str) -> Parser:
    """Return the parser of one command, with a flag for every setting of `group`."""
    made = Parser(
        prog=f"snapshotd {command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for concern in dataclasses.fields(group):
        kind: Any = type(concern.default)
        section = made.add_argument_group((kind.__doc__ or "").rstrip("."))
        for field in dataclasses.fields(kind):
            _add(section, field)
    return made


def _flag(field: dataclasses.Field[Any]) -> str:
    return field.metadata["flag"] or field.name.replace("_", "-")


def _type_name(field: dataclasses.Field[Any]) -> str:
    return field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "str")


def _add(section: Any, field: dataclasses.Field[Any]) -> None:
    name, kind = _flag(field), _type_name(field)
    value: Any = field.default
    default = shown(value) if kind == "Seconds" else value
    told = f" (default {default})" if default not in {"", None} else ""
    options: dict[str, Any] = {
        "dest": field.name,
        "type": _checked(_READERS[kind]),
        "default": None,
        "help": f"{field.metadata['help']}{told}".replace("%", "%%"),
        "metavar": {"bool": "BOOL", "Seconds": "DURATION"}.get(kind, name.upper()),
    }
    if kind == "bool":
        options |= {"nargs": "?", "const": True}
    spellings = [f"--{name}", f"-{name}"]
    section.add_argument(*spellings, **options)


def _checked(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def accept(made: Parser) -> None:
    """Let flags of the reference that have no effect here pass; `ignored` tells the given."""
    section = made.add_argument_group("Accepted for the reference's manifests, without effect")
    for name, reason in settings.ACCEPTED.items():
        section.add_argument(
            f"--{name}", f"-{name}", nargs="?", const="", default=None, metavar="VALUE", help=reason
        )


def ignored(given: argparse.Namespace) -> dict[str, str]:
    """Return the flags that were given and have no effect, each with the reason."""
    values = vars(given)
    return {
        name: reason
        for name, reason in settings.ACCEPTED.items()
        if values.get(name.replace("-", "_")) is not None
    }


def read(group: type[T], given: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> T:
    """Return the settings of a command; raises `Misconfigured` for a bad variable."""
    concerns: dict[str, Any] = {}
    for concern in dataclasses.fields(group):  # type: ignore[arg-type]
        kind: Any = type(concern.default)
        values = {field.name: _value(field, given, environ) for field in dataclasses.fields(kind)}
        concerns[concern.name] = kind(**values)
    return group(**concerns)


def _value(
    field: dataclasses.Field[Any], given: argparse.Namespace, environ: Mapping[str, str]
) -> Any:
    value = getattr(given, field.name)
    if value is not None:
        return value
    name = f"SNAPSHOTD_{_flag(field).replace('-', '_').upper()}"
    text = environ.get(name)
    if text is None:
        return field.default
    try:
        return _READERS[_type_name(field)](text)
    except ValueError as error:
        raise errors.Misconfigured(f"{name}: {error}") from None


def parse(made: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Return what was given; raises `Misconfigured` for what cannot be understood."""
    return made.parse_args(list(words))
