"""Each request to its verb, and the verb's result into an answer."""

import urllib.parse
from collections import Counter
from typing import Any, NamedTuple, Protocol

import msgspec
from aiohttp import web

from snapshotd.devcluster.apiserver import (
    errors,
    forms,
    patches,
    reads,
    requests,
    resources,
    routing,
    storage,
    unversioned,
    watching,
    writes,
)
from snapshotd.devcluster.apiserver.patches import managed_fields

JsonObject = dict[str, Any]


class Counted(NamedTuple):
    """What requests are counted by."""

    verb: str
    group: str
    resource: str
    subresource: str
    code: int


class Server(Protocol):
    """The parts of the server that requests are answered from."""

    registry: resources.Registry
    storage: storage.Storage
    port: int


class Dispatch:
    """Answers requests."""

    def __init__(
        self,
        server: Server,
        reader: reads.Reads,
        writer: writes.Writes,
        counter: Counter[Counted],
    ) -> None:
        """Join the verbs."""
        self._server = server
        self._reads = reader
        self._writes = writer
        self._counter = counter
        self._other = unversioned.Unversioned(server, counter)

    async def answer(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; raises `errors.ApiError`."""
        place = routing.place_of(http.rel_url.raw_path)
        if place is None:
            return await self._other.answer(http)
        if place.group in unversioned.REVIEW_GROUPS and http.method == "POST":
            return await self._other.review(http, place)
        resource = routing.resource_at(place, self._server.registry)
        request = requests.Request(
            resource,
            place.namespace,
            place.name,
            place.subresource,
            dict(urllib.parse.parse_qsl(http.rel_url.raw_query_string, keep_blank_values=True)),
            http.headers.get("User-Agent", ""),
        )
        if resource.deprecation_warning:
            request.warnings.append(resource.deprecation_warning)
        verb = _verb(http.method, request)
        code = 500
        try:
            response = await self._settled(verb, http, request)
            code = response.status
        except errors.ApiError as error:
            code = error.code
            raise
        finally:
            counted = Counted(verb, resource.group, resource.plural, place.subresource, code)
            self._counter[counted] += 1
        return response

    async def _settled(
        self, verb: str, http: web.BaseRequest, request: requests.Request
    ) -> web.StreamResponse:
        told = len(request.warnings)

        async def perform() -> web.StreamResponse:
            del request.warnings[told:]
            return await self._perform(verb, http, request)

        return await forms.settled(perform)

    async def _perform(
        self, verb: str, http: web.BaseRequest, request: requests.Request
    ) -> web.StreamResponse:
        if verb not in request.resource.verbs:
            raise _not_allowed()
        form = forms.accepted(http.headers.get("Accept", ""))
        match verb:
            case "get":
                stored = self._reads.get(request)
                if form is forms.Form.OBJECT:
                    return _raw(forms.body(stored, request.resource), request)
                value = forms.in_version(stored.value, request.resource)
                return _answer(request, value, form)
            case "list":
                page = self._reads.list(request)
                return _raw(reads.encode_list(request, page, form), request)
            case "watch":
                return await self._watch(http, request, form)
            case "create":
                return await self._create(http, request, form)
            case "update":
                body = requests.parse_body(await http.read(), http.content_type)
                return _answer(request, self._writes.update(request, body), form)
            case "patch":
                return await self._patch(http, request, form)
            case _:
                return await self._delete(verb, http, request)

    async def _watch(
        self, http: web.BaseRequest, request: requests.Request, form: forms.Form
    ) -> web.StreamResponse:
        watch = watching.Watch(request, self._server.storage, self._reads, form)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(http)

        async def write(lines: bytes) -> None:
            await response.write(lines)

        try:
            await watch.run(write)
        except errors.ApiError as error:
            event = {"type": "ERROR", "object": error.to_status()}
            await response.write(msgspec.json.encode(event) + b"\n")
        except ConnectionError:
            return response  # the client went away, as clients of watches do
        await response.write_eof()
        return response

    async def _create(
        self, http: web.BaseRequest, request: requests.Request, form: forms.Form
    ) -> web.Response:
        if request.name:
            raise _not_allowed()
        body = requests.parse_body(await http.read(), http.content_type)
        return _answer(request, self._writes.create(request, body), form, code=201)

    async def _patch(
        self, http: web.BaseRequest, request: requests.Request, form: forms.Form
    ) -> web.Response:
        body = await http.read()
        if http.content_type in {"application/apply-patch+yaml", "application/apply-patch+json"}:
            obj, made = self._apply(request, requests.parse_body(body, http.content_type))
            return _answer(request, obj, form, code=201 if made else 200)
        changed = self._writes.change(
            request,
            lambda live: patches.apply_patch(http.content_type, body, live, request.resource),
        )
        return _answer(request, changed, form)

    def _apply(self, request: requests.Request, body: JsonObject) -> tuple[JsonObject, bool]:
        """Server-side apply: create what is not there, merge into what is."""
        if not request.query.get("fieldManager"):
            raise errors.bad_request("PatchOptions.meta.k8s.io is invalid: fieldManager: Required")
        resource = request.resource
        found = self._server.storage.get(resource.ident, (request.namespace, request.name))
        if found is None and request.subresource:
            raise errors.not_found(resource.group, resource.plural, request.name)
        body.setdefault("metadata", {}).setdefault("name", request.name)
        live = forms.in_version(found.value, resource) if found else None
        merged = patches.server_side_apply(
            live,
            body,
            by=managed_fields.By(
                request.manager, request.subresource, resource.api_version, writes.timestamp()
            ),
            force=request.flag("force"),
            resource=resource,
        )
        if found is None:
            return self._writes.create(request, merged, owned=True), True
        return self._writes.replace(request, found, merged, owned=True), False

    async def _delete(
        self, verb: str, http: web.BaseRequest, request: requests.Request
    ) -> web.Response:
        body = await http.read()
        options = requests.parse_body(body, http.content_type) if body.strip() else {}
        for parameter in ("propagationPolicy",):
            if parameter in request.query:
                options.setdefault(parameter, request.query[parameter])
        if verb == "deletecollection":
            page = self._reads.list(request)
            forms.ready(page.items, request.resource)
            for stored in page.items:
                self._writes.end(request, stored, options)
            meta = page.meta()
            kind, version = request.resource.list_kind, request.resource.api_version
            items = [forms.in_version(each.value, request.resource) for each in page.items]
            return _json(
                request, {"kind": kind, "apiVersion": version, "metadata": meta, "items": items}
            )
        forms.ready([self._writes.current(request)], request.resource)
        last, gone = self._writes.delete(request, options)
        if not gone:
            return _json(request, forms.in_version(last, request.resource))
        return _json(request, _success(request, last))


def _verb(method: str, request: requests.Request) -> str:
    match method:
        case "GET" | "HEAD":
            if request.flag("watch"):
                return "watch"
            return "get" if request.name else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if request.name else "deletecollection"
        case _:
            raise _not_allowed()


def _not_allowed() -> errors.ApiError:
    return errors.ApiError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        details={},
    )


def _success(request: requests.Request, last: JsonObject) -> JsonObject:
    resource = request.resource
    details = {"name": request.name, "kind": resource.plural, "uid": last["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _answer(
    request: requests.Request, obj: JsonObject, form: forms.Form, *, code: int = 200
) -> web.Response:
    return _json(request, forms.of_one(request, obj, form), code=code)


def _json(request: requests.Request, value: JsonObject, *, code: int = 200) -> web.Response:
    return _raw(msgspec.json.encode(value), request, code=code)


def _raw(body: bytes, request: requests.Request, *, code: int = 200) -> web.Response:
    response = web.Response(body=body, status=code, content_type="application/json")
    for warning in request.warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response
