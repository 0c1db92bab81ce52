"""How long to wait before trying again: exponential with jitter, and how a failure raises it.

Jitter is what keeps many processes, which all lost the same API server, from coming back together.
"""

import random
from typing import Final

from snapshotd import errors

_GROWTH: Final = 2.0


class Backoff:
    """The delays of one loop: from `first` to `most` seconds, each drawn from its upper half."""

    def __init__(
        self, first: float = 0.5, most: float = 30.0, *, draw: random.Random | None = None
    ) -> None:
        """Start at the first delay; `draw` makes the jitter repeatable."""
        self._first = first
        self._most = most
        self._next = first
        self._draw = draw or random.Random()  # noqa: S311 - spreads load, guards nothing
        self.failures = 0

    def reset(self) -> None:
        """Begin again at the first delay: something worked."""
        self._next = self._first
        self.failures = 0

    def delay(self, error: Exception | None = None) -> float:
        """Return the seconds to wait after one more failure, never less than the server asked."""
        ceiling, self._next = self._next, min(self._most, self._next * _GROWTH)
        self.failures += 1
        delay = self._draw.uniform(ceiling / 2, ceiling)
        return max(delay, error.retry_after) if isinstance(error, errors.Throttled) else delay
