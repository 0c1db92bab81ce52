import socket

import anyio

from snapshotd.kube import sockets

LOOPBACK = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))


def test_a_silent_peer_is_asked_whether_it_is_there() -> None:
    made = sockets.Sockets().make(LOOPBACK)
    try:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    finally:
        made.close()


async def test_what_is_left_open_is_waited_for() -> None:
    kept = sockets.Sockets()
    made = kept.make(LOOPBACK)

    async def close_later() -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        made.close()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(close_later)
            await kept.close()

    assert made.fileno() == -1
