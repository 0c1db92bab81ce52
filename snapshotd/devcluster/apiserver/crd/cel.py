"""CEL rules (`x-kubernetes-validations`), by the library: compile once, evaluate often.

Two functions, so that another library could take this one's place. Names of properties are escaped
as Kubernetes does (`namespace` is `__namespace__` in a rule).
"""

import dataclasses
import re
from typing import Any

from cel_expr_python import cel

_RESERVED = {
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
    "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
}  # fmt: skip
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule."""

    program: Any
    message: str
    reason: str
    path: str
    is_transition: bool
    optional_old: bool


class BadRule(Exception):
    """A rule that does not compile; the message says where and why."""


_environment = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})


def compile_rule(declared: dict[str, Any]) -> Rule:
    """Compile one entry of `x-kubernetes-validations`; raises `BadRule`."""
    text = declared.get("rule", "")
    uses_old = re.search(r"\boldSelf\b", text) is not None
    try:
        program = _environment.compile(text)
    except Exception as error:  # noqa: BLE001 - the library's exceptions have no common type
        raise BadRule(str(error)) from None
    return Rule(
        program,
        declared.get("message") or f"failed rule: {text}",
        declared.get("reason") or "FieldValueInvalid",
        declared.get("fieldPath", ""),
        uses_old and not declared.get("optionalOldSelf"),
        bool(declared.get("optionalOldSelf")),
    )


def holds(rule: Rule, value: Any, old: Any) -> bool:
    """Evaluate a rule over escaped values; a rule that fails to evaluate does not hold."""
    try:
        result = rule.program.eval(data={"self": value, "oldSelf": old})
        return result.plain_value() is True
    except Exception:  # noqa: BLE001 - as above; what cannot be evaluated does not hold
        return False


def escape(value: Any) -> Any:
    """Return a value with the names of its properties as rules see them."""
    if isinstance(value, dict):
        return {escape_name(name): escape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [escape(each) for each in value]
    return value


_known: dict[str, str] = {}


def escape_name(name: str) -> str:
    """Return the name of a property as rules see it."""
    found = _known.get(name)
    if found is None:
        found = _escape(name)
        if len(_known) < 10_000:
            _known[name] = found
    return found


def _escape(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    for character, word in _ESCAPES:
        name = name.replace(character, word)
    return name
