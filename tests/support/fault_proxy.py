"""A proxy on loopback between the roles and the API server, which fails as networks and servers do.

It ends TLS with a certificate of its own and forwards with the bearer's token unchanged, so that it
sees and can disturb every request and every line of a watch. The first part of the path says who
asks (`kubeconfig`). It runs in a thread of its own; what is public here is called from any other.
"""

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import aiohttp
import certificates
import yarl
from aiohttp import web
from fault_plan import ANSWERS, Entry, Fault, Plan, Rule

_PATIENCE = 30.0  # seconds for the thread to do what it is asked
_LONGEST_LINE = 2**22
_OF_ONE_HOP = {
    "host",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "te",
    "upgrade",
}
_EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": 410,
        "reason": "Expired",
        "message": "too old resource version (injected)",
    },
}
_T = TypeVar("_T")


class Thread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="faults", daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENCE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_PATIENCE)
        self.loop.close()


class FaultProxy:
    """The proxy: `plan` what goes wrong, read `log` for what did."""

    def __init__(self, thread: Thread, folder: Path, upstream: Path) -> None:
        """Keep certificates and kubeconfigs in `folder`; `upstream` is the server's kubeconfig."""
        self.log: list[Entry] = []
        self.port = 0
        self._thread = thread
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        config = json.loads(upstream.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._token = config["users"][0]["user"]["token"]
        self._target = cluster["server"].rstrip("/")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._trust = ssl.create_default_context(cadata=authority)
        self._identity = certificates.make("fault-proxy")
        self._plan = Plan()
        self._sent: set[asyncio.Future[web.Response | None]] = set()
        thread.do(self._start())

    def kubeconfig(self, who: str) -> Path:
        """Write a kubeconfig by which `who` comes through here."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "proxied",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.port}/{who}",
                        "certificate-authority-data": base64.b64encode(
                            self._identity.certificate
                        ).decode(),
                    },
                }
            ],
            "users": [{"name": "bearer", "user": {"token": self._token}}],
            "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "bearer"}}],
            "current-context": "proxied",
        }
        path = self._folder / f"kubeconfig-{who}"
        path.write_text(json.dumps(config))
        return path

    def plan(self, plan: Plan) -> None:
        """Have this go wrong from now on; what the last plan holds without an answer is cut."""
        self._thread.do(self._replan(plan))

    def restart(self, seconds: float) -> None:
        """Cut all connections and refuse new ones for so long, as a server that starts again."""
        self._thread.do(self._restart(seconds))

    def stop(self) -> None:
        self._thread.do(self._stop())

    async def _start(self) -> None:
        self._changed = asyncio.Event()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._trust),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            read_bufsize=_LONGEST_LINE,
            auto_decompress=False,
        )
        self._server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        await self._listen()

    async def _listen(self) -> None:
        certificate, key = self._folder / "proxy.crt", self._folder / "proxy.key"
        certificate.write_bytes(self._identity.certificate)
        key.write_bytes(self._identity.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._listener = await self._thread.loop.create_server(
            self._server, "127.0.0.1", self.port, ssl=tls, backlog=200
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _replan(self, plan: Plan) -> None:
        self._plan = plan
        self._changed.set()
        self._changed = asyncio.Event()

    async def _restart(self, seconds: float) -> None:
        self._listener.close()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await self._listen()

    async def _stop(self) -> None:
        await self._replan(Plan())
        self._listener.close()
        await self._server.shutdown(1.0)
        await asyncio.gather(*self._sent)
        await self._session.close()
        await asyncio.sleep(0.1)  # the loop closes what TLS has left, in its next rounds

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        who, _, rest = request.raw_path[1:].partition("/")
        entry = Entry(who, request.method, f"/{rest}", time.monotonic())
        entry.watch = request.query.get("watch", "") in {"1", "true"}
        self.log.append(entry)
        rule = self._plan.strike(entry)
        if rule is None:
            return await self._pass(request, entry)
        if rule.fault in ANSWERS:
            return _refuse(entry, rule)
        return await self._disturb(request, entry, rule)

    async def _disturb(
        self, request: web.BaseRequest, entry: Entry, rule: Rule
    ) -> web.StreamResponse:
        match rule.fault:
            case Fault.DELAY_BEFORE:
                await asyncio.sleep(rule.seconds)
            case Fault.DROP_BEFORE:
                await _cut(request)
            case Fault.DROP_AFTER if not entry.watch:
                await self._exchange(request, entry)
                await _cut(request)
            case Fault.DELAY_AFTER if not entry.watch:
                response = await self._exchange(request, entry)
                await asyncio.sleep(rule.seconds)
                return response
            case Fault.TWICE:
                await self._exchange(request, entry)
            case Fault.HALF_OPEN | Fault.BLACK_HOLE:
                await self._hold(request, reading=rule.fault is Fault.HALF_OPEN)
            case _:
                pass
        return await self._pass(request, entry)

    async def _hold(self, request: web.BaseRequest, *, reading: bool) -> NoReturn:
        """Answer nothing until the plan changes."""
        if not reading and isinstance(request.transport, asyncio.Transport):
            request.transport.pause_reading()
        await self._changed.wait()
        await _cut(request)

    async def _pass(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        if entry.watch:
            return await self._stream(request, entry)
        return await self._exchange(request, entry)

    async def _exchange(self, request: web.BaseRequest, entry: Entry) -> web.Response:
        """Forward a request and return its whole answer; once sent, it is never taken back."""
        body = await request.read()
        if entry.write and "/leases" in entry.path:
            entry.holder = json.loads(body)["spec"].get("holderIdentity") or ""
        headers = _kept(request.headers)
        entry.forwarded = time.monotonic()
        sent = asyncio.ensure_future(self._send(entry, headers, body))
        self._sent.add(sent)
        sent.add_done_callback(self._sent.discard)
        response = await asyncio.shield(sent)
        if response is None:
            await _cut(request)
        return response

    async def _send(
        self, entry: Entry, headers: Mapping[str, str], body: bytes
    ) -> web.Response | None:
        try:
            async with self._session.request(
                entry.method, self._url(entry), headers=headers, data=body or None
            ) as answer:
                whole = await answer.read()
                entry.answered, entry.status = time.monotonic(), answer.status
                return web.Response(body=whole, status=answer.status, headers=_kept(answer.headers))
        except (aiohttp.ClientError, OSError):
            return None  # it is not there just now

    async def _stream(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        """Forward a watch line by line."""
        headers = _kept(request.headers)
        entry.forwarded = time.monotonic()
        try:
            async with self._session.get(self._url(entry), headers=headers) as answer:
                entry.status = answer.status
                response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
                await response.prepare(request)
                while line := await answer.content.readline():
                    if not await self._relay(request, response, entry, line):
                        break
                return response
        except (aiohttp.ClientError, OSError):
            await _cut(request)

    async def _relay(
        self, request: web.BaseRequest, response: web.StreamResponse, entry: Entry, line: bytes
    ) -> bool:
        """Pass one line of a watch on, or what comes of it; say whether more may follow."""
        rule = self._plan.strike(entry, line.decode())
        match rule and rule.fault:
            case Fault.CUT:
                await response.write(line[: len(line) // 2])
                await _cut(request)
            case Fault.SILENCE if rule is not None:
                await asyncio.sleep(rule.seconds)
                await _cut(request)
            case Fault.EXPIRED:
                await response.write(json.dumps(_EXPIRED).encode() + b"\n")
                return False
            case Fault.GARBAGE:
                await response.write(b'\x00\xff{"type": garbage\n')
            case Fault.REPEAT:
                await response.write(line + line)
            case _:
                await response.write(line)
        return True

    def _url(self, entry: Entry) -> yarl.URL:
        return yarl.URL(self._target + entry.path, encoded=True)


def _refuse(entry: Entry, rule: Rule) -> web.Response:
    """Answer as an API server that does not do it, or a proxy before it."""
    entry.status, reason = ANSWERS[rule.fault]
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": entry.status,
        "reason": reason,
        "message": f"{rule.fault.value} (injected)",
    }
    headers = {"Retry-After": f"{rule.seconds:.0f}"} if rule.seconds else {}
    return web.json_response(status, status=entry.status, headers=headers)


async def _cut(request: web.BaseRequest) -> NoReturn:
    """Cut the connection of a request; its handler is cancelled by that."""
    if request.transport is not None:
        request.transport.abort()
        await asyncio.sleep(_PATIENCE)
    raise ConnectionResetError("cut")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_HOP}
