"""An API server for tests that speak HTTP to it: the embedded one, or a real one; same verbs."""

import dataclasses
import json
import ssl
from typing import Any, Self

import aiohttp
import anyio.lowlevel

JsonObject = dict[str, Any]

SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    code: int
    body: JsonObject
    warnings: list[str]

    @property
    def version(self) -> str:
        """Return the resourceVersion."""
        return str(self.body["metadata"]["resourceVersion"])


class Api:
    """One server, one user."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # loopback, and who answers is not what is tested
        self._ssl: ssl.SSLContext | bool = context if url.startswith("https") else False
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        for _turn in range(20):  # a TLS transport takes some turns of the loop to say goodbye
            await anyio.lowlevel.checkpoint()

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accept: str = "application/json",
        raw: bytes | None = None,
    ) -> Answer:
        """Make one request."""
        assert self._session is not None
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Accept": accept}
        async with self._session.request(
            method, self._url + path, data=data, headers=headers, ssl=self._ssl
        ) as response:
            text = await response.text()
            told = json.loads(text) if text.startswith("{") else {"text": text}
            return Answer(response.status, told, response.headers.getall("Warning", []))

    async def create(self, path: str, body: object) -> Answer:
        """Create, and insist that it worked."""
        answer = await self.ask("POST", path, body)
        assert answer.code == 201, answer.body
        return answer

    async def watch(self, path: str, count: int) -> list[JsonObject]:
        """Return the first `count` events of a watch, or all of it if it ends before."""
        assert self._session is not None
        events: list[JsonObject] = []
        async with self._session.get(self._url + path, ssl=self._ssl) as response:
            async for line in response.content:
                events.append(json.loads(line))
                if len(events) == count:
                    break
        return events
