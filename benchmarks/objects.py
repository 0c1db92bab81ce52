"""What the benchmark puts into the cluster: claims with their volumes, a class, snapshots.

Claims and volumes are made bound, as a provisioner and the binder of a cluster would leave them; so
neither has to run.
"""

from collections.abc import AsyncIterator, Callable

import anyio

from benchmarks import client, driver
from snapshotd.model import names

JsonObject = client.JsonObject

CLASS = "snapshotd-benchmark"
_SNAPSHOT_API = names.SNAPSHOT_API


def claim_name(number: int) -> str:
    """Return the name of a claim."""
    return f"claim-{number}"


def snapshot(name: str, claim: str) -> JsonObject:
    """Return a snapshot of a claim."""
    return {
        "apiVersion": _SNAPSHOT_API,
        "kind": "VolumeSnapshot",
        "metadata": {"name": name},
        "spec": {
            "volumeSnapshotClassName": CLASS,
            "source": {"persistentVolumeClaimName": claim},
        },
    }


def snapshot_class() -> JsonObject:
    """Return the class."""
    return {
        "apiVersion": _SNAPSHOT_API,
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": CLASS},
        "driver": driver.NAME,
        "deletionPolicy": names.DELETE,
    }


def _claim(namespace: str, number: int) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name(number)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": CLASS,
            "volumeName": f"{namespace}-{number}",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _volume(namespace: str, number: int, claim: JsonObject) -> JsonObject:
    name = f"{namespace}-{number}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": CLASS,
            "capacity": {"storage": "1Gi"},
            "csi": {"driver": driver.NAME, "volumeHandle": name},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace,
                "name": claim["metadata"]["name"],
                "uid": claim["metadata"]["uid"],
            },
        },
    }


async def bring_claim(api: client.Client, namespace: str, number: int) -> None:
    """Make one claim and its volume, both bound, unless they are there."""
    claim = await api.bring("persistentvolumeclaims", namespace, _claim(namespace, number))
    if claim.get("status", {}).get("phase") == names.BOUND:
        return
    volume = _volume(namespace, number, claim)
    await api.bring("persistentvolumes", "", volume)
    bound: JsonObject = {"status": {"phase": names.BOUND}}
    where = client.path("persistentvolumes", "", volume["metadata"]["name"], "status")
    await api.request("PATCH", where, bound)
    bound["status"] |= {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    where = client.path("persistentvolumeclaims", namespace, claim_name(number), "status")
    await api.request("PATCH", where, bound)


async def bring_settled(api: client.Client, namespace: str, number: int, claim: str) -> None:
    """Make one snapshot that is ready, and its content, as a control plane leaves them."""
    wanted = snapshot(f"settled-{number}", claim)
    wanted["metadata"]["finalizers"] = [
        names.SNAPSHOT_SOURCE_FINALIZER,
        names.SNAPSHOT_BOUND_FINALIZER,
    ]
    found = await api.bring("volumesnapshots", namespace, wanted)
    content = _settled_content(found, f"{namespace}-{claim.rpartition('-')[2]}")
    name = content["metadata"]["name"]
    await api.bring("volumesnapshotcontents", "", content)
    told: JsonObject = {"readyToUse": True, "restoreSize": 1 << 30}
    handle = {"snapshotHandle": name, "creationTime": 1_700_000_000_000_000_000}
    where = client.path("volumesnapshotcontents", "", name, "status")
    await api.request("PATCH", where, {"status": told | handle})
    told = {
        "readyToUse": True,
        "restoreSize": "1Gi",
        "boundVolumeSnapshotContentName": name,
        "creationTime": "2023-11-14T22:13:20Z",
    }
    where = client.path("volumesnapshots", namespace, wanted["metadata"]["name"], "status")
    await api.request("PATCH", where, {"status": told})


def _settled_content(found: JsonObject, volume: str) -> JsonObject:
    meta = found["metadata"]
    return {
        "apiVersion": _SNAPSHOT_API,
        "kind": "VolumeSnapshotContent",
        "metadata": {
            "name": names.dynamic_content(meta["uid"]),
            "finalizers": [names.CONTENT_FINALIZER],
        },
        "spec": {
            "deletionPolicy": names.DELETE,
            "driver": driver.NAME,
            "source": {"volumeHandle": volume},
            "sourceVolumeMode": "Filesystem",
            "volumeSnapshotClassName": CLASS,
            "volumeSnapshotRef": {
                "apiVersion": _SNAPSHOT_API,
                "kind": "VolumeSnapshot",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
        },
    }


async def remove(api: client.Client, namespace: str) -> None:
    """Delete what was made in a namespace, finalizers or not, and the volumes of its claims."""

    async def drop(plural: str, where: str, name: str) -> None:
        try:
            bare: JsonObject = {"metadata": {"finalizers": None}}
            await api.request("PATCH", client.path(plural, where, name), bare)
            await api.delete(plural, where, name)
        except client.Failed as error:
            if error.status != 404:
                raise

    for plural in ("volumesnapshots", "volumesnapshotcontents", "persistentvolumeclaims"):
        where = "" if plural == "volumesnapshotcontents" else namespace
        async for each in _all(api, plural, where):
            if where or each["spec"]["volumeSnapshotRef"].get("namespace") == namespace:
                await drop(plural, where, each["metadata"]["name"])
    async for each in _all(api, "persistentvolumes", ""):
        if (each["spec"].get("claimRef") or {}).get("namespace") == namespace:
            await drop("persistentvolumes", "", each["metadata"]["name"])
    await drop("namespaces", "", namespace)


async def _all(api: client.Client, plural: str, namespace: str) -> AsyncIterator[JsonObject]:
    found = await api.request("GET", client.path(plural, namespace))
    for each in found["items"]:
        yield each


async def many(work: Callable[[int], object], count: int, concurrency: int) -> None:
    """Await `work(number)` for each number below `count`, so many at once."""
    numbers = iter(range(count))

    async def hand() -> None:
        for number in numbers:
            await work(number)  # type: ignore[misc]

    async with anyio.create_task_group() as group:
        for _ in range(min(concurrency, count)):
            group.start_soon(hand)
