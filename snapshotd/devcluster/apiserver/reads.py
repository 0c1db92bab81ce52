"""get, list and watch: objects as they are kept, in the version and form that the client asked for.

A list without selectors joins the bytes of what is stored; nothing is encoded again.
"""

import base64
import dataclasses
from typing import Any

import msgspec

from snapshotd.devcluster.apiserver import errors, forms, requests, selectors, storage

JsonObject = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: its objects, and how the list goes on."""

    items: list[storage.Stored]
    version: int
    next: str
    remaining: int | None

    def meta(self) -> JsonObject:
        """Return the list's metadata."""
        meta: JsonObject = {"resourceVersion": str(self.version)}
        if self.next:
            meta["continue"] = self.next
            if self.remaining is not None:
                meta["remainingItemCount"] = self.remaining
        return meta


class _Token(msgspec.Struct):
    """What a `continue` parameter holds: the list's version and the last name given."""

    version: int
    namespace: str
    name: str


class Reads:
    """The reading verbs."""

    def __init__(self, kept: storage.Storage) -> None:
        """Read from `kept`."""
        self._storage = kept

    def get(self, request: requests.Request) -> storage.Stored:
        """Return the object; raises 404."""
        resource = request.resource
        found = self._storage.get(resource.ident, (request.namespace, request.name))
        if found is None:
            raise errors.not_found(resource.group, resource.plural, request.name)
        return found

    def select(self, request: requests.Request) -> selectors.Test:
        """Return the test that both selectors of a request make; raises 400."""
        by_label = selectors.labels(request.query.get("labelSelector", ""))
        known = selectors.known_fields(request.resource.selectable_fields)
        by_field = selectors.fields(request.query.get("fieldSelector", ""), known)
        if by_field is selectors.everything:
            return by_label
        if by_label is selectors.everything:
            return by_field
        return lambda obj: by_label(obj) and by_field(obj)

    def list(self, request: requests.Request) -> Page:
        """Return a page of the collection."""
        limit = request.number("limit") or 0
        token = self._token(request)
        version = token.version if token else self._list_version(request)
        test = self.select(request)
        found = self._storage.all_of(request.resource.ident, request.namespace)
        if token is not None:
            found = [each for each in found if each[0] > (token.namespace, token.name)]
        items = [each for each in found if test is selectors.everything or test(each[1].value)]
        if not limit or len(items) <= limit:
            return Page([stored for _, stored in items], version, "", None)
        last = items[limit - 1][0]
        following = _Token(version, *last)
        encoded = base64.urlsafe_b64encode(msgspec.json.encode(following)).decode().rstrip("=")
        whole = test is selectors.everything
        return Page(
            [stored for _, stored in items[:limit]],
            version,
            encoded,
            len(items) - limit if whole else None,
        )

    def _list_version(self, request: requests.Request) -> int:
        """Return the version of a list taken now; raises 400, 410 or 504 for an impossible one."""
        now = self._storage.version
        wanted = request.number("resourceVersion") or 0
        match = request.query.get("resourceVersionMatch", "")
        if match not in {"", "Exact", "NotOlderThan"}:
            raise errors.bad_request(
                f'resourceVersionMatch: Unsupported value: "{match}": "Exact", "NotOlderThan"'
            )
        if wanted > now:
            raise errors.ApiError(
                504, "Timeout", f"Too large resource version: {wanted}, current: {now}"
            )
        if match == "Exact" and wanted != now:
            raise errors.expired(f"The resourceVersion for the provided list is too old: {wanted}")
        return now

    def _token(self, request: requests.Request) -> _Token | None:
        text = request.query.get("continue", "")
        if not text:
            return None
        try:
            body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            token = msgspec.json.decode(body, type=_Token)
        except (ValueError, msgspec.DecodeError):
            raise errors.bad_request("continue key is not valid") from None
        if not self._storage.reaches(request.resource.ident, token.version):
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You must start a new list without the continue parameter."
            )
        return token


def encode_list(request: requests.Request, page: Page, form: forms.Form) -> bytes:
    """Return a page as the client wants to see it."""
    resource = request.resource
    forms.ready(page.items, resource)
    if form is not forms.Form.OBJECT:
        objects = [forms.in_version(each.value, resource) for each in page.items]
        return msgspec.json.encode(forms.of_list(request, objects, page.meta(), form))
    head = msgspec.json.encode(
        {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": page.meta()}
    )
    bodies = (forms.body(each, resource) for each in page.items)
    return head[:-1] + b',"items":[' + b",".join(bodies) + b"]}\n"
