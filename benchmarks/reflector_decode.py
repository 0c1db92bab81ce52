"""What a watched object costs from the socket's chunk to the cache, and a listed one from its page.

Run: `python benchmarks/reflector_decode.py`. Prints CPU microseconds an object, the best of five
rounds; the network and TLS are not in it.
"""

import time
from collections.abc import Callable

import msgspec

from snapshotd.kube import lines
from snapshotd.model import keys, meta, names, snapshots, wire
from snapshotd.runtime import store as caches

OBJECTS = 20_000
CHUNK = 2**16
KIND = keys.Kind.VOLUME_SNAPSHOT_CONTENT


def content(number: int, version: int) -> bytes:
    """Return a VolumeSnapshotContent of about 2 KB, as the API server sends it."""
    uid = f"{number:08x}-0000-4000-8000-000000000000"
    name = f"snapcontent-{uid}"
    known = snapshots.VolumeSnapshotContent(
        metadata=meta.ObjectMeta(
            name=name,
            uid=uid,
            resource_version=str(version),
            creation_timestamp="2026-11-24T11:20:04Z",
            finalizers=(names.CONTENT_FINALIZER,),
        ),
        spec=snapshots.VolumeSnapshotContentSpec(
            deletion_policy="Delete",
            driver="hostpath.csi.k8s.io",
            source=snapshots.VolumeSnapshotContentSource(volume_handle=uid),
            volume_snapshot_ref=meta.ObjectReference(namespace="default", name=name, uid=uid),
            volume_snapshot_class_name="csi-hostpath-snapclass",
        ),
        status=snapshots.VolumeSnapshotContentStatus(
            snapshot_handle=uid, creation_time=1_700_000_000_000_000_000, ready_to_use=True
        ),
    )
    whole = msgspec.to_builtins(known)
    field: dict[str, object] = {
        "f:metadata": {"f:finalizers": {".": {}, f'v:"{names.CONTENT_FINALIZER}"': {}}}
    }
    whole["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "fieldsV1": field, "fieldsType": "FieldsV1"}
        for manager in ("snapshot-controller", "csi-snapshotter", "kubectl", "snapshotd", "other")
    ]
    return wire.encode(whole)


def watched(stream: bytes) -> Callable[[], None]:
    """Return what the reflector does with this stream, chunk by chunk."""

    def run() -> None:
        store: caches.Store[wire.Object] = caches.Store()
        buffer = lines.LineBuffer()
        for start in range(0, len(stream), CHUNK):
            for line in buffer.feed(stream[start : start + CHUNK]):
                store.put(wire.decode(KIND, wire.decode_event(line).object))
        assert store.count(KIND) == OBJECTS

    return run


def listed(body: bytes) -> Callable[[], None]:
    """Return what the reflector does with this list."""

    def run() -> None:
        store: caches.Store[wire.Object] = caches.Store()
        items = [wire.decode(KIND, raw) for raw in wire.decode_list(body).items]
        store.replace(KIND, items, OBJECTS + 1)
        assert store.count(KIND) == OBJECTS

    return run


def best(work: Callable[[], None]) -> float:
    """Return the CPU microseconds an object of the best of five rounds."""
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        work()
        rounds.append(time.process_time() - begun)
    return min(rounds) / OBJECTS * 1e6


def main() -> None:
    """Measure and print."""
    objects = [content(number, number + 1) for number in range(OBJECTS)]
    stream = b"".join(b'{"type":"ADDED","object":' + each + b"}\n" for each in objects)
    body = b'{"metadata":{"resourceVersion":"1"},"items":[' + b",".join(objects) + b"]}"
    print(f"{len(objects[0])} bytes an object, {OBJECTS} objects")
    print(f"watch: {best(watched(stream)):.2f} us an object")
    print(f"list:  {best(listed(body)):.2f} us an object")


if __name__ == "__main__":
    main()
