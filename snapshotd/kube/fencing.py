"""The last look at the lease before a write leaves the process.

A request is looked at when its turn comes, and then takes rounds of the event loop: a connection is
made, a task writes the body. A process that is frozen in between (SIGSTOP, a paused machine) wakes
with all that in hand, when the lease is another's. So the body is looked at once more as it is
handed to the transport, and a write without its body is none.

What is left is the time between this look and the system call, with no other code of ours in it:
at most one request a freeze.
"""

from collections.abc import Callable
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractStreamWriter

Fence: TypeAlias = Callable[[], float]
"""Says for how many seconds from now requests may be under way; none are sent where it is 0."""


class Guarded(aiohttp.BytesPayload):
    """A body that is not sent where the fence is closed: `OSError`."""

    def __init__(self, body: bytes, fence: Fence) -> None:
        """Take the body and who says whether it may go."""
        super().__init__(body)
        self._fence = fence

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the body, as aiohttp asks for it."""
        if self._fence() <= 0.0:
            raise PermissionError("the lease is not ours any more")
        await super().write_with_length(writer, content_length)
