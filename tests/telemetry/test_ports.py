import socket

import pytest

from snapshotd.telemetry import ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_everywhere_is_one_port_for_both_families(address: str) -> None:
    if ":" in address and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with ports.listen(None, 0) as listening:
        port = listening.getsockname()[1]
        socket.create_connection((address, port)).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_name_is_listened_to_at_one_address_that_of_ipv4_if_it_has_one(host: str) -> None:
    with ports.listen(host, 0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        socket.create_connection(("127.0.0.1", listening.getsockname()[1])).close()


def test_a_port_in_use_is_an_error() -> None:
    with ports.listen(None, 0) as first, pytest.raises(OSError, match="in use"):
        ports.listen(None, first.getsockname()[1])
