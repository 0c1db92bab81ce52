"""What may be shown of a request, and of a driver's own words: everything but secrets.

The proto source marks the fields that hold secrets, as the specification's does (`csi_secret`);
their values are never shown, and a driver that repeats one in its error is not repeated.
"""

import base64
import json
from collections.abc import Iterator

from google.protobuf import json_format, message

from snapshotd.csi._pb import csi_pb2
from snapshotd.model import secrets

HIDDEN = "***stripped***"  # as the reference shows them

# What is shorter stands in too many innocent words to be taken out of them.
_SHORTEST = 4


def shown(request: message.Message) -> dict[str, object]:
    """Return a request as data, each secret value replaced."""
    fields: dict[str, object] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    for field in request.DESCRIPTOR.fields:
        if field.GetOptions().Extensions[csi_pb2.csi_secret] and field.name in fields:
            fields[field.name] = HIDDEN
    return fields


def without(credentials: secrets.Credentials, text: str) -> str:
    """Return a driver's words without the values that it was sent, in any shape it may give them.

    As they are; without the white space around them, which a driver may have cut off; line by line,
    as keys are; quoted, as Go's `%q` and JSON show them; each of these as base64, too.
    """
    values = {
        shape
        for value in credentials.reveal().values()
        for shape in (value, value.strip(), *map(str.strip, value.splitlines()))
    }
    long = {value for value in values if len(value.strip()) >= _SHORTEST}
    shapes = {shape for value in long for shape in (value, *_quoted(value), *_coded(value))}
    for shape in sorted(shapes, key=len, reverse=True):
        text = text.replace(shape, HIDDEN)
    return text


def _quoted(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]


def _coded(value: str) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value.encode()).decode().rstrip("=")
