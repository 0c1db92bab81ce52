"""The load generator's HTTP client: one session to the API server, and plain objects.

Not the client of snapshotd, so that what is measured is not what measures; only how a kubeconfig is
read is kubernetes-asyncio's.
"""

import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from kubernetes_asyncio import client as kubernetes
from kubernetes_asyncio import config

JsonObject = dict[str, Any]

_MERGE = {"Content-Type": "application/merge-patch+json"}
_JSON = {"Content-Type": "application/json"}
_LINE = 2**20  # bytes: one watched object may be as long
_SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


class Failed(Exception):
    """The API server answered with an error; `status` is its code."""

    def __init__(self, status: int, told: str) -> None:
        """Keep the code."""
        super().__init__(f"{status}: {told}")
        self.status = status


def path(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of an object or a collection of the kinds that benchmarks handle."""
    roots = {
        "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
        "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
        "leases": "/apis/coordination.k8s.io/v1",
    }
    root = _SNAPSHOTS if plural.startswith("volumesnapshot") else roots.get(plural, "/api/v1")
    where = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (root + where, plural, name, subresource) if part)


class Client:
    """Requests, counted by what the server's counters call them."""

    def __init__(self, session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext) -> None:
        """Take an open session."""
        self._session = session
        self._url = url
        self._tls = tls
        self.own: Counter[str] = Counter()

    async def request(self, method: str, where: str, body: JsonObject | None = None) -> JsonObject:
        """Return the answer; raises `Failed`."""
        data = None if body is None else msgspec.json.encode(body)
        headers = _MERGE if method == "PATCH" else _JSON
        async with self._session.request(
            method, self._url + where, data=data, headers=headers, ssl=self._tls
        ) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise Failed(answer.status, f"{method} {where}: {content[:400].decode()}")
            found: JsonObject = msgspec.json.decode(content)
            return found

    async def create(self, plural: str, namespace: str, obj: JsonObject) -> JsonObject:
        """Create an object."""
        self.own[f"POST {plural}"] += 1
        return await self.request("POST", path(plural, namespace), obj)

    async def delete(self, plural: str, namespace: str, name: str) -> None:
        """Ask for an object's deletion."""
        self.own[f"DELETE {plural}"] += 1
        await self.request("DELETE", path(plural, namespace, name))

    async def bring(self, plural: str, namespace: str, obj: JsonObject) -> JsonObject:
        """Create an object unless it is there."""
        try:
            return await self.create(plural, namespace, obj)
        except Failed as error:
            if error.status != 409:
                raise
            where = path(plural, namespace, obj["metadata"]["name"])
            return await self.request("GET", where)

    async def version(self, plural: str, namespace: str) -> str:
        """Return the version to watch a collection from."""
        self.own[f"LIST {plural}"] += 1
        found = await self.request("GET", path(plural, namespace) + "?limit=1")
        return str(found["metadata"]["resourceVersion"])

    async def metrics(self) -> str:
        """Return the server's metrics as text."""
        async with self._session.get(self._url + "/metrics", ssl=self._tls) as answer:
            if answer.status != 200:
                raise Failed(answer.status, "GET /metrics")
            return await answer.text()

    async def watch(self, plural: str, namespace: str, version: str) -> AsyncIterator[bytes]:
        """Yield the lines of one watch until the server ends it."""
        where = f"{path(plural, namespace)}?watch=1&resourceVersion={version}"
        where += "&allowWatchBookmarks=true"
        forever = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url + where, ssl=self._tls, timeout=forever) as answer:
            if answer.status != 200:
                raise Failed(answer.status, f"watch {where}")
            async for line in answer.content:
                yield line


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Client]:
    """Connect by a kubeconfig."""
    known = kubernetes.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=known)
    tls = ssl.create_default_context(cafile=known.ssl_ca_cert)
    tls.check_hostname = bool(known.verify_ssl)
    if not known.verify_ssl:
        tls.verify_mode = ssl.CERT_NONE
    if known.cert_file:
        tls.load_cert_chain(known.cert_file, known.key_file)
    token = known.api_key.get("BearerToken", known.api_key.get("authorization", ""))
    headers = {"Authorization": token} if token else {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, read_bufsize=_LINE
    ) as session:
        yield Client(session, str(known.host), tls)
