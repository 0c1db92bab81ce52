"""Quantities, times, names and the codec."""

import pytest
from hypothesis import given, strategies

from snapshotd import errors
from snapshotd.model import keys, names, quantity, secrets, times, wire


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1Gi", 1 << 30), ("1.5Ki", 1536), ("1k", 1000), ("1e3", 1000), ("100m", 1)],
)
def test_a_quantity_is_read(text: str, size: int) -> None:
    assert quantity.to_bytes(text) == size


def test_a_number_is_a_quantity_and_nonsense_is_none() -> None:
    assert quantity.to_bytes(5) == 5
    with pytest.raises(errors.Invalid, match="not a quantity"):
        quantity.to_bytes("a lot")


@given(strategies.integers(0, 1 << 62))
def test_a_size_survives_being_written(size: int) -> None:
    """The canonical form loses nothing."""
    assert quantity.to_bytes(quantity.from_bytes(size)) == size


def test_sizes_are_written_as_the_reference_writes_them() -> None:
    written = [quantity.from_bytes(size) for size in (0, 500, 1000, 1024, 1500, 5 << 30)]
    assert written == ["0", "500", "1k", "1Ki", "1500", "5Gi"]


@given(strategies.integers(0, 4_000_000_000))
def test_a_time_survives_being_written(seconds: int) -> None:
    """In whole seconds, as metadata carries it."""
    assert times.seconds(times.rfc3339(seconds)) == seconds
    assert times.rfc3339_of_nanoseconds(seconds * 10**9 + 5) == times.rfc3339(seconds)


def test_a_micro_time_has_six_digits() -> None:
    assert times.rfc3339_micro(1.5) == "1970-01-01T00:00:01.500000Z"


@pytest.mark.parametrize(
    ("length", "expected"), [(-1, "p-ab-cd"), (0, "p-"), (3, "p-abc"), (32, "p-abcd")]
)
def test_a_name_at_the_driver_keeps_as_much_of_the_uid_as_asked(length: int, expected: str) -> None:
    assert names.csi_snapshot("p", length, "ab-cd") == expected


def test_the_lease_of_a_driver_has_a_name_that_may_be() -> None:
    lease = names.sidecar_lease("hostpath.csi.k8s.io")
    assert lease == "external-snapshotter-leader-hostpath-csi-k8s-io"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"metadata":{"name":"x","namespace":"y"},"spec":{"source":3}}', "y/x"),
        (b'{"metadata":{"name":"x"}}', "malformed VolumeSnapshot x"),
        (b"{", "no readable name"),
        (
            b'{"metadata":{"name":"x","resourceVersion":"new"},"spec":{"source":{}}}',
            "is not a number",
        ),
    ],
)
def test_a_malformed_object_is_named(body: bytes, told: str) -> None:
    with pytest.raises(errors.Invalid, match=told):
        wire.decode(keys.Kind.VOLUME_SNAPSHOT, body)


def test_a_malformed_list_or_event_is_told() -> None:
    with pytest.raises(errors.Invalid, match="malformed list"):
        wire.decode_list(b"[")
    with pytest.raises(errors.Invalid, match="malformed watch event"):
        wire.decode_event(b"[")
    assert wire.decode_status(b"nonsense").code == 0


def test_a_secret_shows_nothing_of_itself() -> None:
    body = b'{"metadata":{"name":"s","namespace":"n"},"data":{"password":"c2VzYW1l"}}'
    secret = wire.decode(keys.Kind.SECRET, body)
    assert isinstance(secret, secrets.Secret)
    assert secret.credentials().reveal() == {"password": "sesame"}
    assert "sesame" not in repr((secret, secret.credentials()))
    assert str(secret.key) == "Secret n/s"
