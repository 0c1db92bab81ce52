"""An event loop that ends when its connections have.

A connection that says farewell (TLS does, in both directions) is still open when the last test of a
loop is over. Closed then, the loop would leave it to the garbage collector, which complains during
some later test, or during none.
"""

import asyncio
import warnings

_PATIENCE = 5.0  # seconds


class Loop(asyncio.SelectorEventLoop):
    """Gives what is ending its time, and names what nobody ended."""

    def close(self) -> None:
        """Close, and have pytest tell at once of what is left open."""
        if self.is_closed():
            return
        self.run_until_complete(self._farewells())
        left = self._open()
        names = [repr(each) for each in left]
        for each in left:
            each.abort()
        self.run_until_complete(asyncio.sleep(0))
        super().close()
        if names:
            _Complaint(names)

    async def _farewells(self) -> None:
        deadline = self.time() + _PATIENCE
        while self._open() and self.time() < deadline:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)

    def _open(self) -> list[asyncio.WriteTransport]:
        """Return the transports that still have their socket: nothing but the loop knows them."""
        every = list(self._transports.values())  # type: ignore[attr-defined]
        return [each for each in every if each._sock is not None]


class _Complaint:
    """Complains as it goes, as the transports would: so no other test is disturbed."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def __del__(self) -> None:
        warnings.warn(f"nobody closed {self._names}", ResourceWarning, stacklevel=2)
