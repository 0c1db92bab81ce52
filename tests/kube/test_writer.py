import pytest
import scripted

from snapshotd import errors
from snapshotd.actors import ports
from snapshotd.decide import intents
from snapshotd.kube import connection as connections
from snapshotd.kube import writer as writers
from snapshotd.model import keys, meta, snapshots

ROOT = "/apis/snapshot.storage.k8s.io/v1"
CONTENT = snapshots.content_key("c")
SNAPSHOT = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "default", "s")


@pytest.fixture
def writer(connection: connections.Connection) -> ports.Writer:
    return writers.Writer(connection)


def target(version: str = "") -> intents.Target:
    return intents.Target(CONTENT, "uid-c", version)


async def test_metadata_is_patched_with_the_incarnation_it_is_meant_for(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2, finalizers=["f"]))
    intent = intents.UpdateMetadata(target("1"), ("f",), {"a": "yes", "b": None})

    stored = await writer.write(intent)

    assert isinstance(stored, snapshots.VolumeSnapshotContent)
    assert stored.metadata.resource_version == "2"
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("PATCH", f"{ROOT}/volumesnapshotcontents/c")
    assert seen.headers["Content-Type"] == "application/merge-patch+json"
    assert seen.query == {"fieldManager": "snapshotd"}
    assert seen.body == {
        "metadata": {
            "uid": "uid-c",
            "resourceVersion": "1",
            "finalizers": ["f"],
            "annotations": {"a": "yes", "b": None},
        }
    }


async def test_what_is_not_changed_is_not_sent(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2))

    await writer.write(intents.UpdateMetadata(target(), None, {"a": "b"}))

    assert server.seen[0].body == {"metadata": {"uid": "uid-c", "annotations": {"a": "b"}}}


async def test_the_last_finalizer_can_be_taken(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2, deletionTimestamp="2026-11-24T11:20:04Z"))

    assert await writer.write(intents.UpdateMetadata(target(), ())) is None
    assert server.seen[0].body == {"metadata": {"uid": "uid-c", "finalizers": []}}


async def test_a_snapshot_is_prepared_in_one_patch(
    server: scripted.Server, writer: ports.Writer
) -> None:
    answer = scripted.content("s", 2, namespace="default")
    answer["spec"] = {"source": {"persistentVolumeClaimName": "p"}}
    server.reply(200, answer)
    server.reply(200, answer)
    meant = intents.Target(SNAPSHOT, "uid-s", "1")

    await writer.write(intents.PrepareSnapshot(meant, ("f", "g"), "fast"))
    await writer.write(intents.PrepareSnapshot(meant, ("f",)))

    held = {"uid": "uid-s", "resourceVersion": "1"}
    assert [seen.body for seen in server.seen] == [
        {
            "metadata": {**held, "finalizers": ["f", "g"]},
            "spec": {"volumeSnapshotClassName": "fast"},
        },
        {"metadata": {**held, "finalizers": ["f"]}},
    ]
    assert server.seen[0].path == f"{ROOT}/namespaces/default/volumesnapshots/s"


async def test_binding_writes_the_uid_and_leaves_the_rest_of_the_reference(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2))

    await writer.write(intents.BindContent(target("1"), "snap-uid", ("f",), "fast"))

    assert server.seen[0].body == {
        "metadata": {"uid": "uid-c", "resourceVersion": "1", "finalizers": ["f"]},
        "spec": {"volumeSnapshotRef": {"uid": "snap-uid"}, "volumeSnapshotClassName": "fast"},
    }


async def test_a_content_is_created_complete(server: scripted.Server, writer: ports.Writer) -> None:
    sent = scripted.content("c", 0, finalizers=["f"])
    del sent["metadata"]["uid"], sent["metadata"]["resourceVersion"]
    server.reply(201, scripted.content("c", 7))
    content = snapshots.VolumeSnapshotContent(
        metadata=meta.ObjectMeta(name="c", finalizers=("f",)),
        spec=snapshots.VolumeSnapshotContentSpec(
            deletion_policy="Delete",
            driver="d",
            source=snapshots.VolumeSnapshotContentSource(volume_handle="v"),
            volume_snapshot_ref=meta.ObjectReference(name="s", namespace="default", uid="su"),
        ),
    )

    stored = await writer.write(intents.CreateContent(content))

    assert stored is not None
    assert stored.metadata.resource_version == "7"
    assert (server.seen[0].method, server.seen[0].path) == (
        "POST",
        f"{ROOT}/volumesnapshotcontents",
    )
    assert server.seen[0].body == sent


async def test_a_status_says_what_changed_and_clears_what_is_over(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2))
    change = intents.ContentStatusChange(snapshot_handle="h", ready_to_use=True, error=None)

    await writer.write(intents.PublishStatus(target("1"), change))

    assert server.seen[0].path == f"{ROOT}/volumesnapshotcontents/c/status"
    assert server.seen[0].body == {
        "metadata": {"uid": "uid-c", "resourceVersion": "1"},
        "status": {"snapshotHandle": "h", "readyToUse": True, "error": None},
    }


async def test_an_error_in_a_status_is_written_whole(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2))
    error = snapshots.SnapshotError(time="2026-11-24T11:20:04Z", message="no")

    await writer.write(intents.PublishStatus(target(), intents.ContentStatusChange(error=error)))

    told = {"time": "2026-11-24T11:20:04Z", "message": "no"}
    assert server.seen[0].body["status"] == {"error": told}


async def test_a_status_written_to_another_incarnation_is_a_conflict(
    server: scripted.Server, writer: ports.Writer
) -> None:
    """kube-apiserver ignores the uid in a status patch of a custom resource."""
    server.reply(200, scripted.content("c", 2, uid="another"))

    with pytest.raises(errors.Conflict, match="another one by now"):
        await writer.write(intents.PublishStatus(target(), intents.ContentStatusChange()))


async def test_a_deletion_is_for_one_incarnation_alone(
    server: scripted.Server, writer: ports.Writer
) -> None:
    held = scripted.content("c", 3, deletionTimestamp="2026-11-24T11:20:04Z", finalizers=["f"])
    server.reply(200, held)

    stored = await writer.write(intents.DeleteContent(target("1")))

    assert stored is not None
    assert stored.metadata.deleting
    assert server.seen[0].method == "DELETE"
    assert server.seen[0].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "uid-c", "resourceVersion": "1"},
    }


async def test_what_is_deleted_at_once_or_was_before_is_gone(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
    server.reply(200, scripted.content("c", 3))  # some core types answer with what they removed
    server.reply(200, scripted.content("c", 3, deletionTimestamp="2026-11-24T11:20:04Z"))
    server.fail(404, "NotFound")

    for _ in range(4):
        assert await writer.write(intents.DeleteContent(target())) is None


async def test_deleting_another_incarnation_is_a_conflict(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.fail(409, "Conflict")

    with pytest.raises(errors.Conflict):
        await writer.write(intents.DeleteContent(target()))


async def test_patching_what_is_not_there_says_that_it_is_gone(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.fail(404, "NotFound")

    with pytest.raises(errors.Gone):
        await writer.write(intents.UpdateMetadata(target(), ("f",)))


async def test_reading_finds_the_object_or_nothing(
    server: scripted.Server, writer: ports.Writer
) -> None:
    server.reply(200, scripted.content("c", 2))
    server.fail(404, "NotFound")

    found = await writer.read(CONTENT)

    assert found is not None
    assert found.key == CONTENT
    assert await writer.read(CONTENT) is None


async def test_a_malformed_answer_is_named(server: scripted.Server, writer: ports.Writer) -> None:
    server.reply(200, {"metadata": {"name": "c"}})

    with pytest.raises(errors.Invalid, match="malformed VolumeSnapshotContent c"):
        await writer.read(CONTENT)
