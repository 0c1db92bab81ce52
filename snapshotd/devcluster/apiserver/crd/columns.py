"""What is printed of a custom resource: `additionalPrinterColumns`, by the JSONPath that they use.

Only what printer columns need of JSONPath: names, indexes and `[?(@.a=="b")]` filters.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from snapshotd.devcluster.apiserver import resources

JsonObject = dict[str, Any]

_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]'"]+)"""
    r"""|\[(?P<index>-?\d+|\*)\]"""
    r"""|\['(?P<quoted>[^']+)'\]"""
    r"""|\[\?\(@\.(?P<field>[^=!]+?)\s*==\s*["'](?P<value>[^"']*)["']\)\]"""
)
_MISSING = object()


def reader(path: str) -> Callable[[JsonObject], Any]:
    """Return what reads the value at a path, None where there is none."""
    steps = list(_STEP.finditer(path.replace("\\.", "\0")))

    def read(obj: Any) -> Any:
        for step in steps:
            obj = _step(obj, step)
            if obj is _MISSING:
                return None
        return obj

    return read


def text_reader(path: str) -> Callable[[JsonObject], str]:
    """Return what reads the value at a path as text, '' where there is none."""
    read = reader(path)

    def text(obj: JsonObject) -> str:
        value = read(obj)
        return "" if value is None else str(value)

    return text


def _step(obj: Any, step: re.Match[str]) -> Any:
    name = step["name"] or step["quoted"]
    if name is not None:
        return obj.get(name.replace("\0", "."), _MISSING) if isinstance(obj, dict) else _MISSING
    if not isinstance(obj, list) or not obj:
        return _MISSING
    if step["index"] is not None:
        index = 0 if step["index"] == "*" else int(step["index"])
        return obj[index] if -len(obj) <= index < len(obj) else _MISSING
    field, wanted = step["field"], step["value"]
    return next((each for each in obj if str(each.get(field)) == wanted), _MISSING)


def of(declared: list[JsonObject] | None) -> tuple[resources.Column, ...]:
    """Return the columns of a kind: the name, then those declared, or else the age."""
    name = resources.Column(
        "Name", "string", "Name of the object.", 0, lambda obj: obj["metadata"]["name"], "name"
    )
    if not declared:
        declared = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    return (name, *(_column(each) for each in declared))


def _column(declared: JsonObject) -> resources.Column:
    read = reader(declared["jsonPath"])
    is_date = declared["type"] == "date"

    def cell(obj: JsonObject) -> Any:
        value = read(obj)
        if is_date:
            return age(value)
        if declared["type"] == "string" and value is not None and not isinstance(value, str):
            return str(value).lower() if isinstance(value, bool) else str(value)
        return value

    return resources.Column(
        declared["name"],
        declared["type"],
        declared.get("description", f"From {declared['jsonPath']}."),
        declared.get("priority", 0),
        cell,
        declared.get("format", ""),
    )


def age(timestamp: Any) -> str | None:
    """Return the time since a timestamp as kubectl tells it: 45s, 12m, 3h5m, 2d4h."""
    if not isinstance(timestamp, str):
        return None
    try:
        since = dt.datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    seconds = max(0, int((dt.datetime.now(dt.UTC) - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d" if days < 730 else _two(days // 365, "y", days % 365, "d")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"
