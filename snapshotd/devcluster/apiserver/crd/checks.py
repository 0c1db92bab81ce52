"""What a schema says of one value, apart from what is inside it: type, bounds, pattern, format.

`compile_checks` returns one function for one level of a schema; it says whether the type was right,
so that nobody looks inside a value of the wrong type.
"""

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import msgspec

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]
Causes = list[errors.Cause]
Check = Callable[[Any, str, Causes], bool]
Simple = Callable[[Any], tuple[str, str] | None]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def type_of(value: Any) -> str:
    """Return the JSON type of a value, as messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for name in ("object", "array", "string", "integer", "number"):
        if isinstance(value, _TYPES[name]):
            return name
    return type(value).__name__


def shown(value: Any) -> str:
    """Return a value as messages show it: scalars as they are, others by their type."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return f'"{type_of(value)}"'


def compile_checks(schema: JsonObject, path: str) -> Check:
    """Return the check for one level; raises `ValueError` for a schema that makes no sense."""
    kind = _kind_check(schema, path)
    simple = _simple_checks(schema, path)
    required = tuple(schema.get("required", ()))
    combined = _combined(schema, path)

    def check(value: Any, where: str, causes: Causes) -> bool:
        if not kind(value, where, causes):
            return False
        for test in simple:
            problem = test(value)
            if problem is not None:
                causes.append(errors.Cause(where, problem[0], problem[1]))
        if required and isinstance(value, dict):
            for name in required:
                if name not in value:
                    below = f"{where}.{name}" if where else name
                    causes.append(errors.Cause(below, "FieldValueRequired", "Required value"))
        for test_all in combined:
            test_all(value, where, causes)
        return True

    return check


def _anything(value: Any, where: str, causes: Causes) -> bool:
    del value, where, causes
    return True


def _kind_check(schema: JsonObject, path: str) -> Check:
    wanted = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        types: tuple[type, ...] = (int, str)
        wanted = "integer,string"
    elif not wanted:
        return _anything
    elif wanted in _TYPES:
        types = _TYPES[wanted]
    else:
        raise ValueError(f'{path}.type: Unsupported value: "{wanted}"')
    also_bool = wanted == "boolean"

    def check(value: Any, where: str, causes: Causes) -> bool:
        if isinstance(value, types) and (also_bool or not isinstance(value, bool)):
            return True
        if wanted == "integer" and isinstance(value, float) and value.is_integer():
            return True
        found = type_of(value)
        text = (
            f'Invalid value: "{found}": {where or "<root>"} in body must be of type {wanted}: '
            f'"{found}"'
        )
        causes.append(errors.Cause(where, "FieldValueTypeInvalid", text))
        return False

    return check


def _simple_checks(schema: JsonObject, path: str) -> list[Simple]:
    found: list[Simple] = []
    if "enum" in schema:
        allowed = schema["enum"]
        told = ", ".join(shown(each) for each in allowed)
        found.append(
            lambda value: (
                None
                if value in allowed
                else (
                    "FieldValueNotSupported",
                    f"Unsupported value: {shown(value)}: supported values: {told}",
                )
            )
        )
    found += _bounds(schema)
    if "pattern" in schema:
        found.append(_pattern(schema["pattern"], path))
    if "format" in schema:
        test = _FORMATS.get(schema["format"])
        if test is not None:
            found.append(_format(schema["format"], test))
    if schema.get("x-kubernetes-list-type") in {"map", "set"}:
        found.append(_unique(tuple(schema.get("x-kubernetes-list-map-keys", ()))))
    return found


def _bounds(schema: JsonObject) -> list[Simple]:
    found: list[Simple] = []
    for name, measure, too_little in (
        ("minLength", _length, True),
        ("maxLength", _length, False),
        ("minItems", _count, True),
        ("maxItems", _count, False),
        ("minProperties", _members, True),
        ("maxProperties", _members, False),
        ("minimum", _number, True),
        ("maximum", _number, False),
    ):
        if name in schema:
            strict = bool(schema.get("exclusive" + name.capitalize()))
            found.append(_bound(name, schema[name], measure, (too_little, strict)))
    return found


def _bound(
    name: str, limit: float, measure: Callable[[Any], float | None], how: tuple[bool, bool]
) -> Simple:
    too_little, strict = how

    def check(value: Any) -> tuple[str, str] | None:
        size = measure(value)
        if size is None:
            return None
        bad = size < limit if too_little else size > limit
        if not bad and not (strict and size == limit):
            return None
        if name == "maxLength":
            return ("FieldValueTooLong", f"Too long: may not be more than {limit} bytes")
        if name == "maxItems":
            return ("FieldValueTooMany", f"Too many: {size}: must have at most {limit} items")
        word = {"minLength": "at least {} chars long", "minItems": "at least {} items long"}.get(
            name, ("greater" if too_little else "less") + " than or equal to {}"
        )
        return (
            "FieldValueInvalid",
            f"Invalid value: {shown(value)}: should be {word.format(limit)}",
        )

    return check


def _length(value: Any) -> float | None:
    return len(value) if isinstance(value, str) else None


def _count(value: Any) -> float | None:
    return len(value) if isinstance(value, list) else None


def _members(value: Any) -> float | None:
    return len(value) if isinstance(value, dict) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pattern(pattern: str, path: str) -> Simple:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f'{path}.pattern: Invalid value: "{pattern}": {error}') from None

    def check(value: Any) -> tuple[str, str] | None:
        if not isinstance(value, str) or compiled.search(value):
            return None
        text = f"Invalid value: {shown(value)}: in body should match '{pattern}'"
        return ("FieldValueInvalid", text)

    return check


def _is_date_time(value: str) -> bool:
    try:
        return "T" in value and dt.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_FORMATS: dict[str, Callable[[Any], bool]] = {
    "date-time": lambda value: not isinstance(value, str) or _is_date_time(value),
    "byte": lambda value: not isinstance(value, str) or _is_base64(value),
    "uuid": lambda value: not isinstance(value, str) or _UUID.fullmatch(value) is not None,
    "int32": lambda value: not isinstance(value, int) or -(2**31) <= value < 2**31,
    "int64": lambda value: not isinstance(value, int) or -(2**63) <= value < 2**63,
}


def _format(name: str, test: Callable[[Any], bool]) -> Simple:
    def check(value: Any) -> tuple[str, str] | None:
        if test(value):
            return None
        text = f"Invalid value: {shown(value)}: in body must be of type {name}: {shown(value)}"
        return ("FieldValueInvalid", text)

    return check


def _unique(keys: tuple[str, ...]) -> Simple:
    def check(value: Any) -> tuple[str, str] | None:
        if not isinstance(value, list):
            return None
        seen: set[bytes] = set()
        for item in value:
            named = (
                {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
            )
            name = msgspec.json.encode(named)
            if name in seen:
                return ("FieldValueDuplicate", f"Duplicate value: {name.decode()}")
            seen.add(name)
        return None

    return check


def _combined(schema: JsonObject, path: str) -> list[Callable[[Any, str, Causes], None]]:
    """Return the checks of oneOf, anyOf, allOf and not, whose schemas hold values only."""
    found: list[Callable[[Any, str, Causes], None]] = []
    for name in ("allOf", "anyOf", "oneOf"):
        if name in schema:
            parts = [_deep(each, f"{path}.{name}") for each in schema[name]]
            found.append(_count_of(name, parts))
    if "not" in schema:
        found.append(_count_of("not", [_deep(schema["not"], f"{path}.not")]))
    return found


def _count_of(name: str, parts: list[Callable[[Any], bool]]) -> Callable[[Any, str, Causes], None]:
    def check(value: Any, where: str, causes: Causes) -> None:
        number = sum(part(value) for part in parts)
        good = {
            "allOf": number == len(parts),
            "anyOf": number >= 1,
            "oneOf": number == 1,
            "not": number == 0,
        }[name]
        if not good:
            text = f'Invalid value: {shown(value)}: "{where}" must validate {name} of its schemas'
            causes.append(errors.Cause(where, "FieldValueInvalid", text))

    return check


def _deep(schema: JsonObject, path: str) -> Callable[[Any], bool]:
    here = compile_checks(schema, path)
    properties = {
        name: _deep(below, f"{path}.properties[{name}]")
        for name, below in schema.get("properties", {}).items()
    }
    items = _deep(schema["items"], f"{path}.items") if "items" in schema else None

    def matches(value: Any) -> bool:
        causes: Causes = []
        if not here(value, "", causes) or causes:
            return False
        if isinstance(value, dict):
            return all(test(value[name]) for name, test in properties.items() if name in value)
        return items is None or not isinstance(value, list) or all(map(items, value))

    return matches
