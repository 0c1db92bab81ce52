"""The state of the API server in one SQLite file, so that a restart finds it.

A write-ahead log with `synchronous=NORMAL`: a commit is one write to the log, which the kernel has
when the call returns, so that a killed process loses nothing it acknowledged; after a power cut the
file is whole, and may lack the last moments. That is right for a development server, and costs
microseconds instead of an fsync a write.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from snapshotd import errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    "group" TEXT, plural TEXT, namespace TEXT, name TEXT, version INTEGER, body BLOB,
    PRIMARY KEY ("group", plural, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""


class Row(NamedTuple):
    """One object as it is kept."""

    group: str
    plural: str
    namespace: str
    name: str
    version: int
    body: bytes


class Persistence:
    """The file. Raises `Misconfigured` where it cannot be opened or is not ours."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it if need be."""
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise errors.Misconfigured(
                f"cannot use {path} as the API server's state: {error}; "
                "remove it to begin anew, or choose another --data-dir"
            ) from error

    def version(self) -> int:
        """Return the highest version that was ever given out."""
        row = self._database.execute(
            "SELECT max(version) FROM (SELECT version FROM counter"
            " UNION ALL SELECT max(version) FROM objects)"
        ).fetchone()
        return int(row[0] or 0)

    def rows(self) -> Iterator[Row]:
        """Iterate over every object."""
        for row in self._database.execute("SELECT * FROM objects"):
            yield Row(*row)

    def save(
        self, ident: tuple[str, str], name: tuple[str, str], version: int, body: bytes
    ) -> None:
        """Keep an object's new state."""
        self._database.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            (*ident, *name, version, body),
        )

    def delete(self, ident: tuple[str, str], name: tuple[str, str], version: int) -> None:
        """Forget an object, and remember the version that its deletion took."""
        self._database.execute("BEGIN")
        self._database.execute(
            'DELETE FROM objects WHERE "group"=? AND plural=? AND namespace=? AND name=?',
            (*ident, *name),
        )
        self._database.execute("UPDATE counter SET version=?", (version,))
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
