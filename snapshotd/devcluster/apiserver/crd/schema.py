"""A structural schema, compiled to closures: prune, default and validate in one pass each.

Messages and reasons are worded as the API server words them, since people and clients read them.
The schema is walked once, when it is compiled; an object meets only the checks that its schema has.
"""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from snapshotd.devcluster.apiserver import errors
from snapshotd.devcluster.apiserver.crd import cel, checks

JsonObject = dict[str, Any]
Causes = list[errors.Cause]
Check = Callable[[Any, str, Causes], bool]

_ROOT = ("apiVersion", "kind", "metadata")


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One level of a schema, ready for use."""

    check: Check
    properties: dict[str, "Node"]
    items: "Node | None"
    additional: "Node | None"
    rules: tuple[cel.Rule, ...]
    defaults: JsonObject
    nullable: bool
    preserves: bool
    embedded: bool
    has_rules: bool  # here or below
    has_defaults: bool  # here or below


class Structural:
    """A compiled schema: `resources.Schema`."""

    def __init__(self, schema: JsonObject, path: str = "spec.validation") -> None:
        """Compile; raises `ValueError` telling where the schema itself is wrong."""
        self._schema = schema
        self._root = compile_node(schema, path)

    def prune(self, obj: JsonObject) -> list[str]:
        """Remove unknown fields in place and return their paths."""
        unknown: list[str] = []
        _prune(self._root, obj, "", unknown, root=True)
        return unknown

    def default(self, obj: JsonObject) -> None:
        """Fill in the defaults in place."""
        if self._root.has_defaults:
            _default(self._root, obj)

    def validate(self, obj: JsonObject, old: JsonObject | None) -> Causes:
        """Check types, values and rules; transition rules where there is an old object."""
        causes: Causes = []
        _check(self._root, obj, "", causes)
        if not causes and self._root.has_rules:
            escaped_old = cel.escape(old) if old is not None else None
            _rules(self._root, cel.escape(obj), escaped_old, "", causes)
        return causes

    def openapi(self) -> JsonObject:
        """Return the schema as it was declared."""
        return self._schema


def compile_node(schema: JsonObject, path: str) -> Node:
    """Compile one level and all below; raises `ValueError`."""
    properties = {
        name: compile_node(below, f"{path}.properties[{name}]")
        for name, below in schema.get("properties", {}).items()
    }
    items = compile_node(schema["items"], f"{path}.items") if "items" in schema else None
    extra = schema.get("additionalProperties")
    additional = (
        compile_node(extra, f"{path}.additionalProperties") if isinstance(extra, dict) else None
    )
    rules = []
    for index, declared in enumerate(schema.get("x-kubernetes-validations", [])):
        try:
            rules.append(cel.compile_rule(declared))
        except cel.BadRule as error:
            where = f"{path}.x-kubernetes-validations[{index}].rule"
            raise ValueError(f"{where}: Invalid value: compilation failed: {error}") from None
    below = [*properties.values(), *(each for each in (items, additional) if each)]
    defaults = {
        name: child["default"]
        for name, child in schema.get("properties", {}).items()
        if "default" in child
    }
    return Node(
        checks.compile_checks(schema, path),
        properties,
        items,
        additional,
        tuple(rules),
        defaults,
        bool(schema.get("nullable")),
        bool(schema.get("x-kubernetes-preserve-unknown-fields")) or extra is True,
        bool(schema.get("x-kubernetes-embedded-resource")),
        bool(rules) or any(each.has_rules for each in below),
        bool(defaults) or any(each.has_defaults for each in below),
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _prune(node: Node, value: Any, path: str, unknown: list[str], *, root: bool = False) -> None:
    if isinstance(value, list):
        if node.items is not None:
            for index, item in enumerate(value):
                _prune(node.items, item, f"{path}[{index}]", unknown)
        return
    if not isinstance(value, dict):
        return
    for name in list(value):
        if (root or node.embedded) and name in _ROOT:
            continue
        below = node.properties.get(name) or node.additional
        if below is not None:
            if value[name] is None and not below.nullable:
                del value[name]  # as the API server drops a null that the schema does not allow
            else:
                _prune(below, value[name], _join(path, name), unknown)
        elif not node.preserves:
            unknown.append(_join(path, name))
            del value[name]


def _default(node: Node, value: Any) -> None:
    if isinstance(value, list):
        if node.items is not None and node.items.has_defaults:
            for item in value:
                _default(node.items, item)
        return
    if not isinstance(value, dict):
        return
    for name, given in node.defaults.items():
        if name not in value:
            value[name] = copy.deepcopy(given)
    for name, below in node.properties.items():
        if below.has_defaults and name in value:
            _default(below, value[name])
    if node.additional is not None and node.additional.has_defaults:
        for name in value.keys() - node.properties.keys():
            _default(node.additional, value[name])


def _check(node: Node, value: Any, path: str, causes: Causes) -> None:
    if value is None and node.nullable:
        return
    if not node.check(value, path, causes):
        return
    if isinstance(value, dict):
        for name, each in value.items():
            below = node.properties.get(name) or node.additional
            if below is not None:
                _check(below, each, _join(path, name), causes)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            _check(node.items, item, f"{path}[{index}]", causes)


def _rules(node: Node, value: Any, old: Any, path: str, causes: Causes) -> None:
    for rule in node.rules:
        if rule.is_transition and old is None:
            continue
        if not cel.holds(rule, value, old):
            where = f"{path}{rule.path}" if rule.path else path
            shown = checks.shown(value)
            text = f"Invalid value: {shown}: {rule.message}"
            causes.append(errors.Cause(where or "<nil>", rule.reason, text))
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, below in node.properties.items():
            key = cel.escape_name(name)
            if below.has_rules and key in value:
                _rules(below, value[key], before.get(key), _join(path, name), causes)
        if node.additional is not None and node.additional.has_rules:
            for key in value.keys() - {cel.escape_name(name) for name in node.properties}:
                _rules(node.additional, value[key], before.get(key), _join(path, key), causes)
    elif isinstance(value, list) and node.items is not None and node.items.has_rules:
        for index, item in enumerate(value):
            _rules(node.items, item, None, f"{path}[{index}]", causes)
