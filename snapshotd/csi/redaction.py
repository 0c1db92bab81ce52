"""What may be shown of a request, and of a driver's own words: everything but secrets.

The proto source marks the fields that hold secrets, as the specification's does (`csi_secret`);
their values are never shown, and a driver that repeats one in its error is not repeated.
"""

import base64

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
    """Return a driver's words without the values that it was sent, as they are or as base64."""
    values = {value for value in credentials.reveal().values() if len(value) >= _SHORTEST}
    coded = {base64.b64encode(value.encode()).decode().rstrip("=") for value in values}
    for value in sorted(values | coded, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text
