"""A content goes (reference: TestDeleteSync 1-1 to 1-17, TestShouldDelete, pkg/snapshotter)."""

import grpc
import objects
import pytest
from beside_driver import Story, naming_secret, secret

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.decide import intents
from snapshotd.model import meta, names, snapshots

GIVEN = snapshots.content_key("content")
WORDS = "in the driver's own words"
FAILURES = [each for each in grpc.StatusCode if each.name not in {"OK", "NOT_FOUND"}]


def given_content(**fields: object) -> snapshots.VolumeSnapshotContent:
    """Return a pre-provisioned content that is bound and ready."""
    base = {
        "metadata__finalizers": (names.CONTENT_FINALIZER,),
        "spec__volume_snapshot_ref": meta.ObjectReference(namespace="ns", name="snap", uid="uid-1"),
        "status": objects.STATUS,
    }
    return objects.given_content(**{**base, **fields})


async def test_policy_delete_deletes_on_storage_and_lets_the_content_go(story: Story) -> None:
    """1-1, 1-10: one call and one write."""
    await story.start()
    await story.add(objects.content())
    story.writer.done.clear()
    story.driver.requests.clear()
    await story.delete()
    [sent] = story.driver.requests
    assert isinstance(sent, csi_pb2.DeleteSnapshotRequest)
    assert (sent.snapshot_id, dict(sent.secrets)) == ("snapshot-uid-1#1", {})
    assert [type(each) for each in story.writer.done] == [intents.UpdateMetadata]
    assert story.gone()
    assert story.driver.kept == {}
    assert story.events() == []


async def test_policy_retain_keeps_the_snapshot_and_lets_the_content_go(story: Story) -> None:
    """1-2, 1-11."""
    await story.start()
    await story.add(objects.content(spec__deletion_policy=names.RETAIN))
    await story.delete()
    assert story.gone()
    assert story.driver.calls == ["CreateSnapshot"]
    assert list(story.driver.kept) == ["snapshot-uid-1#1"]


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
async def test_a_deletion_that_fails_keeps_the_content_and_is_told(
    story: Story, code: grpc.StatusCode
) -> None:
    """1-3, 1-5."""
    await story.start()
    await story.add(objects.content())
    story.driver.fail("DeleteSnapshot", code)
    looks = await story.delete()
    assert isinstance(looks[-1].failure, errors.Unsuccessful)  # again after its backoff
    told = f"Failed to delete snapshot: {code.name}: {WORDS}"
    assert story.events() == [("SnapshotDeleteError", told)]
    assert story.content().metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert story.content().ready
    await story.look()
    assert story.gone()
    assert story.driver.kept == {}


async def test_a_snapshot_that_the_driver_does_not_know_counts_as_deleted(story: Story) -> None:
    """1-6; the specification asks drivers for OK, and some say this instead."""
    story.api.put(objects.ready_content())
    await story.start()
    story.driver.fail("DeleteSnapshot", grpc.StatusCode.NOT_FOUND)
    await story.delete()
    assert story.gone()
    assert story.events() == []


@pytest.mark.parametrize("marked", [False, True])
async def test_a_content_is_not_touched_before_its_snapshot_is_to_go(
    *, story: Story, marked: bool
) -> None:
    """1-7, 1-8: a deletion without the mark, and the mark without a deletion."""
    story.api.put(objects.ready_content())
    await story.start()
    if marked:
        mark = {names.BEING_DELETED_ANNOTATION: names.MARK}
        await story.add(objects.ready_content(metadata__annotations=mark))
    else:
        await story.delete(marked=False)
    assert not story.gone()
    assert story.driver.calls == []
    assert story.writer.done == []


async def test_a_deletion_waits_for_the_mark_and_no_longer(story: Story) -> None:
    story.driver.keep("handle")
    story.api.put(objects.ready_content())
    await story.start()
    await story.delete(marked=False)
    assert not story.gone()
    mark = {names.BEING_DELETED_ANNOTATION: names.MARK}
    await story.add(objects.changed(story.content(), metadata__annotations=mark))
    assert story.gone()
    assert story.driver.kept == {}


async def test_the_secret_that_the_content_names_goes_along(story: Story) -> None:
    story.api.put(secret(password="open sesame"))
    story.api.put(objects.ready_content(metadata__annotations=naming_secret()))
    await story.start()
    await story.delete()
    [sent] = story.driver.requests
    assert dict(sent.secrets) == {"password": "open sesame"}
    assert story.gone()


async def test_a_secret_that_is_gone_keeps_the_content_until_it_is_back(story: Story) -> None:
    """1-4."""
    story.driver.keep("handle")
    story.api.put(objects.ready_content(metadata__annotations=naming_secret()))
    await story.start()
    await story.delete()
    told = "Failed to get snapshot credentials: secret vault/creds does not exist"
    assert story.events() == [("SnapshotDeleteError", told)]
    assert story.content().metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert story.driver.calls == []
    story.api.put(secret(password="open sesame"))
    await story.look()
    assert story.gone()
    assert story.driver.kept == {}


@pytest.mark.parametrize(("name", "namespace"), [("", "vault"), ("creds", ""), ("", "")])
async def test_empty_secret_annotations_keep_the_content_until_they_are_mended(
    story: Story, name: str, namespace: str
) -> None:
    story.driver.keep("handle")
    story.api.put(objects.ready_content(metadata__annotations=naming_secret(name, namespace)))
    await story.start()
    looks = await story.delete()
    assert {look.failure for look in looks} == {None}  # no timer: the change that mends it wakes it
    [(reason, message)] = story.events()
    assert reason == "SnapshotDeleteError"
    assert "must not be empty" in message
    assert story.driver.calls == []
    assert not story.gone()
    mark = {names.BEING_DELETED_ANNOTATION: names.MARK}
    await story.add(objects.changed(story.content(), metadata__annotations=mark))
    assert story.gone()
    assert story.driver.kept == {}


async def test_a_secret_that_exists_nowhere_is_not_asked_for_without_annotations(
    story: Story,
) -> None:
    """1-9: whatever the class says now, the content says what it was cut with."""
    parameters = {
        names.SECRET_NAME_PARAMETER: "nowhere",
        names.SECRET_NAMESPACE_PARAMETER: "vault",
    }
    story.api.put(objects.class_(parameters=parameters))
    story.api.put(objects.ready_content())
    await story.start()
    await story.delete()
    assert story.gone()
    assert story.driver.calls == ["DeleteSnapshot"]


@pytest.mark.parametrize("policy", [names.DELETE, names.RETAIN])
async def test_a_given_snapshot_goes_or_stays_by_the_policy(story: Story, policy: str) -> None:
    """1-12, 1-13."""
    story.driver.keep("handle")
    story.api.put(given_content(spec__deletion_policy=policy))
    await story.start()
    await story.delete(GIVEN)
    assert story.gone(GIVEN)
    assert list(story.driver.kept) == ([] if policy == names.DELETE else ["handle"])


@pytest.mark.parametrize("class_name", [None, "gone"])
@pytest.mark.parametrize("given", [True, False])
async def test_a_deletion_needs_no_class(
    *, story: Story, given: bool, class_name: str | None
) -> None:
    """1-14, 1-15."""
    story.driver.keep("handle")
    content = given_content() if given else objects.ready_content()
    story.api.put(objects.changed(content, spec__volume_snapshot_class_name=class_name))
    await story.start()
    await story.delete(content.key)
    assert story.gone(content.key)
    assert story.driver.kept == {}


async def test_a_member_of_a_group_is_let_go_without_a_call(story: Story) -> None:
    """1-17: the group deletes its snapshots together; 1-16 is every other test here."""
    story.driver.keep("handle")
    grouped = objects.changed(objects.STATUS, volume_group_snapshot_handle="group")
    story.api.put(objects.content(status=grouped))
    await story.start()
    await story.delete()
    assert story.gone()
    assert story.driver.calls == []
    assert list(story.driver.kept) == ["handle"]


@pytest.mark.parametrize("status", [None, objects.STATUS])
@pytest.mark.parametrize("policy", [names.DELETE, names.RETAIN])
async def test_a_given_content_that_was_never_bound_goes_and_its_snapshot_stays(
    story: Story, policy: str, status: snapshots.VolumeSnapshotContentStatus | None
) -> None:
    """TestShouldDelete: an unbound one may go unmarked. Nobody asked for its storage to go."""
    story.driver.keep("handle")
    content = given_content(
        spec__volume_snapshot_ref__uid="", spec__deletion_policy=policy, status=status
    )
    story.api.put(content)
    await story.start()
    await story.delete(GIVEN, marked=False)
    assert story.gone(GIVEN)
    assert "DeleteSnapshot" not in story.driver.calls
    assert list(story.driver.kept) == ["handle"]


async def test_a_given_snapshot_whose_state_was_never_asked_for_is_deleted_by_its_handle(
    story: Story,
) -> None:
    story.driver.keep("handle")
    going = given_content(
        status=None,
        metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK},
        metadata__deletion_timestamp=objects.NOW_TEXT,
    )
    story.api.put(going)
    await story.start()
    await story.settle()
    assert story.gone(GIVEN)
    assert story.driver.calls == ["DeleteSnapshot"]
    assert story.driver.kept == {}


async def test_what_others_hold_stays_and_is_not_deleted_twice(story: Story) -> None:
    story.driver.keep("handle")
    both = (names.CONTENT_FINALIZER, "example.com/mine")
    story.api.put(objects.ready_content(metadata__finalizers=both))
    await story.start()
    await story.delete()
    assert story.content().metadata.finalizers == ("example.com/mine",)
    await story.look()
    await story.start()
    await story.settle()
    assert story.driver.calls == ["DeleteSnapshot"]
