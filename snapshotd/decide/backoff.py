"""Polls to delay: how long to wait before a driver is asked again whether a snapshot is ready.

Not the work queue's backoff, which is for failures: a snapshot that is still being uploaded has not
failed.
"""

_GROWTH = 1.3
_CEILING = 30.0


def poll_delay(polls: int, *, start: float) -> float:
    """Return the seconds before poll number `polls` + 1: from `start`, gently up to 30."""
    return min(start * _GROWTH ** min(polls, 60), max(start, _CEILING))
