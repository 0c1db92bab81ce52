"""A request as the verbs see it: what it is for, and what the query asks.

Nothing here knows HTTP beyond names of query parameters; `server` makes it, the verbs take it.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from snapshotd.devcluster.apiserver import errors, protobuf, resources

JsonObject = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_YAML = ("application/yaml", "application/apply-patch+yaml", "text/yaml")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One API request: `name` is '' for a collection, `subresource` '' for the object itself."""

    resource: resources.Resource
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    user_agent: str
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def dry_run(self) -> bool:
        """Say whether nothing is to be stored; raises 400 for anything but `All`."""
        wanted = self.query.get("dryRun", "")
        if wanted not in {"", "All"}:
            raise errors.bad_request(f'invalid dryRun: Unsupported value: "{wanted}": "All"')
        return bool(wanted)

    @property
    def manager(self) -> str:
        """Return who writes: `fieldManager`, else the first word of the user agent."""
        given = self.query.get("fieldManager")
        return given or re.split(r"[/ ]", self.user_agent, maxsplit=1)[0] or "unknown"

    @property
    def field_validation(self) -> str:
        """Return Ignore, Warn or Strict (the default is Warn, as the real server's)."""
        wanted = self.query.get("fieldValidation") or "Warn"
        if wanted not in {"Ignore", "Warn", "Strict"}:
            raise errors.bad_request(
                f'fieldValidation: Unsupported value: "{wanted}": "Ignore", "Warn", "Strict"'
            )
        return wanted

    def flag(self, name: str) -> bool:
        """Return a boolean parameter."""
        return self.query.get(name, "").lower() in {"1", "t", "true"}

    def number(self, name: str) -> int | None:
        """Return a whole number parameter, None where it is absent; raises 400."""
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise errors.bad_request(f"{name}: Invalid value: {text!r}: not a number") from None


def parse_body(body: bytes, content_type: str) -> JsonObject:
    """Return a request's body as an object; raises 400 or 415."""
    kind = content_type.split(";", 1)[0].strip().lower()
    try:
        if kind == protobuf.CONTENT_TYPE:
            value = protobuf.decode(body)
        elif kind in _YAML:
            value = yaml.load(body, Loader=_Loader)  # noqa: S506 - the C form of the safe loader
        elif kind in {"", "application/json"} or kind.endswith("+json"):
            value = _decode(body)
        else:
            raise errors.ApiError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types "
                "include: application/json, application/yaml",
            )
    except (msgspec.DecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise errors.bad_request(f"the body cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise errors.bad_request("the body must be an object")
    return value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.1 as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in _Loader.yaml_implicit_resolvers.items()
}
