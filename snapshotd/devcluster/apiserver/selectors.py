"""Label and field selectors: text to a test of an object.

Grammar as in apimachinery `labels.Parse`: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`,
`a`, `!a`, joined by commas. A field selector knows `=`, `==` and `!=` only.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]
Test = Callable[[JsonObject], bool]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?(?:/[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^)]*)\)\s*$")
_EQUAL = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)\s*$")
_COMPARE = re.compile(rf"\s*({_KEY})\s*([<>])\s*(-?\d+)\s*$")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*$")
_COMMA = re.compile(r",(?![^()]*\))")


def everything(obj: JsonObject) -> bool:
    """Match every object."""
    del obj
    return True


def labels(text: str) -> Test:
    """Return the test a label selector stands for; raises 400."""
    if not text.strip():
        return everything
    tests = [_label_test(part, text) for part in _COMMA.split(text)]

    def matches(obj: JsonObject) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(test(found) for test in tests)

    return matches


def _label_test(part: str, whole: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(part):
        key, values = match[1], {value.strip() for value in match[3].split(",")}
        if match[2] == "in":
            return lambda found: found.get(key) in values
        return lambda found: found.get(key) not in values
    if match := _EQUAL.match(part):
        key, value = match[1], match[3]
        if match[2] == "!=":
            return lambda found: found.get(key) != value
        return lambda found: found.get(key) == value
    if match := _COMPARE.match(part):
        return _compare(match[1], match[2], int(match[3]))
    if match := _EXISTS.match(part):
        key, wanted = match[2], not match[1]
        return lambda found: (key in found) is wanted
    raise errors.bad_request(f"unable to parse requirement: {part.strip()!r} in selector {whole!r}")


def _compare(key: str, operator: str, bound: int) -> Callable[[Mapping[str, str]], bool]:
    def holds(found: Mapping[str, str]) -> bool:
        try:
            value = int(found[key])
        except (KeyError, ValueError):
            return False
        return value > bound if operator == ">" else value < bound

    return holds


def fields(text: str, known: Mapping[str, Callable[[JsonObject], str]]) -> Test:
    """Return the test a field selector stands for; raises 400 naming an unknown field."""
    if not text.strip():
        return everything
    tests = [_field_test(part, known) for part in text.split(",")]
    return lambda obj: all(test(obj) for test in tests)


def _field_test(part: str, known: Mapping[str, Callable[[JsonObject], str]]) -> Test:
    for operator in ("!=", "==", "="):
        path, found, value = part.partition(operator)
        if found:
            read = known.get(path.strip())
            if read is None:
                raise errors.bad_request(
                    f'Unable to find field selector: field label not supported: "{path.strip()}"'
                )
            wanted, negated = value.strip(), operator == "!="
            return lambda obj: (read(obj) == wanted) is not negated
    raise errors.bad_request(f"invalid field selector {part!r}; can't understand {part!r}")


def known_fields(
    selectable: Mapping[str, Callable[[JsonObject], str]],
) -> dict[str, Callable[[JsonObject], str]]:
    """Return the fields every kind can be selected by, and those of this kind."""
    return {
        "metadata.name": lambda obj: obj["metadata"].get("name", ""),
        "metadata.namespace": lambda obj: obj["metadata"].get("namespace", ""),
        **selectable,
    }
