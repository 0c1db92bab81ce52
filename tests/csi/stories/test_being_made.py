"""A content is cut and published (reference: TestSyncContent 1-1 to 1-6)."""

import objects
import pytest
import scripted_driver
from beside_driver import Story, naming_secret, secret

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names, snapshots


async def test_a_content_is_made_ready_by_one_call_and_one_write(story: Story) -> None:
    """1-1."""
    await story.start()
    looks = await story.add(objects.content())
    assert story.content().status == snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="snapshot-uid-1#1",
        creation_time=10**18,
        restore_size=1 << 30,
        ready_to_use=True,
    )
    assert story.driver.calls == ["CreateSnapshot"]
    assert [type(each) for each in story.writer.done] == [intents.PublishStatus]
    assert {each.failure for each in looks} == {None}
    assert {each.after for each in looks} == {None}
    assert story.events() == []


async def test_what_is_asked_for_is_the_volume_under_the_snapshots_own_name(story: Story) -> None:
    """1-2."""
    await story.start()
    await story.add(objects.content())
    [sent] = story.driver.requests
    assert (sent.name, sent.source_volume_id) == ("snapshot-uid-1", "vol")
    assert (dict(sent.parameters), dict(sent.secrets)) == ({}, {})


async def test_a_size_that_the_driver_does_not_know_is_not_told(story: Story) -> None:
    """CSI gives 0 for unknown; a status of 0 bytes would be a lie."""
    story.driver.keep("handle", size=0)
    story.driver.able.append(scripted_driver.LISTS)
    story.api.put(objects.given_content(spec__volume_snapshot_ref__uid="uid-1"))
    await story.start()
    await story.settle()
    status = story.content(snapshots.content_key("content")).status
    assert status is not None
    assert (status.ready_to_use, status.restore_size) == (True, None)


async def test_a_time_that_the_driver_does_not_tell_is_now(story: Story) -> None:
    """The reference writes 1970 here."""
    story.driver.tells_time = False
    await story.start()
    await story.add(objects.content())
    status = story.content().status
    assert status is not None
    assert status.creation_time == int(objects.NOW * 1e9)


async def test_the_values_of_the_secret_go_to_the_driver(story: Story) -> None:
    """1-4."""
    story.api.put(secret(user="admin", password="open sesame"))
    await story.start()
    await story.add(objects.content(metadata__annotations=naming_secret()))
    [sent] = story.driver.requests
    assert dict(sent.secrets) == {"user": "admin", "password": "open sesame"}
    assert story.content().ready


async def test_a_secret_that_is_missing_is_told_and_looked_for_again(story: Story) -> None:
    """1-3."""
    await story.start()
    [look] = await story.add(objects.content(metadata__annotations=naming_secret()))
    told = "Failed to create snapshot: secret vault/creds does not exist"
    assert isinstance(look.failure, errors.Unsuccessful)
    assert story.problem() == told
    assert story.events() == [("SnapshotCreationFailed", told)]
    assert story.driver.calls == []
    assert not story.marked()
    story.api.put(secret(password="open sesame"))
    await story.look()
    assert story.content().ready
    assert story.problem() == ""


async def test_a_secret_that_may_not_be_read_is_told(story: Story) -> None:
    """1-5, where the API server says no."""
    story.writer.secrets_fail = errors.Refused("GET secrets: 403")
    await story.start()
    [look] = await story.add(objects.content(metadata__annotations=naming_secret()))
    assert isinstance(look.failure, errors.Unsuccessful)
    assert "cannot read secret vault/creds: GET secrets: 403" in story.problem()
    assert story.driver.calls == []


async def test_a_secret_that_cannot_be_read_now_is_tried_again_and_nothing_is_told(
    story: Story,
) -> None:
    """1-5, where the API server does not answer: nothing is wrong with the content."""
    story.writer.secrets_fail = errors.Unavailable("no answer")
    await story.start()
    [look] = await story.add(objects.content(metadata__annotations=naming_secret()))
    assert look.failure is story.writer.secrets_fail
    assert (story.problem(), story.events(), story.driver.calls) == ("", [], [])
    story.writer.secrets_fail = None
    story.api.put(secret(password="open sesame"))
    await story.look()
    assert story.content().ready


@pytest.mark.parametrize(("name", "namespace"), [("", "vault"), ("creds", "")])
async def test_an_empty_reference_to_a_secret_is_told(
    story: Story, name: str, namespace: str
) -> None:
    await story.start()
    await story.add(objects.content(metadata__annotations=naming_secret(name, namespace)))
    assert "must not be empty" in story.problem()
    assert story.driver.calls == []


@pytest.mark.parametrize("there", [True, False])
async def test_a_content_whose_class_is_missing_waits_for_it(*, story: Story, there: bool) -> None:
    """1-6: no class of this name, or none named."""
    await story.start()
    name = "silver" if there else None
    [look] = await story.add(objects.content(spec__volume_snapshot_class_name=name))
    assert look.failure is None  # no timer: the class that comes wakes it
    assert look.after is None
    assert "without a snapshot class" in story.problem()
    assert [reason for reason, _ in story.events()] == ["SnapshotCreationFailed"]
    assert story.driver.calls == []
    await story.add(objects.class_("silver"))
    assert story.content().ready is there


async def test_parameters_of_ours_are_not_the_drivers(story: Story) -> None:
    ours = dict.fromkeys(sorted(names.KNOWN_PARAMETERS), "x")
    story.api.put(objects.class_(parameters={**ours, "tier": "fast", "csi.storage.k8s.ioo": "y"}))
    await story.start()
    await story.add(objects.content())
    [sent] = story.driver.requests
    assert dict(sent.parameters) == {"tier": "fast", "csi.storage.k8s.ioo": "y"}


async def test_an_unknown_parameter_of_ours_is_refused_before_any_call_or_mark(
    story: Story,
) -> None:
    """The reference leaves its mark behind here."""
    story.api.put(objects.class_(parameters={"csi.storage.k8s.io/snapshoter-secret-name": "x"}))
    await story.start()
    await story.add(objects.content())
    assert "unknown parameter key 'csi.storage.k8s.io/snapshoter-secret-name'" in story.problem()
    assert story.driver.calls == []
    assert not story.marked()
    await story.add(objects.class_(parameters={"tier": "fast"}))
    assert story.content().ready


async def test_the_driver_is_told_who_the_snapshot_is_for_where_asked_to(story: Story) -> None:
    story.api.put(objects.class_(parameters={"tier": "fast"}))
    await story.start(extra_create_metadata=True)
    await story.add(objects.content())
    [sent] = story.driver.requests
    assert dict(sent.parameters) == {
        "tier": "fast",
        "csi.storage.k8s.io/volumesnapshot/name": "snap",
        "csi.storage.k8s.io/volumesnapshot/namespace": "ns",
        "csi.storage.k8s.io/volumesnapshotcontent/name": "snapcontent-uid-1",
    }


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (-1, "cut-1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        (32, "cut-1b4e28ba2fa111d2883f0016d3cca427"),
        (10, "cut-1b4e28ba2f"),
        (0, "cut-"),
    ],
)
async def test_the_name_is_the_prefix_and_as_much_of_the_uid_as_asked_for(
    story: Story, length: int, expected: str
) -> None:
    await story.start(name_prefix="cut", name_uuid_length=length)
    uid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    await story.add(objects.content(spec__volume_snapshot_ref__uid=uid))
    [sent] = story.driver.requests
    assert sent.name == expected


async def test_a_content_without_its_finalizer_is_not_cut_before_it_has_it(story: Story) -> None:
    await story.start()
    await story.add(objects.content(metadata__finalizers=()))
    assert story.driver.calls == []
    await story.add(objects.content())
    assert story.content().ready
