"""What `snapshotd explain` reads of a cluster, and that it goes on without what is not there."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import group_situations
import objects
import pytest
import scripted
from aiohttp import test_utils, web
from explained import GROUP, GROUP_CONTENT

from snapshotd import errors
from snapshotd.app.explain import command, facts, reading, walk
from snapshotd.kube import resources
from snapshotd.model import groups, keys, snapshots, volumes, wire

WHOLE: tuple[wire.Object, ...] = (
    group_situations.READY,
    objects.cut_group_content(),
    group_situations.CLASS,
    *group_situations.MEMBERS,
    *group_situations.CLAIMS,
    *group_situations.VOLUMES,
)
OF_GROUPS = frozenset(kind for kind in resources.RESOURCES if kind.startswith("VolumeGroup"))


class Cluster:
    """An API server that holds these objects, and answers otherwise for some kinds."""

    def __init__(
        self, held: Iterable[wire.Object], *, code: int = 404, without: Iterable[keys.Kind] = ()
    ) -> None:
        self.held = {resources.path_of(each.key): each for each in held}
        self.code = code
        self.without = [resources.of(kind).plural for kind in without]
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a GET of one object, or of a list."""
        path = request.path
        self.asked.append(path)
        if any(plural in path.split("/") for plural in self.without):
            return self._no(self.code)
        if path in self.held:
            return self._json(wire.encode(self.held[path]))
        plural = path.rpartition("/")[2]
        if plural == "csidrivers":
            return web.json_response({"items": [{"metadata": {"name": objects.DRIVER}}]})
        if plural not in {each.plural for each in resources.RESOURCES.values()}:
            return self._no(404)
        start, _, _ = path.rpartition("/")
        items = [
            json.loads(wire.encode(obj))
            for where, obj in self.held.items()
            if where.split("/")[-2] == plural and where.startswith(start)
        ]
        return self._json(json.dumps({"metadata": {}, "items": items}).encode())

    def _no(self, code: int) -> web.Response:
        told = scripted.status(code, "Forbidden" if code == 403 else "NotFound")
        return web.json_response(told, status=code)

    def _json(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def read_by(cluster: Cluster, folder: Path) -> AsyncIterator[reading.Reader]:
    """Give a reader of this cluster."""
    app = web.Application()
    app.router.add_get("/{path:.*}", cluster.answer)
    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        config = scripted.kubeconfig(f"http://127.0.0.1:{server.port}", {"token": "t"})
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        async with reading.connect(str(path)) as link:
            yield reading.Reader(link, objects.NOW)


async def test_a_group_is_read_with_its_content_volumes_and_members(tmp_path: Path) -> None:
    async with read_by(Cluster(WHOLE), tmp_path) as reader:
        await reader.about(GROUP)
    report = walk.group(reader.known, GROUP)
    assert report.verdict.told == "is ready to use"
    assert {each.told for each in report.members} == {"is ready to use"}
    assert len(report.members) == 2
    uncut: tuple[wire.Object, ...] = (group_situations.UNCUT, group_situations.CLASS)
    uncut += (*group_situations.CLAIMS, *group_situations.VOLUMES)
    async with read_by(Cluster(uncut), tmp_path) as reader:
        await reader.about(GROUP)
    assert not any(
        each.state is facts.State.PROBLEM and "persistentvolume" in each.told
        for each in walk.group(reader.known, GROUP).findings
    )
    assert reader.known.cache.count(keys.Kind.VOLUME) == 2


async def test_a_member_is_read_with_its_group_and_what_that_is_made_of(tmp_path: Path) -> None:
    held = (
        group_situations.TAKEN,
        group_situations.failed("disk on fire"),
        group_situations.CLASS,
        group_situations.member(0, status=None),
    )
    async with read_by(Cluster(held), tmp_path) as reader:
        await reader.about(group_situations.MEMBER)
    verdict = walk.snapshot(reader.known, group_situations.MEMBER).verdict
    assert verdict.told == "disk on fire"


async def test_a_group_content_is_read_with_its_group(tmp_path: Path) -> None:
    async with read_by(Cluster(WHOLE), tmp_path) as reader:
        await reader.about(GROUP_CONTENT)
    first = walk.content(reader.known, GROUP_CONTENT).findings[0]
    assert (first.about, first.told) == (str(GROUP), "has it")


async def test_a_members_content_is_read_with_the_group_that_it_was_cut_with(
    tmp_path: Path,
) -> None:
    content = group_situations.content(0, status=None)
    held = (
        group_situations.TAKEN,
        group_situations.failed("disk on fire"),
        group_situations.member(0, status=group_situations.NOT_YET),
        content,
    )
    async with read_by(Cluster(held), tmp_path) as reader:
        await reader.about(content.key)
    assert walk.content(reader.known, content.key).verdict.told == "disk on fire"


async def test_a_claim_is_read_with_the_groups_that_are_cut_from_it(tmp_path: Path) -> None:
    held: tuple[wire.Object, ...] = (
        group_situations.TAKEN,
        objects.group_content(),
        *group_situations.CLAIMS,
        *group_situations.VOLUMES,
    )
    claim = volumes.claim_key("ns", "claim-a")
    async with read_by(Cluster(held), tmp_path) as reader:
        await reader.about(claim)
    (finding,) = walk.claim(reader.known, claim).findings
    assert finding.told == "is protected as long as a snapshot is being cut from it: group all"


async def test_the_lease_of_a_driver_that_only_group_classes_name_is_looked_for(
    tmp_path: Path,
) -> None:
    cluster = Cluster((group_situations.UNCUT, group_situations.CLASS))
    async with read_by(cluster, tmp_path) as reader:
        await reader.about(GROUP)
    leases = resources.of(keys.Kind.LEASE).collection()
    assert cluster.asked.count(leases) == 2  # the controller's, and the sidecar's


async def test_everything_is_read_with_groups(tmp_path: Path) -> None:
    held = (
        group_situations.UNCUT,
        objects.cut_group_content(metadata__name="left"),
        objects.class_(),
    )
    async with read_by(Cluster(held), tmp_path) as reader:
        await reader.everything()
    assert [each.subject for each in walk.unsettled(reader.known)] == [
        "VolumeGroupSnapshot ns/all",
        "VolumeGroupSnapshotContent left",
    ]


@pytest.mark.parametrize("code", [403, 404])
async def test_a_cluster_without_groups_is_explained_as_ever(tmp_path: Path, code: int) -> None:
    held = (objects.ready_snapshot(), objects.ready_content(), objects.class_())
    cluster = Cluster(held, code=code, without=OF_GROUPS)
    async with read_by(cluster, tmp_path) as reader:
        key = objects.snapshot().key
        await reader.about(key)
        assert walk.snapshot(reader.known, key).verdict.state is facts.State.OK
        await reader.everything()
        assert list(walk.unsettled(reader.known)) == []
        await reader.about(GROUP)
    with pytest.raises(walk.NotThere) as caught:
        walk.group(reader.known, GROUP)
    told = {403: "cannot be read: ", 404: "does not serve volumegroupsnapshots"}[code]
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("one", keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "one")),
        ("vs/one", keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "one")),
        ("content/one", snapshots.content_key("one")),
        ("vsc/one", snapshots.content_key("one")),
        ("pvc/one", volumes.claim_key("ns", "one")),
        *(
            (f"{each}/one", groups.group_key("ns", "one"))
            for each in ("group", "vgs", "volumegroupsnapshot", "volumegroupsnapshots")
        ),
        *(
            (f"{each}/one", groups.group_content_key("one"))
            for each in (
                "groupcontent",
                "vgsc",
                "volumegroupsnapshotcontent",
                "volumegroupsnapshotcontents",
            )
        ),
    ],
)
def test_what_is_asked_about_is_spelled_as_kubectl_does(subject: str, key: keys.Key) -> None:
    assert command._asked(subject, "ns")[0] == key


@pytest.mark.parametrize("subject", ["odd/one", "group/", "/one", ""])
def test_what_is_no_subject_is_told_with_those_there_are(subject: str) -> None:
    with pytest.raises(errors.Misconfigured, match="groupcontent"):
        command._asked(subject, "")
