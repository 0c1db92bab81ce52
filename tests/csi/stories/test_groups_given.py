"""A content made by hand for a group that exists (reference: GetGroupSnapshotStatus)."""

import grpc
import objects
import pytest
from beside_driver import GroupStory, secret

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.model import groups, meta, names

CHECKED = "Failed to check and update group snapshot content"
PARAMETERS = {
    names.GROUP_GET_SECRET_NAME_PARAMETER: "${volumegroupsnapshotcontent.name}-get",
    names.GROUP_GET_SECRET_NAMESPACE_PARAMETER: "vault",
}
REF = meta.ObjectReference(namespace="ns", name="all")


def given(handle: str, **fields: object) -> groups.VolumeGroupSnapshotContent:
    """Return a content for a group of two, not bound yet."""
    handles = groups.GroupHandles(handle, (f"{handle}/vol-a", f"{handle}/vol-b"))
    base = {
        "metadata__finalizers": (),
        "spec__source": groups.GroupContentSource(group_snapshot_handles=handles),
        "spec__volume_group_snapshot_ref": REF,
        "spec__volume_group_snapshot_class_name": None,
    }
    made: groups.VolumeGroupSnapshotContent = objects.group_content(**{**base, **fields})
    return made


BOUND = {
    "metadata__finalizers": (names.GROUP_CONTENT_FINALIZER,),
    "spec__volume_group_snapshot_ref": objects.changed(REF, uid="uid-7"),
}


@pytest.fixture
def handle(grouped: GroupStory) -> str:
    """A group that nobody cut through us."""
    return grouped.driver.cut_group("by-hand", "vol-a", "vol-b")


@pytest.mark.parametrize("fields", [{}, BOUND], ids=["free", "bound"])
async def test_its_state_is_the_drivers_word(
    grouped: GroupStory, handle: str, fields: dict[str, object]
) -> None:
    await grouped.start()
    looks = await grouped.add(given(handle, **fields))
    told = [
        groups.MemberInfo(each, f"{handle}/{each}", 10**18, ready_to_use=True, restore_size=1 << 30)
        for each in ("vol-a", "vol-b")
    ]
    assert grouped.content().status == groups.GroupContentStatus(
        volume_group_snapshot_handle=handle,
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        volume_snapshot_info_list=tuple(told),
    )
    assert grouped.driver.calls == ["GetVolumeGroupSnapshot"]
    assert looks[-1].after is None
    [sent] = grouped.driver.requests
    assert isinstance(sent, csi_pb2.GetVolumeGroupSnapshotRequest)
    assert (sent.group_snapshot_id, dict(sent.secrets)) == (handle, {})
    assert list(sent.snapshot_ids) == [f"{handle}/vol-a", f"{handle}/vol-b"]


async def test_one_that_is_not_ready_is_polled(grouped: GroupStory, handle: str) -> None:
    grouped.driver.looks_until_ready = 1
    await grouped.start()
    [look] = await grouped.add(given(handle))
    assert look.after == 2.0
    assert not grouped.content().ready
    assert (await grouped.look()).after is None
    assert grouped.content().ready
    assert grouped.driver.calls == 2 * ["GetVolumeGroupSnapshot"]


async def test_the_get_secret_of_its_class_goes_along_and_is_waited_for(
    grouped: GroupStory, handle: str
) -> None:
    grouped.api.put(objects.group_class(parameters=PARAMETERS))
    await grouped.start()
    named = {"spec__volume_group_snapshot_class_name": "grouped"}
    [look] = await grouped.add(given(handle, **named))
    assert isinstance(look.failure, errors.Unsuccessful)
    told = f"{CHECKED}: secret vault/groupsnapcontent-uid-7-get does not exist"
    assert grouped.problem() == told
    assert grouped.events() == [("GroupSnapshotContentCheckandUpdateFailed", told)]
    assert grouped.driver.calls == []
    grouped.api.put(secret("groupsnapcontent-uid-7-get", password="open sesame"))
    await grouped.look()
    [sent] = grouped.driver.requests
    assert dict(sent.secrets) == {"password": "open sesame"}
    assert grouped.content().ready


async def test_a_get_secret_that_is_named_by_half_is_told_and_a_mended_class_wakes_it(
    grouped: GroupStory, handle: str
) -> None:
    half = {names.GROUP_GET_SECRET_NAME_PARAMETER: "x"}
    grouped.api.put(objects.group_class(parameters=half))
    await grouped.start()
    named = {"spec__volume_group_snapshot_class_name": "grouped"}
    [look] = await grouped.add(given(handle, **named))
    assert look.failure is None
    assert "Both must be specified" in grouped.problem()
    await grouped.add(objects.group_class())
    assert grouped.content().ready
    assert grouped.problem() == ""


async def test_a_group_that_does_not_exist_is_told_and_asked_for_again(
    grouped: GroupStory,
) -> None:
    await grouped.start()
    [look] = await grouped.add(given("by-hand#1"))
    told = f"{CHECKED}: can not find group snapshot for groupSnapshotID by-hand#1"
    assert isinstance(look.failure, errors.Unsuccessful)
    assert grouped.problem() == told
    assert grouped.events() == [("GroupSnapshotContentCheckandUpdateFailed", told)]
    grouped.driver.cut_group("by-hand", "vol-a", "vol-b")
    await grouped.look()
    assert grouped.content().ready
    assert grouped.problem() == ""


async def test_a_list_that_is_not_the_groups_is_told_and_nothing_is_cut(
    grouped: GroupStory, handle: str
) -> None:
    wrong = groups.GroupHandles(handle, (f"{handle}/vol-a",))
    await grouped.start()
    source = groups.GroupContentSource(group_snapshot_handles=wrong)
    await grouped.add(given(handle, spec__source=source))
    assert grouped.problem().startswith(f"{CHECKED}: INVALID_ARGUMENT")
    await grouped.look()
    assert grouped.driver.calls == 2 * ["GetVolumeGroupSnapshot"]


@pytest.mark.parametrize(
    "code",
    [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK],
    ids=lambda code: code.name,
)
async def test_a_question_that_fails_never_marks_nor_cuts(
    grouped: GroupStory, handle: str, code: grpc.StatusCode
) -> None:
    await grouped.start()
    grouped.driver.fail("GetVolumeGroupSnapshot", code)
    [look] = await grouped.add(given(handle))
    assert isinstance(look.failure, errors.Unsuccessful)
    assert not grouped.marked()
    await grouped.look()
    assert grouped.content().ready
    assert grouped.driver.calls == 2 * ["GetVolumeGroupSnapshot"]


async def test_a_driver_without_groups_is_told_of(grouped: GroupStory, handle: str) -> None:
    grouped.driver.group_able = []
    await grouped.start()
    await grouped.add(given(handle))
    assert grouped.problem().startswith(f"{CHECKED}: the driver {objects.DRIVER} cannot")
    assert grouped.driver.calls == []


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("policy", [names.DELETE, names.RETAIN])
async def test_a_given_group_goes_or_stays_by_the_policy(
    *, grouped: GroupStory, handle: str, policy: str, told: bool
) -> None:
    content = given(handle, **BOUND, spec__deletion_policy=policy)
    if told:
        await grouped.start()
        await grouped.add(content)
        await grouped.delete()
    else:
        grouped.api.put(content)
        grouped.mark_for_deletion()
        grouped.api.delete(grouped.about)
        await grouped.start()
        await grouped.settle()
    assert grouped.gone()
    assert list(grouped.driver.groups) == ([] if policy == names.DELETE else [handle])
    assert len(grouped.driver.kept) == (0 if policy == names.DELETE else 2)


@pytest.mark.parametrize("policy", [names.DELETE, names.RETAIN])
async def test_a_given_group_that_was_never_bound_goes_unmarked_and_stays_on_storage(
    grouped: GroupStory, handle: str, policy: str
) -> None:
    finalizers = (names.GROUP_CONTENT_FINALIZER,)
    grouped.api.put(given(handle, metadata__finalizers=finalizers, spec__deletion_policy=policy))
    await grouped.start()
    await grouped.delete(marked=False)
    assert grouped.gone()
    assert list(grouped.driver.groups) == [handle]


async def test_a_given_group_that_names_no_members_is_kept_until_it_is_to_be_retained(
    grouped: GroupStory, handle: str
) -> None:
    nameless = groups.GroupContentSource(group_snapshot_handles=groups.GroupHandles(handle, ()))
    await grouped.start()
    await grouped.add(given(handle, **BOUND, spec__source=nameless))
    assert "No snapshots found in the group snapshot" in grouped.problem()
    looks = await grouped.delete()
    assert looks[-1].failure is None
    assert not grouped.gone()
    [(reason, message)] = grouped.events()[1:]
    assert reason == "GroupSnapshotDeleteError"
    assert message.startswith("Failed to delete group snapshot: No snapshots found in the group")
    assert grouped.driver.calls == []
    kept = objects.changed(grouped.content(), spec__deletion_policy=names.RETAIN)
    await grouped.add(kept)
    assert grouped.gone()
    assert list(grouped.driver.groups) == [handle]
