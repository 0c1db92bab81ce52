"""What a status comes to say of a driver's answer: all of it, nothing twice, and nothing lost."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd.decide import intents, outcomes, reports
from snapshotd.model import groups, snapshots

UNSET = msgspec.UNSET
LIST = objects.GROUP_STATUS.volume_snapshot_info_list
CUT = objects.cut_group_content()
MEMBER = objects.content(spec__source=snapshots.VolumeSnapshotContentSource("vol-a"))


def member(name: str, **fields: Any) -> outcomes.SnapshotInfo:
    info = outcomes.SnapshotInfo(
        f"handle-{name}", f"vol-{name}", creation_time=10**18, size=1 << 30, ready=True
    )
    made: outcomes.SnapshotInfo = objects.changed(info, **fields)
    return made


def told(*members: outcomes.SnapshotInfo, ready: bool = True) -> outcomes.GroupInfo:
    return outcomes.GroupInfo("group", creation_time=10**18, ready=ready, members=members)


BOTH = told(member("a"), member("b"))


def of_group(
    info: outcomes.GroupInfo, *noted: groups.MemberInfo, **status: Any
) -> intents.GroupContentStatusChange | None:
    """Report on a group that is cut and not ready, of which these members are noted."""
    base = {"ready_to_use": False, "volume_snapshot_info_list": noted, **status}
    content = objects.group_content(status=objects.changed(objects.GROUP_STATUS, **base))
    return reports.of_group(content, info, objects.NOW)


def members(change: intents.GroupContentStatusChange | None) -> tuple[groups.MemberInfo, ...]:
    assert change is not None
    assert isinstance(change.volume_snapshot_info_list, tuple)
    return change.volume_snapshot_info_list


def test_a_first_answer_is_told_in_full() -> None:
    change = reports.of_group(objects.group_content(), BOTH, objects.NOW)
    assert change == intents.GroupContentStatusChange(
        volume_group_snapshot_handle="group",
        creation_time="2001-09-09T01:46:40Z",
        ready_to_use=True,
        volume_snapshot_info_list=LIST,
    )


def test_times_that_the_driver_does_not_tell_are_now_and_stay() -> None:
    timeless = objects.changed(
        told(member("a", creation_time=None), ready=False), creation_time=None
    )
    change = reports.of_group(objects.group_content(), timeless, objects.NOW)
    assert change is not None
    assert change.creation_time == objects.NOW_TEXT
    assert members(change)[0].creation_time == int(objects.NOW * 1e9)
    later = reports.of_group(
        objects.group_content(
            status=groups.GroupContentStatus(
                "group",
                objects.NOW_TEXT,
                ready_to_use=False,
                volume_snapshot_info_list=members(change),
            )
        ),
        timeless,
        objects.NOW + 60,
    )
    assert later is None


@pytest.mark.parametrize("info", [BOTH, told(member("b"), member("a"))])
def test_an_answer_that_is_known_is_nothing_to_write_in_whatever_order(
    info: outcomes.GroupInfo,
) -> None:
    assert of_group(objects.changed(info, ready=False), *LIST) is None


def test_a_member_that_is_left_out_for_once_is_not_forgotten() -> None:
    """Deletion must name it: the driver refuses a list that is not whole."""
    assert of_group(told(member("b"), ready=False), *LIST) is None
    found = of_group(told(member("c"), ready=False), LIST[0])
    assert [each.snapshot_handle for each in members(found)] == ["handle-a", "handle-c"]


def test_a_member_is_listed_once_however_often_it_is_told_of() -> None:
    found = reports.of_group(
        objects.group_content(), told(member("a"), member("a"), member("b")), objects.NOW
    )
    assert members(found) == LIST


def test_sizes_and_readiness_are_kept_fresh_and_never_taken_back() -> None:
    early = groups.MemberInfo("vol-a", "handle-a", 10**18, ready_to_use=False)
    info = told(member("a"), member("b", ready=False, size=0), ready=False)
    assert members(of_group(info, early, LIST[1])) == LIST
    bigger = told(member("a", size=1 << 40, creation_time=5), ready=False)
    assert of_group(bigger, LIST[0]) is None


def test_all_members_are_ready_once_their_group_is() -> None:
    """CSI spec, VolumeGroupSnapshot.ready_to_use; nobody asks for them again."""
    slow = told(member("a", ready=False), member("b", ready=False))
    assert members(reports.of_group(objects.group_content(), slow, objects.NOW)) == LIST


def test_members_of_a_group_with_a_problem_are_ready_by_their_own_word() -> None:
    slow = told(member("a", ready=False), member("b"))
    change = reports.of_group(objects.group_content(), slow, objects.NOW, problem="bad")
    assert change is not None
    assert change.ready_to_use is False
    assert change.error == snapshots.SnapshotError(time=objects.NOW_TEXT, message="bad")
    assert [each.ready_to_use for each in members(change)] == [False, True]


def test_a_volume_that_a_poll_does_not_tell_is_known_from_before() -> None:
    info = told(member("a", source_volume=""), member("b", source_volume=""), ready=False)
    assert of_group(info, *LIST) is None
    assert reports.missing(CUT, info) == ""
    assert members(of_group(info))[0].volume_handle is None


def test_volumes_without_a_snapshot_are_named() -> None:
    assert reports.missing(CUT, BOTH) == ""
    content = objects.group_content(
        spec__source=groups.GroupContentSource(("vol-a", "vol-b", "vol-c"))
    )
    assert reports.missing(content, told(member("b"))) == (
        "the driver's group snapshot group is not whole: it has no snapshot of volume vol-a, "
        "vol-c; delete the VolumeGroupSnapshot, and take another"
    )
    given = groups.GroupContentSource(group_snapshot_handles=groups.GroupHandles("group", ("x",)))
    assert reports.missing(objects.group_content(spec__source=given), told()) == ""


def test_an_error_goes_with_the_answer_that_refutes_it() -> None:
    change = of_group(objects.changed(BOTH, ready=False), *LIST, error=objects.ERROR)
    assert change == intents.GroupContentStatusChange(error=None)
    wordless = snapshots.SnapshotError(time=objects.NOW_TEXT)
    assert of_group(objects.changed(BOTH, ready=False), *LIST, error=wordless) is None


# On its way out


def test_a_group_that_is_found_is_noted_with_all_its_members() -> None:
    change = reports.of_found_group(objects.group_content(), BOTH)
    assert change == intents.GroupContentStatusChange(
        volume_group_snapshot_handle="group", volume_snapshot_info_list=LIST
    )


def test_members_noted_under_the_same_handle_are_added_to() -> None:
    part = objects.changed(objects.GROUP_STATUS, volume_snapshot_info_list=LIST[:1])
    content = objects.group_content(status=part)
    change = reports.of_found_group(content, told(member("b")))
    assert change == intents.GroupContentStatusChange(volume_snapshot_info_list=LIST)
    assert reports.of_found_group(content, told(member("a"))) is None


def test_members_noted_under_no_handle_were_deleted_with_their_group() -> None:
    """The reference clears the handle after a deletion, and leaves the list."""
    cleared = groups.GroupContentStatus(
        volume_snapshot_info_list=(groups.MemberInfo("vol-a", "old-a"),)
    )
    change = reports.of_found_group(objects.group_content(status=cleared), BOTH)
    assert members(change) == LIST


# Members


@pytest.mark.parametrize(
    ("cut", "info", "ready"),
    [
        (CUT, LIST[0], True),
        (CUT, objects.changed(LIST[0], ready_to_use=False), True),
        (objects.changed(CUT, status__ready_to_use=False), LIST[0], True),
        (
            objects.changed(CUT, status__ready_to_use=False),
            objects.changed(LIST[0], ready_to_use=False),
            False,
        ),
    ],
)
def test_a_member_tells_what_its_groups_content_tells(
    cut: groups.VolumeGroupSnapshotContent, info: groups.MemberInfo, *, ready: bool
) -> None:
    change = reports.of_member(MEMBER, cut, info)
    assert change == intents.ContentStatusChange(
        snapshot_handle="handle-a",
        creation_time=10**18,
        restore_size=1 << 30,
        ready_to_use=ready,
        volume_group_snapshot_handle="group",
    )


def test_what_a_member_tells_already_is_not_written_again() -> None:
    status = objects.changed(
        objects.STATUS, snapshot_handle="handle-a", volume_group_snapshot_handle="group"
    )
    assert reports.of_member(objects.content(status=status), CUT, LIST[0]) is None
    failed = objects.content(status=objects.changed(status, error=objects.ERROR))
    cleared = intents.ContentStatusChange(error=None)
    assert reports.of_member(failed, CUT, LIST[0]) == cleared


def test_what_is_not_known_of_a_member_is_not_written() -> None:
    bare = groups.MemberInfo("vol-a")
    nameless = objects.group_content()
    assert reports.of_member(MEMBER, nameless, bare) == intents.ContentStatusChange(
        ready_to_use=False
    )
