"""`--feature-gates`: how it is read, what a gate that is off leaves alone, and flags beside it."""

from collections.abc import Callable
from pathlib import Path

import beside_driver
import objects
import pytest
import scripted_driver
import scripted_groups
import simulated
import structlog

from snapshotd import errors, settings
from snapshotd.actors import ports, roles
from snapshotd.app import controller, gates, process, sidecar
from snapshotd.cli import flags
from snapshotd.csi import connection, driver
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches

OFF = settings.Features(feature_gates="CSIVolumeGroupSnapshot=false")
GROUPS = {kind for kind in keys.Kind if kind.startswith("VolumeGroupSnapshot")}
Group = type[settings.Controller] | type[settings.Sidecar]


def wanted(text: str) -> bool:
    return gates.groups_wanted(settings.Features(feature_gates=text))


@pytest.mark.parametrize(
    ("value", "on"),
    [
        *((each, True) for each in ("true", "True", "TRUE", "t", "T", "1")),
        *((each, False) for each in ("false", "False", "FALSE", "f", "F", "0")),
    ],
)
def test_a_value_is_what_go_takes_for_a_boolean(value: str, *, on: bool) -> None:
    assert wanted(f"CSIVolumeGroupSnapshot={value}") is on


@pytest.mark.parametrize(
    "text", ["", ",", " , ", "ReleaseLeaderElectionOnExit=true", "ReleaseLeaderElectionOnExit=0"]
)
def test_groups_are_on_where_nothing_is_said_of_them(text: str) -> None:
    assert wanted(text)


@pytest.mark.parametrize(
    "text",
    [
        " CSIVolumeGroupSnapshot = false ",
        "ReleaseLeaderElectionOnExit=true, CSIVolumeGroupSnapshot=false,",
        "CSIVolumeGroupSnapshot=true,CSIVolumeGroupSnapshot=false",
    ],
)
def test_spaces_and_other_gates_do_not_matter_and_the_last_word_counts(text: str) -> None:
    assert not wanted(text)


@pytest.mark.parametrize(
    "part",
    [
        "CSIVolumeGroupSnapshot",
        "CSIVolumeGroupSnapshot=",
        "CSIVolumeGroupSnapshot=maybe",
        "CSIVolumeGroupSnapshot:false",
        "CSIVolumeGroupSnapshot=false=true",
        "=true",
    ],
)
def test_what_is_no_gate_is_told_with_how_to_write_one(part: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        wanted(f"ReleaseLeaderElectionOnExit=true,{part}")
    assert f"{part!r} is no gate: write CSIVolumeGroupSnapshot=true" in str(caught.value)


def test_a_name_that_is_not_known_is_warned_of_once_and_harms_nothing() -> None:
    """The reference takes every gate of Kubernetes' API server: its manifests go on working."""
    with structlog.testing.capture_logs() as logs:
        assert not wanted("AllBeta=true,CSIVolumeGroupSnapshot=false")
    (told,) = logs
    assert (told["log_level"], told["event"], told["gate"]) == (
        "warning",
        "gate_unknown",
        "AllBeta",
    )
    assert told["known"] == ["CSIVolumeGroupSnapshot", "ReleaseLeaderElectionOnExit"]


@pytest.mark.parametrize(
    "make",
    [
        lambda features, shared: controller.Controller(
            settings.Controller(features=features), shared
        ),
        lambda features, shared: sidecar.Sidecar(settings.Sidecar(features=features), shared),
    ],
    ids=["controller", "sidecar"],
)
async def test_a_role_refuses_a_bad_gate_before_anything_runs(
    make: Callable[[settings.Features, process.Shared], process.RoleProcess],
) -> None:
    with pytest.raises(errors.Misconfigured, match="is no gate"):
        make(settings.Features(feature_gates="on"), process.Shared())


@pytest.mark.parametrize(
    ("features", "watched", "served"),
    [(settings.Features(), GROUPS, True), (OFF, {keys.Kind.VOLUME_GROUP_SNAPSHOT}, False)],
)
async def test_a_controller_without_groups_sees_them_alone_so_that_no_member_goes(
    *, features: settings.Features, watched: set[keys.Kind], served: bool
) -> None:
    made = controller.Controller(settings.Controller(features=features), process.Shared())
    scopes = list(await made.scopes())
    assert {each.kind for each in scopes if each.optional} == watched
    assert bool(GROUPS & set(made.kinds)) is served


@pytest.mark.parametrize(("features", "open_"), [(settings.Features(), 2), (OFF, 0)])
async def test_a_controller_times_groups_only_where_it_serves_them(
    features: settings.Features, open_: int
) -> None:
    shared = process.Shared()
    made = controller.Controller(settings.Controller(features=features), shared)
    cache = caches.Store[wire.Object](roles.CLUSTER_INDEXES)
    writer = beside_driver.Writer(simulated.Api(), beside_driver.Points())
    world = ports.World(writer, beside_driver.Recorder(), shared.time)
    made.build(cache, {kind: simulated.Waiting() for kind in made.kinds}, world).start()
    cache.put(objects.group())
    registry = shared.meters.registry
    assert registry.get_sample_value("snapshot_controller_operations_in_flight") == open_


@pytest.mark.parametrize(
    ("features", "served"), [(settings.Features(), True), (OFF, False)], ids=["on", "off"]
)
async def test_a_sidecar_without_groups_asks_and_watches_nothing_about_them(
    *, features: settings.Features, served: bool, socket: Path, link: connection.Connection
) -> None:
    server = await scripted_driver.serve(scripted_groups.scripted(), socket)
    made = sidecar.Sidecar(settings.Sidecar(features=features), process.Shared())
    made._driver = driver.Driver(link)
    asked: list[str] = []
    link.observe = lambda method, *_: asked.append(method)
    await link.ready(10)
    made._policy = await made._meet()
    await server.stop(None)
    assert made._policy.can_group is served
    assert any("GroupController" in each for each in asked) is served
    watched = {each.kind for each in await made.scopes()}
    assert bool(GROUPS & watched) is served
    assert bool(GROUPS & set(made.kinds)) is served


@pytest.mark.parametrize("group", [settings.Controller, settings.Sidecar])
def test_the_gates_are_a_flag_of_both_roles(group: Group) -> None:
    made = flags.parser("role", group, description="", epilog="")
    given = flags.parse(made, ["--feature-gates=CSIVolumeGroupSnapshot=false"])
    assert flags.read(group, given, {}).features == OFF
    told = {"SNAPSHOTD_FEATURE_GATES": OFF.feature_gates}
    assert flags.read(group, flags.parse(made, []), told).features == OFF
    assert flags.read(group, flags.parse(made, []), {}).features == settings.Features()


def test_the_names_of_groups_at_the_driver_are_flags_of_the_sidecar() -> None:
    made = flags.parser("sidecar", settings.Sidecar, description="", epilog="")
    words = ["--groupsnapshot-name-prefix=together", "-groupsnapshot-name-uuid-length=8"]
    csi = flags.read(settings.Sidecar, flags.parse(made, words), {}).csi
    assert (csi.groupsnapshot_name_prefix, csi.groupsnapshot_name_uuid_length) == ("together", 8)
    assert settings.Csi().groupsnapshot_name_prefix == "groupsnapshot"  # the reference's
    assert settings.Csi().groupsnapshot_name_uuid_length == -1


@pytest.mark.parametrize("group", [settings.Controller, settings.Sidecar])
def test_no_flag_that_has_an_effect_is_said_to_have_none(group: Group) -> None:
    """argparse would refuse the second of two of one name, but only where both are added."""
    made = flags.parser("role", group, description="", epilog="")
    assert made._option_string_actions.keys().isdisjoint(f"--{each}" for each in settings.ACCEPTED)
    flags.accept(made)
    given = flags.parse(made, ["--feature-gates=a=1", "--vmodule=a=1"])
    assert list(flags.ignored(given)) == ["vmodule"]
