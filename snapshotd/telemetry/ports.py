"""Where a server listens: one socket and one port, as Go's `net.Listen` has it.

The invariant: one number. An event loop that is asked to listen everywhere opens a socket a family,
and where the port is 0 each of them gets another number.
"""

import socket


def listen(host: str | None, port: int) -> socket.socket:
    """Return a socket that listens at a host, or on all addresses; raises `OSError`.

    Of a name's addresses it takes one, IPv4 before IPv6; without a host it takes both families.
    """
    if not host:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda each: each[0] is not socket.AF_INET)
    return socket.create_server(address[:2], family=family)
