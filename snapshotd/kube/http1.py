"""One HTTP/1.1 connection to the API server: a request goes out, its answer comes in, the next one.

httptools parses; what is here joins its callbacks to one future. A general client takes more than
twice the CPU for a request, and requests are most of what a controller pays for.
Invariant: after anything but an answer that is whole and a peer who wants to go on, the connection
is cut: no answer is ever taken for that of another request.
"""

import asyncio
import ssl
from typing import Final, cast

import httptools

from snapshotd.kube import messages

_HEAD_MOST: Final = 2**16  # bytes
_FIELD_MOST: Final = 2**13  # bytes of one header in it


class Stale(messages.NoAnswer):
    """The connection ended before an answer began: nobody may have seen the request."""


class Http1(asyncio.Protocol):
    """The connection; `tls` is the context that it was made with."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        """Wait for the event loop to connect it."""
        self.tls = tls
        self.kept_since = 0.0
        self._open = False
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[messages.Answer] | None = None
        self._heard: messages.Heard
        self._status = 0  # until the head of an answer is there
        self._head = 0  # bytes of it so far
        self._bounded = False  # does the answer say where it ends?
        self._retry_after = ""
        self._body: list[bytes] = []

    @property
    def usable(self) -> bool:
        """Say whether another request may go out."""
        return self._open and self._answer is None and not self._transport.is_closing()

    async def exchange(
        self, data: bytes, *, within: float, heard: messages.Heard
    ) -> messages.Answer:
        """Send these bytes and return what answers them; raises `OSError`."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[messages.Answer] = loop.create_future()
        self._answer = answer
        self._heard = heard
        self._status = self._head = 0
        timer = loop.call_later(within, self._late, within)
        try:
            self._transport.write(data)
            return await answer
        except BaseException:
            self.cut()
            raise
        finally:
            timer.cancel()
            self._answer = None

    def cut(self) -> None:
        """End it at once: a farewell would wait for a peer that may not be there any more."""
        self._open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: as the event loop asks for it, as all below."""
        self._transport = cast("asyncio.Transport", transport)
        self._open = True

    def data_received(self, data: bytes) -> None:
        """Parse."""
        if not self._status:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
            if not self._status and self._head > _HEAD_MOST:
                raise messages.NoAnswer("its head has no end")
        except (httptools.HttpParserError, OSError) as error:
            cause = error.__context__ or error  # what a callback raised is only the context
            self._fail(messages.NoAnswer(f"it cannot be read: {cause}"))

    def eof_received(self) -> None:
        """End an answer that says nowhere how long it is."""
        self._open = False
        if self._status and not self._bounded:
            self._complete()

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        if error is None:
            self.eof_received()
        why = (str(error) or type(error).__name__) if error else "the server hung up"
        self._fail(messages.NoAnswer(f"it broke off: {why}") if self._status else Stale(why))
        del self._parser  # it holds us

    def on_message_begin(self) -> None:
        """Forget the answer before: as httptools asks for it, as all below."""
        if self._answer is None or self._answer.done():
            raise messages.NoAnswer("nobody asked for it")
        self._status = self._head = 0
        self._bounded = False
        self._retry_after = ""
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what we care for."""
        if len(value) > _FIELD_MOST:
            raise messages.NoAnswer("a header has no end")
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._bounded = True
            case b"retry-after":
                self._retry_after = value.decode("latin-1")
            case b"content-encoding" if value.lower() != b"identity":
                raise messages.NoAnswer("it has an encoding that we did not ask for")
            case _:
                pass

    def on_headers_complete(self) -> None:
        """Tell that an answer begins."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
            self._heard(status)

    def on_body(self, body: bytes) -> None:
        """Keep a part."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to who waits for it; before it there may be others, below 200."""
        if self._status:
            self._open = self._open and self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            paused = messages.seconds(self._retry_after)
            self._body = []
            self._answer.set_result(messages.Answer(self._status, body, paused))

    def _late(self, within: float) -> None:
        self._fail(TimeoutError(f"it was not whole within {within:.3g} s"))

    def _fail(self, error: OSError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.cut()
