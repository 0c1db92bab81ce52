"""The Secret, and credentials on their way to a driver: values that must never be shown.

Their `repr` hides every value, so that no log line, error message or traceback can hold one.
"""

import msgspec

from snapshotd.model import keys, meta


class Credentials:
    """Secret values by name, as CSI calls take them; `reveal` is the only way to the values."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        """Keep the values out of sight."""
        self._values = values

    def reveal(self) -> dict[str, str]:
        """Return the values, for the one place that puts them on the wire."""
        return self._values

    def __repr__(self) -> str:
        """Tell how many values there are, and nothing of them."""
        return f"Credentials({len(self._values)} hidden)"


class SecretReference(msgspec.Struct, frozen=True, gc=False):
    """Where credentials are kept."""

    namespace: str
    name: str


class Secret(meta.Model, frozen=True, gc=False):
    """A Secret; `data` holds the decoded bytes."""

    metadata: meta.ObjectMeta
    data: dict[str, bytes] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.SECRET, self.metadata.namespace, self.metadata.name)

    def credentials(self) -> Credentials:
        """Return the values as a CSI call takes them; bytes that are not UTF-8 are replaced."""
        return Credentials(
            {name: value.decode("utf-8", "replace") for name, value in self.data.items()}
        )

    def __repr__(self) -> str:
        """Tell the name, and nothing of the values."""
        return f"Secret({self.metadata.namespace}/{self.metadata.name}, {len(self.data)} hidden)"


NO_CREDENTIALS = Credentials({})
