"""How many VolumeSnapshots a second the embedded API server creates, on one core, over TLS.

    python benchmarks/apiserver_creates.py [--count 6000] [--clients 2] [--concurrency 32]

The server runs in a process of its own with validation on (schema and CEL rules), in memory;
clients run in others. The figure that counts is creates per second of the server's CPU time: wall
time on a small machine measures the clients too.
"""

import argparse
import json
import multiprocessing
import os
import ssl
import time
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import anyio
import uvloop

from snapshotd.app import seeds
from snapshotd.devcluster.apiserver import server

_PATH = "/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots"


def serve(pipe: Connection, *, with_uvloop: bool) -> None:
    """Serve until told to stop; report CPU seconds whenever asked."""

    async def run() -> None:
        serving = server.ApiServer(server.Settings())
        async with anyio.create_task_group() as group:
            await group.start(serving.run)
            await seeds.plant(serving)
            pipe.send((serving.url, serving.token))
            while await anyio.to_thread.run_sync(pipe.recv) == "cpu":
                pipe.send(time.process_time())
            group.cancel_scope.cancel()

    anyio.run(run, backend_options={"use_uvloop": with_uvloop})


def create(url: str, token: str, share: tuple[int, int, int]) -> None:
    """Create one client's share: (first number, how many, how many at once)."""
    first, count, concurrency = share
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def run() -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        numbers = iter(range(first, first + count))

        async def work(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                body = {
                    "apiVersion": "snapshot.storage.k8s.io/v1",
                    "kind": "VolumeSnapshot",
                    "metadata": {"name": f"snap-{number}"},
                    "spec": {
                        "volumeSnapshotClassName": "csi-hostpath-snapclass",
                        "source": {"persistentVolumeClaimName": f"claim-{number}"},
                    },
                }
                data = json.dumps(body).encode()
                async with session.post(url + _PATH, data=data, ssl=context) as answer:
                    await answer.read()
                    assert answer.status == 201, await answer.text()

        async with (
            aiohttp.ClientSession(headers=headers) as session,
            anyio.create_task_group() as group,
        ):
            for _ in range(concurrency):
                group.start_soon(work, session)

    uvloop.run(run())


def measure(count: int, clients: int, concurrency: int, *, with_uvloop: bool) -> dict[str, Any]:
    """Run once; return the figures."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    serving = context.Process(target=serve, args=(theirs,), kwargs={"with_uvloop": with_uvloop})
    serving.start()
    url, token = ours.recv()
    ours.send("cpu")
    cpu = ours.recv()
    share = count // clients
    working = [
        context.Process(target=create, args=(url, token, (n * share, share, concurrency)))
        for n in range(clients)
    ]
    began = time.perf_counter()
    for each in working:
        each.start()
    for each in working:
        each.join()
        assert each.exitcode == 0
    wall = time.perf_counter() - began
    ours.send("cpu")
    used = ours.recv() - cpu
    ours.send("stop")
    serving.join()
    made = share * clients
    return {
        "loop": "uvloop" if with_uvloop else "asyncio",
        "creates": made,
        "per_server_cpu_second": round(made / used),
        "server_cpu_us_each": round(used / made * 1e6),
        "per_wall_second": round(made / wall),
    }


def main() -> None:
    """Measure both loops, and print one JSON object each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=32)
    given = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count()}))
    for with_uvloop in (False, True):
        result = measure(given.count, given.clients, given.concurrency, with_uvloop=with_uvloop)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
