"""What goes to the API server and what comes back, the same whichever library carries it.

Invariant: whoever carries a request (a `Sender`) fails with an `OSError` alone, and `lost` says
what that means.
"""

import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

import msgspec

from snapshotd import errors
from snapshotd.kube import fencing
from snapshotd.telemetry import tracing

JSON: Final = "application/json"

Heard: TypeAlias = Callable[[int], None]
"""Is told the status as soon as the head of an answer is there."""


class NoAnswer(OSError):
    """There is no answer, or none that is whole."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request; its body is not sent where the fence is closed."""

    method: str
    path: str
    query: Mapping[str, str]
    fence: fencing.Fence
    body: bytes | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        """Return what names it to people."""
        return f"{self.method} {self.path}"


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer, whole."""

    status: int
    body: bytes
    retry_after: float | None = None  # seconds
    authorization: str = ""  # what was refused, with status 401


class Sender(Protocol):
    """Carries requests."""

    async def exchange(
        self, request: Request, authorization: str, *, within: float, heard: Heard
    ) -> Answer:
        """Send a request and return its answer, within so many seconds; raises `OSError`."""

    async def close(self) -> None:
        """Close all connections."""


def common() -> dict[str, str]:
    """Return the headers of every request."""
    return {
        "User-Agent": f"snapshotd/{_version()}",
        "Accept": JSON,
        # Compressing a list costs the API server more than sending it within the cluster
        "Accept-Encoding": "identity",
    }


def own(request: Request) -> dict[str, str]:
    """Return the headers of this request, beside who we are."""
    headers = {} if request.body is None else {"Content-Type": request.content_type}
    return headers | tracing.headers()


def lost(request: Request, error: Exception) -> errors.Unavailable:
    """Return what it means that no answer came."""
    return errors.Unavailable(f"{request}: no answer: {str(error) or type(error).__name__}")


def seconds(retry_after: str) -> float | None:
    """Return a Retry-After of seconds; a date is read as one second, so that we do pause."""
    if not retry_after:
        return None
    return float(retry_after) if retry_after.isdecimal() else 1.0


def _version() -> str:
    try:
        return importlib.metadata.version("snapshotd")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
