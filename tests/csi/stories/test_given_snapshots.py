"""A content made by hand for a snapshot that exists (reference: GetSnapshotStatus)."""

import grpc
import objects
import pytest
from beside_driver import Story, secret
from scripted_driver import GETS, LISTS

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.model import names, snapshots

GIVEN = snapshots.content_key("content")
PARAMETERS = {
    names.LIST_SECRET_NAME_PARAMETER: "${volumesnapshotcontent.name}-list",
    names.LIST_SECRET_NAMESPACE_PARAMETER: "vault",
}


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize(("able", "method"), [(LISTS, "ListSnapshots"), (GETS, "GetSnapshot")])
async def test_its_state_is_the_drivers_word(
    *, story: Story, able: int, method: str, bound: bool
) -> None:
    """Also before it is bound: whoever brings it may look at it first."""
    story.driver.keep("handle", size=7)
    story.driver.able.append(able)
    await story.start()
    uid = "uid-1" if bound else ""
    looks = await story.add(objects.given_content(spec__volume_snapshot_ref__uid=uid))
    assert story.content(GIVEN).status == snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="handle", creation_time=10**18, restore_size=7, ready_to_use=True
    )
    assert story.driver.calls == [method]
    assert looks[-1].after is None
    [sent] = story.driver.requests
    assert (sent.snapshot_id, dict(sent.secrets)) == ("handle", {})


async def test_one_that_is_not_ready_is_polled(story: Story) -> None:
    story.driver.keep("handle")
    story.driver.able.append(LISTS)
    story.driver.looks_until_ready = 2
    await story.start()
    [look] = await story.add(objects.given_content())
    assert look.after == 2.0
    status = story.content(GIVEN).status
    assert status is not None
    assert status.ready_to_use is False
    assert (await story.look(GIVEN)).after == 2.6
    assert (await story.look(GIVEN)).after is None
    assert story.content(GIVEN).ready
    assert story.driver.calls == 3 * ["ListSnapshots"]


async def test_the_list_secret_of_its_class_goes_along(story: Story) -> None:
    story.driver.keep("handle")
    story.driver.able.append(LISTS)
    story.api.put(secret("content-list", password="open sesame"))
    story.api.put(objects.class_(parameters=PARAMETERS))
    await story.start()
    await story.add(objects.given_content(spec__volume_snapshot_class_name="gold"))
    [sent] = story.driver.requests
    assert isinstance(sent, csi_pb2.ListSnapshotsRequest)
    assert dict(sent.secrets) == {"password": "open sesame"}
    assert story.content(GIVEN).ready


async def test_a_list_secret_that_is_missing_is_told(story: Story) -> None:
    story.driver.keep("handle")
    story.driver.able.append(LISTS)
    story.api.put(objects.class_(parameters=PARAMETERS))
    await story.start()
    [look] = await story.add(objects.given_content(spec__volume_snapshot_class_name="gold"))
    assert isinstance(look.failure, errors.Unsuccessful)
    assert "secret vault/content-list does not exist" in story.problem(GIVEN)
    assert story.driver.calls == []


async def test_a_list_secret_that_is_named_by_half_is_told_and_a_mended_class_wakes_it(
    story: Story,
) -> None:
    story.driver.keep("handle")
    story.driver.able.append(LISTS)
    half = {names.LIST_SECRET_NAME_PARAMETER: "x"}
    story.api.put(objects.class_(parameters=half))
    await story.start()
    [look] = await story.add(objects.given_content(spec__volume_snapshot_class_name="gold"))
    assert look.failure is None
    assert "Both must be specified" in story.problem(GIVEN)
    await story.add(objects.class_())
    assert story.content(GIVEN).ready
    assert story.problem(GIVEN) == ""


async def test_a_driver_that_cannot_be_asked_is_taken_at_its_owners_word(story: Story) -> None:
    await story.start()
    await story.add(objects.given_content())
    assert story.content(GIVEN).status == snapshots.VolumeSnapshotContentStatus(
        snapshot_handle="handle", creation_time=int(objects.NOW * 1e9), ready_to_use=True
    )
    assert story.driver.calls == []


@pytest.mark.parametrize("able", [LISTS, GETS])
async def test_a_handle_that_does_not_exist_is_told_and_asked_for_again(
    story: Story, able: int
) -> None:
    story.driver.able.append(able)
    await story.start()
    [look] = await story.add(objects.given_content())
    told = (
        "Failed to check and update snapshot content: can not find snapshot for snapshotID handle"
    )
    assert isinstance(look.failure, errors.Unsuccessful)
    assert story.problem(GIVEN) == told
    assert story.events() == [("SnapshotContentCheckandUpdateFailed", told)]
    assert not story.content(GIVEN).ready
    story.driver.keep("handle")
    story.driver.faults.clear()
    await story.look(GIVEN)
    assert story.content(GIVEN).ready
    assert story.problem(GIVEN) == ""


@pytest.mark.parametrize(
    "code",
    [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK],
    ids=lambda code: code.name,
)
async def test_a_question_that_fails_never_marks_nor_cuts(
    story: Story, code: grpc.StatusCode
) -> None:
    story.driver.keep("handle")
    story.driver.able.append(LISTS)
    await story.start()
    story.driver.fail("ListSnapshots", code)
    [look] = await story.add(objects.given_content())
    assert isinstance(look.failure, errors.Unsuccessful)
    assert names.BEING_CREATED_ANNOTATION not in story.content(GIVEN).metadata.annotations
    await story.look(GIVEN)
    assert story.content(GIVEN).ready
    assert story.driver.calls == 2 * ["ListSnapshots"]


async def test_what_is_ready_is_never_asked_for_again(story: Story) -> None:
    story.driver.able.append(LISTS)
    story.api.put(objects.given_content(status=objects.STATUS))
    await story.start()
    await story.settle()
    await story.look(GIVEN)
    assert story.driver.calls == []
    assert story.writer.done == []
