"""/statusz: what this process is doing, for a person (a page) and for a program (`/statusz.json`).

The Structs are the documented shape of the JSON. Who knows a role adds a function that reads it;
nothing is read before somebody looks. The page is one file without a request to anywhere else: the
state is in it as data that no browser runs, and its script writes text alone, never markup.

Invariant: no answer holds a secret (nothing here reads one, and errors are redacted where they
arise), and no part that cannot be read keeps the others from being shown.
"""

import base64
import functools
import hashlib
import platform
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from aiohttp import web

from snapshotd.model import times

State: TypeAlias = Literal["starting", "standby", "leading", "working", "stopping", "unknown"]
Where: TypeAlias = Literal["waits", "delayed", "due", "in hand"]

SHOWN: Final = 20  # keys and errors of a role

_PAGE: Final = Path(__file__).with_name("statusz.html")
_STATE: Final = "{{state}}"  # in the page: where the data goes
_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class _Shape(msgspec.Struct, frozen=True, gc=False):
    """What all parts share: being frozen data; times are RFC 3339, durations seconds."""


class Queue(_Shape, frozen=True, gc=False):
    """One work queue: keys due, due later, and in a worker's hand."""

    name: str
    due: int
    delayed: int
    in_hand: int


class Waiting(_Shape, frozen=True, gc=False):
    """One key: where it is, for how long, and why; `again_in` until it falls due by itself."""

    key: str
    where: Where
    seconds: float
    why: str = ""
    failures: int = 0
    again_in: float | None = None


class Failure(_Shape, frozen=True, gc=False):
    """One failure: the last time, and how often it repeated word for word."""

    at: str
    key: str
    result: str
    error: str
    times: int
    reconcile_id: str


class Throttle(_Shape, frozen=True, gc=False):
    """Requests to the API server: how many may be under way, how many are, how many wait."""

    places: int
    in_use: int
    waiting: int


class Driver(_Shape, frozen=True, gc=False):
    """The CSI driver beside a sidecar."""

    name: str
    address: str
    connected: bool


class Cache(_Shape, frozen=True, gc=False):
    """The objects of one kind, and what is missing for the cache to hold them all."""

    kind: str
    objects: int
    synced: bool
    problem: str = ""


class Role(_Shape, frozen=True, gc=False):
    """One role: `waits` counts the keys that wait, of which `waiting` shows the oldest."""

    name: str
    state: State
    since: str
    lease: str = ""
    waits: int = 0
    queues: list[Queue] = []
    waiting: list[Waiting] = []
    failures: list[Failure] = []
    throttle: Throttle | None = None
    driver: Driver | None = None
    caches: list[Cache] = []


class Status(_Shape, frozen=True, gc=False):
    """The whole: `problems` are the failing health checks, by name."""

    version: str
    host: str
    started: str
    at: str
    problems: dict[str, str]
    roles: list[Role]


class Board:
    """Where the roles of a process are read from."""

    def __init__(self, version: str, *, now: Callable[[], float]) -> None:
        """Start without a role; `now` is wall time."""
        self._version = version
        self._now = now
        self._started = now()
        self._roles: dict[str, Callable[[], Role]] = {}
        self.problems: Callable[[], Mapping[str, str | None]] = dict

    def add(self, name: str, read: Callable[[], Role]) -> None:
        """Show a role; one that started anew takes the place of the one before."""
        self._roles[name] = read

    def status(self) -> Status:
        """Return what is so now."""
        return Status(
            version=self._version,
            host=platform.node(),
            started=times.rfc3339(self._started),
            at=times.rfc3339(self._now()),
            problems={name: told for name, told in self.problems().items() if told},
            roles=[self._read(name, read) for name, read in self._roles.items()],
        )

    def _read(self, name: str, read: Callable[[], Role]) -> Role:
        try:
            return read()
        except Exception as defect:  # noqa: BLE001 - the page is for times when something is wrong
            now = times.rfc3339(self._now())
            told = f"cannot be shown: {type(defect).__name__}: {defect}"
            failure = Failure(now, name, "crashed", told, 1, "")
            return Role(name, "unknown", now, failures=[failure])

    async def page(self, _request: web.Request) -> web.Response:
        """Answer with the page."""
        text, policy = _template()
        state = msgspec.json.encode(self.status()).decode()
        for character in "<>&\u2028\u2029":  # what could end the element that the data is in
            state = state.replace(character, f"\\u{ord(character):04x}")
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        return web.Response(
            text=text.replace(_STATE, state), content_type="text/html", headers=headers
        )

    async def data(self, _request: web.Request) -> web.Response:
        """Answer with the data alone."""
        return web.Response(
            body=msgspec.json.encode(self.status()),
            content_type="application/json",
            headers=_HEADERS,
        )


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@functools.cache
def _template() -> tuple[str, str]:
    """Return the page, and the policy that lets its own script and style run, and nothing else."""
    text = _PAGE.read_text()
    hashes = {
        kind: base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        for kind, inline in _INLINE.findall(text)
    }
    policy = [
        "default-src 'none'",
        *(f"{kind}-src 'sha256-{value}'" for kind, value in sorted(hashes.items())),
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return text, "; ".join(policy)
