"""From a path to what it names: a resource, an object, a subresource, or none of these.

/api/v1/...                the core group
/apis/<group>/<version>/...  every other group
[namespaces/<namespace>/]<plural>[/<name>[/<subresource>]]
"""

import dataclasses
from urllib.parse import unquote

from snapshotd.devcluster.apiserver import errors, resources

_NAMESPACE_SUBRESOURCES = {"status", "finalize"}


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads; `resource` is None where it names no served resource."""

    group: str
    version: str
    plural: str
    namespace: str
    name: str
    subresource: str


def place_of(path: str) -> Place | None:
    """Return where an API path leads, None for paths that are not below a group's version."""
    pieces = [unquote(piece) for piece in path.strip("/").split("/")]
    match pieces:
        case ["api", version, _, *_]:
            return _below("", version, pieces[2:])
        case ["apis", group, version, _, *_]:
            return _below(group, version, pieces[3:])
        case _:
            return None


def _below(group: str, version: str, rest: list[str]) -> Place:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    padded = [*rest, "", ""]
    return Place(group, version, padded[0], namespace, padded[1], "/".join(rest[2:]))


def resource_at(place: Place, registry: resources.Registry) -> resources.Resource:
    """Return the resource a place names; raises the 404 the real server gives for unknown paths."""
    found = registry.find(place.group, place.version, place.plural)
    served = found is not None and (
        not place.subresource
        or (place.subresource == "status" and found.has_status)
        or (place.subresource == "finalize" and found.plural == "namespaces")
    )
    if found is None or not served or (place.namespace and not found.namespaced):
        raise errors.ApiError(
            404, "NotFound", "the server could not find the requested resource", details={}
        )
    return found
