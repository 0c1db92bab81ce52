"""From an object and a patch to the new object, for each of the four kinds of patch.

Nothing here changes what it is given: what comes back is new.
"""

from typing import Any

import msgspec

from snapshotd.devcluster.apiserver import errors, requests, resources
from snapshotd.devcluster.apiserver.patches import apply, json_patch, merge_patch, strategic

JsonObject = dict[str, Any]
server_side_apply = apply.server_side_apply

_ACCEPTED = (
    "application/json-patch+json, application/merge-patch+json, "
    "application/strategic-merge-patch+json, application/apply-patch+yaml"
)


def apply_patch(
    content_type: str, body: bytes, live: JsonObject, resource: resources.Resource
) -> JsonObject:
    """Return what a patch makes of `live`; raises `errors.ApiError` 400, 415 or 422."""
    match content_type:
        case "application/json-patch+json":
            return json_patch.apply(live, _decode(body))
        case "application/merge-patch+json":
            merged: JsonObject = merge_patch.apply(live, requests.parse_body(body, content_type))
            return merged
        case "application/strategic-merge-patch+json" if resource.merge_keys is not None:
            patch = requests.parse_body(body, content_type)
            return strategic.apply(live, patch, resource.merge_keys)
        case "application/strategic-merge-patch+json":
            accepted = _ACCEPTED.replace("application/strategic-merge-patch+json, ", "")
            raise _unsupported(accepted)
        case _:
            raise _unsupported(_ACCEPTED)


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def _unsupported(accepted: str) -> errors.ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + accepted
    )
    return errors.ApiError(415, "UnsupportedMediaType", message)
