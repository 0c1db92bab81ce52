"""What holds for the fields of every request (CSI spec, "Field Requirements" and `name`).

Ids and tokens are not measured: one that is too long is one we never gave, and each call says what
that means, so that a removal stays idempotent. The invariant: what we complain of is named, and its
value is never repeated, since it may be a secret.
"""

import re
from collections.abc import Mapping, Sequence

from google.protobuf import message

_LONGEST_STRING = 128  # bytes
_LARGEST_MAP = 4096  # bytes, of its keys and values; of a list of strings, but ids, likewise
_GIVEN_BY_US = re.compile(r"\w+_ids?|starting_token")
_BANNED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # in a name


def complaint(request: message.Message) -> str:
    """Return what is wrong with a request's fields, '' for nothing."""
    told = (_of_field(field.name, value) for field, value in request.ListFields())
    return next(filter(None, told), "")


def _of_field(name: str, value: object) -> str:
    if isinstance(value, message.Message):
        return complaint(value)
    if _GIVEN_BY_US.fullmatch(name):
        return ""
    if isinstance(value, str):
        return _of_string(name, value)
    if isinstance(value, Mapping):
        return _too_large(name, [*value.keys(), *value.values()], _LARGEST_MAP)
    if isinstance(value, Sequence):
        below = [each for each in value if isinstance(each, message.Message)]
        strings = [each for each in value if isinstance(each, str)]
        inside = next(filter(None, map(complaint, below)), "")
        return inside or _too_large(name, strings, _LARGEST_MAP)
    return ""


def _of_string(name: str, value: str) -> str:
    if name == "name" and _BANNED.search(value):
        return "name holds a control character"
    return _too_large(name, [value], _LONGEST_STRING)


def _too_large(name: str, strings: Sequence[str], limit: int) -> str:
    size = sum(len(each.encode()) for each in strings)
    return f"{name} has {size} bytes: at most {limit} are allowed" if size > limit else ""
