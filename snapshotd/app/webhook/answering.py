"""From what the API server sent to what it is answered: bytes in, bytes out, nothing else.

JSON is what it sends; YAML is understood since the reference does. Invariant: only plain JSON goes
into the conversion, whichever of them it came as, and YAML's aliases, with which a small body could
stand for an endless one, are refused.
"""

import dataclasses
from typing import Any, Final

import msgspec
import yaml

from snapshotd.model import conversion

_JSON: Final = "application/json"
_YAML: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_DEEPEST: Final = 100  # levels of a YAML document

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class BadRequest(Exception):
    """A request that cannot be answered with a review: HTTP 400, and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a review, and what to tell people of it."""

    body: bytes
    content_type: str
    uid: str
    objects: int
    failure: str  # "" where all was converted


def answer(body: bytes, content_type: str, accept: str) -> Answer:
    """Convert what a request asks to be converted; raises `BadRequest`."""
    form = _form(accept)
    try:
        review = conversion.review(_document(body, content_type))
    except conversion.NoReview as error:
        raise BadRequest(str(error)) from None
    response = review["response"]
    result = response["result"]
    return Answer(
        _encode(review) if form == _JSON else _dump(review),
        form,
        response["uid"],
        len(response["convertedObjects"]),
        result["message"] if result["status"] != "Success" else "",
    )


def is_yaml(content_type: str) -> bool:
    """Say whether a body is YAML."""
    return content_type in _YAML


def _form(accept: str) -> str:
    wanted = [each.split(";", 1)[0].strip() for each in accept.split(",") if each.strip()]
    for each in wanted:
        if each in {_JSON, "application/*", "*/*"}:
            return _JSON
        if each in _YAML:
            return each
    if wanted:
        raise BadRequest(f"Accept {accept!r:.100}: answers are JSON or YAML")
    return _JSON


def _document(body: bytes, content_type: str) -> Any:
    try:
        if content_type == _JSON:
            return _decode(body)
        if content_type in _YAML:
            # To JSON and back: YAML knows keys and values that JSON does not.
            return _decode(_encode(_load(body)))
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"the body cannot be read: {error}") from None
    raise BadRequest(f"Content-Type {content_type!r:.100} is neither JSON nor YAML")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: timestamps stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in _Loader.yaml_implicit_resolvers.items()
}


def _load(body: bytes) -> Any:
    depth = 0
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BadRequest("the body cannot be read: YAML aliases are not accepted")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise BadRequest(f"the body cannot be read: it is deeper than {_DEEPEST} levels")
    return yaml.load(body, Loader=_Loader)  # noqa: S506 - the C form of the safe loader


def _dump(review: conversion.JsonObject) -> bytes:
    text: str = yaml.safe_dump(review, sort_keys=False, allow_unicode=True)
    return text.encode()
