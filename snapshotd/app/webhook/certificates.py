"""The webhook's certificate: read again when its files change, without a restart.

Whoever renews a certificate replaces two files, and not at one moment. Invariant: a handshake gets
a certificate and the key that belongs to it, always the newest such pair that was read; connections
that are open are left alone.
"""

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog

from snapshotd import errors
from snapshotd.runtime import clock

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

Outcome = Literal["unchanged", "reloaded", "failed"]


class Certificates:
    """One certificate chain and its private key, both in PEM."""

    def __init__(self, chain: Path, key: Path, *, count: Callable[[Outcome], None]) -> None:
        """Read the files for the first time; raises `Misconfigured`."""
        self._chain, self._key = chain, key
        self._count = count
        self._seen = self._digest()
        try:
            self._newest = self._read()
            self.context = self._read()
        except (OSError, ValueError) as error:
            raise errors.Misconfigured(
                f"--tls-cert-file {chain}, --tls-private-key-file {key}: {_why(error)}"
            ) from error
        self.context.sni_callback = self._choose

    def refresh(self) -> Outcome:
        """Read the files again if they changed; what cannot be used leaves the old pair in use."""
        outcome = self._refresh()
        if outcome != "unchanged":
            self._count(outcome)
        return outcome

    async def watch(self, time: clock.Clock, interval: float) -> None:
        """Refresh for ever: a mounted secret changes without anything that tells of it."""
        while True:
            await time.sleep(interval)
            self.refresh()

    def _refresh(self) -> Outcome:
        now = self._digest()
        if now == self._seen:
            return "unchanged"
        try:
            self._newest = self._read()
        except (OSError, ValueError) as error:
            # Not noted as seen: half of a renewal is tried again until it is whole.
            log.warning("certificate_not_usable", file=str(self._chain), error=_why(error))
            return "failed"
        self._seen = now
        log.info("certificate_reloaded", file=str(self._chain))
        return "reloaded"

    def _choose(self, handshake: ssl.SSLObject | ssl.SSLSocket, *_: object) -> None:
        """Give a handshake the newest pair; called for each, with a server name or without."""
        handshake.context = self._newest

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._chain, self._key, password=_no_password)
        return context

    def _digest(self) -> bytes:
        """Return what both files hold, in short; b'' where one cannot be read."""
        found = hashlib.sha256()
        for path in (self._chain, self._key):
            try:
                found.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                return b""
        return found.digest()


def _no_password() -> str:
    """Fail rather than ask a terminal."""
    raise ValueError("the private key is encrypted: give one without a password")


def _why(error: OSError | ValueError) -> str:
    """Return what is wrong, in the words of whoever has to mend it."""
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the private key is not that of the certificate"
        return f"they are no certificate and private key in PEM ({error.reason or 'unreadable'})"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
