"""The dashboard and the rules of `deploy/monitoring`, and the metrics that they name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from snapshotd.telemetry import metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD = FOLDER / "dashboard.json"
RULES = FOLDER / "rules.yaml"
RULES_TEST = FOLDER / "rules_test.yaml"
JsonObject = dict[str, Any]

# A selector's braces, strings and a grouping's labels hold no metric names
_NOT_NAMES = re.compile(r'\{[^}]*\}|"[^"]*"|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\[[^\]]*\]')
_NAME = re.compile(r"(?<![\w:$])([a-z][\w:]*)(?!\s*\()(?![\w:])")
_WORDS = {"and", "or", "unless", "by", "sum", "max", "min", "count", "bool", "offset"}


def panels() -> list[JsonObject]:
    found: list[JsonObject] = json.loads(DASHBOARD.read_text())["panels"]
    return [each for each in found if each["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield each panel's title and each of its queries."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def rules() -> list[JsonObject]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """Return the names of metrics in an expression."""
    return set(_NAME.findall(_NOT_NAMES.sub(" ", expression))) - _WORDS


def known() -> set[str]:
    """Return the names of all series that a role shows."""
    meters = metrics.Metrics()
    foreign = {
        sample.name
        for family in meters.registry.collect()
        for sample in family.samples
        if sample.name.startswith(("process_", "python_"))
    }
    return foreign | {name for each in meters.definitions for name in each.series()}
