"""Everything snapshotd raises on purpose, in one tree.

    SnapshotdError
    +-- Retryable            the same request may succeed later
    |   +-- Conflict         our precondition no longer holds: look again
    |   +-- Throttled        the server asked us to slow down (`retry_after` seconds)
    |   +-- Unavailable      no definite answer: it may or may not have been done
    |   +-- Unsuccessful     answered with a failure that is told on the object already
    +-- Terminal             the same request will fail again until something is changed
    |   +-- Invalid          malformed or rejected by validation
    |   +-- Refused          understood, and not allowed
    +-- Gone                 the object (or the version asked for) does not exist
    +-- Misconfigured        a flag, file or environment is wrong: told to the user at start-up

Foreign exceptions (aiohttp, grpc, msgspec) never leave the package that imports their library: they
are turned into one of these there.
"""


class SnapshotdError(Exception):
    """The root of the tree: never raised itself."""


class Retryable(SnapshotdError):
    """The same request may succeed later."""


class Conflict(Retryable):
    """A precondition (uid, resourceVersion, create of an existing name) no longer holds."""


class Throttled(Retryable):
    """The server asked us to slow down."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Keep `retry_after`, the seconds to wait before the next request."""
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Retryable):
    """No definite answer: the request may or may not have taken effect."""


class Unsuccessful(Retryable):
    """Answered with a failure, which stands on the object already: only the delay is wanted."""


class Terminal(SnapshotdError):
    """The same request will fail again until something is changed."""


class Invalid(Terminal):
    """Malformed, or rejected by validation."""


class Refused(Terminal):
    """Understood, and not allowed: authentication, authorisation, or unsupported."""


class Gone(SnapshotdError):
    """The object, or the version asked for, does not exist."""


class Misconfigured(SnapshotdError):
    """A flag, file or environment variable is wrong; the message says what to do about it."""
