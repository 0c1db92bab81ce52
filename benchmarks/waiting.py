"""Waiting for another process, which nothing tells of but asking it."""

import inspect
from collections.abc import Awaitable, Callable

import anyio

PATIENCE = 60.0  # seconds for a process to start


async def until(holds: Callable[[], bool | Awaitable[bool]], pause: float = 0.1) -> None:
    """Return once it holds; the caller bounds the wait."""
    while True:
        found = holds()
        if await found if inspect.isawaitable(found) else found:
            return
        await anyio.sleep(pause)
