"""What is not an object: discovery, schemas, health, version, metrics, and reviews."""

from collections import Counter
from typing import Any, Protocol

import msgspec
from aiohttp import web

from snapshotd.devcluster.apiserver import (
    discovery,
    errors,
    openapi,
    requests,
    resources,
    routing,
    system,
)

JsonObject = dict[str, Any]

REVIEW_GROUPS = {"authorization.k8s.io", "authentication.k8s.io"}
_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0+snapshotd", "platform": "python"}
_AGGREGATED = "as=APIGroupDiscoveryList"


class Server(Protocol):
    """The parts of the server these answers come from."""

    registry: resources.Registry
    port: int


class Unversioned:
    """Answers every path that is not below a group's version."""

    def __init__(self, server: Server, counter: Counter[Any]) -> None:
        """Describe what `server` serves."""
        self._server = server
        self._counter = counter

    async def answer(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; raises `errors.ApiError`."""
        if http.method not in {"GET", "HEAD"}:
            raise errors.ApiError(405, "MethodNotAllowed", "the server does not allow this method")
        path = http.path.rstrip("/")
        if path in {"/healthz", "/livez", "/readyz"}:
            return web.Response(text="ok")
        if path == "/metrics":
            return web.Response(text=self._metrics())
        found = self._document(path, http.headers.get("Accept", ""))
        if found is None:
            raise errors.ApiError(
                404, "NotFound", "the server could not find the requested resource", details={}
            )
        response = web.Response(body=msgspec.json.encode(found), content_type="application/json")
        if "items" in found and found.get("kind") == "APIGroupDiscoveryList":
            response.headers["Content-Type"] = (
                f"application/json;g=apidiscovery.k8s.io;v=v2;{_AGGREGATED}"
            )
        return response

    def _document(self, path: str, accept: str) -> JsonObject | None:
        registry = self._server.registry
        aggregated = _AGGREGATED in accept and "v=v2;" in accept.replace(" ", "") + ";"
        match path.split("/")[1:]:
            case ["version"]:
                return _VERSION
            case ["api"] if aggregated:
                return discovery.aggregated(registry, core=True)
            case ["apis"] if aggregated:
                return discovery.aggregated(registry, core=False)
            case ["api"]:
                return discovery.api_versions(f"127.0.0.1:{self._server.port}")
            case ["apis"]:
                return discovery.groups(registry)
            case ["api", "v1"]:
                return discovery.resources_of(registry, "", "v1")
            case ["apis", group]:
                return discovery.group(registry, group)
            case ["apis", group, version]:
                return discovery.resources_of(registry, group, version)
            case ["openapi", "v2"]:
                return openapi.v2(registry)
            case ["openapi", "v3"]:
                return openapi.v3_index(registry)
            case ["openapi", "v3", "api", version]:
                return openapi.v3(registry, "", version)
            case ["openapi", "v3", "apis", group, version]:
                return openapi.v3(registry, group, version)
            case [""] | []:
                return {
                    "paths": ["/api", "/apis", "/healthz", "/metrics", "/openapi/v2", "/version"]
                }
            case _:
                return None

    async def review(self, http: web.BaseRequest, place: routing.Place) -> web.Response:
        """Answer a review: POSTed, answered, never stored."""
        kind = discovery.review_kind(place.group, place.plural)
        if kind is None:
            raise errors.ApiError(
                404, "NotFound", "the server could not find the requested resource", details={}
            )
        obj = requests.parse_body(await http.read(), http.content_type)
        body = msgspec.json.encode(system.review(kind, obj))
        return web.Response(body=body, status=201, content_type="application/json")

    def _metrics(self) -> str:
        lines = [
            "# HELP apiserver_request_total Requests by what they were for and how they ended.",
            "# TYPE apiserver_request_total counter",
        ]
        for counted, number in sorted(self._counter.items()):
            lines.append(
                f'apiserver_request_total{{verb="{_verb(counted.verb)}",group="{counted.group}",'
                f'resource="{counted.resource}",subresource="{counted.subresource}",'
                f'code="{counted.code}"}} {number}'
            )
        return "\n".join(lines) + "\n"


def _verb(verb: str) -> str:
    """Return a verb as the real server's metrics name it."""
    return {"create": "POST", "update": "PUT"}.get(verb, verb.upper())
