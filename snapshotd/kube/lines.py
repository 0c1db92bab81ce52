"""Lines out of chunks: what a watch needs, without a limit on their length.

A `readline` under a deadline loses what it had read so far when the deadline passes; this keeps it.
Cost: O(bytes), however many chunks a line comes in.
"""


class LineBuffer:
    """Collects chunks and gives back the lines that are complete."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk and return the lines it completes, without their newline; none is empty."""
        head, newline, tail = chunk.partition(b"\n")
        self._parts.append(head)
        if not newline:
            return []
        lines = [b"".join(self._parts), *tail.split(b"\n")]
        self._parts = [lines.pop()]
        return [line for line in lines if line.strip()]

    @property
    def rest(self) -> bytes:
        """Return the beginning of a line whose end has not come."""
        return b"".join(self._parts)
