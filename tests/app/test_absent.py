"""A role whose API server does not have the kinds of groups: told once, and in full."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import scripted
import structlog
from aiohttp import test_utils, web

from snapshotd import settings
from snapshotd.app import controller, process
from snapshotd.kube import reflector
from snapshotd.model import keys, wire
from snapshotd.runtime import clock
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

OF_GROUPS = [
    keys.Kind.VOLUME_GROUP_SNAPSHOT,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS,
]
NOT_SERVED = "the API server does not serve it; it is asked again now and then"
FORBIDDEN = "403 Forbidden: no; it is asked again now and then"


def watches(absent: dict[keys.Kind, str]) -> list[reflector.Reflector]:
    """Reflectors that have found out, and are not run."""
    made = []
    for kind in (keys.Kind.VOLUME_SNAPSHOT, *OF_GROUPS):
        each = reflector.Reflector(
            None,  # type: ignore[arg-type] # nothing is asked
            reflector.Scope(kind, optional=kind in OF_GROUPS),
            store=caches.Store[wire.Object](),
            clock=clock.SystemClock(),
            meters=metrics.Metrics(),
        )
        each.absent = absent.get(kind, "")
        made.append(each)
    return made


@contextmanager
def warnings() -> Iterator[list[Any]]:
    found: list[Any] = []
    with structlog.testing.capture_logs() as logs:
        yield found
    found += [each for each in logs if each["event"] == "goes_on_without"]


async def test_all_kinds_that_are_absent_are_told_in_one_warning_with_advice() -> None:
    with warnings() as told:
        process._tell_absent(watches(dict.fromkeys(OF_GROUPS, NOT_SERVED)))
    (entry,) = told
    assert entry["log_level"] == "warning"
    assert entry["kinds"] == [str(kind) for kind in OF_GROUPS]
    assert entry["why"] == NOT_SERVED
    assert "kubectl apply -k config/crd" in entry["advice"]
    assert "without a restart" in entry["advice"]
    assert "--feature-gates=CSIVolumeGroupSnapshot=false" in entry["advice"]


async def test_every_reason_is_told_and_none_twice() -> None:
    first, second, third = OF_GROUPS
    with warnings() as told:
        process._tell_absent(watches({first: NOT_SERVED, second: FORBIDDEN, third: NOT_SERVED}))
    assert told[0]["why"] == f"{NOT_SERVED}; {FORBIDDEN}"


async def test_where_nothing_is_absent_nothing_is_told() -> None:
    with warnings() as told:
        process._tell_absent(watches({}))
    assert told == []


async def answer(request: web.Request) -> web.Response:
    """Serve empty lists, and nothing of groups."""
    if "groupsnapshot.storage.k8s.io" in request.path:
        return web.json_response(scripted.status(404, "NotFound"), status=404)
    if "watch" in request.query:
        return web.json_response(scripted.status(422, "Invalid"), status=422)
    return web.json_response(scripted.listing(5))


@pytest.mark.parametrize(("gates", "times"), [("", 1), ("CSIVolumeGroupSnapshot=false", 0)])
async def test_a_controller_starts_without_group_kinds_and_tells_of_them_if_it_wants_them(
    tmp_path: Path, gates: str, times: int
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        path = tmp_path / "kubeconfig"
        url = f"http://127.0.0.1:{server.port}"
        path.write_text(json.dumps(scripted.kubeconfig(url, {"token": "t"})))
        values = settings.Controller(
            api=settings.Api(kubeconfig=str(path)), features=settings.Features(gates)
        )
        made = controller.Controller(values, process.Shared())
        with warnings() as told:
            async with anyio.create_task_group() as group:
                with anyio.fail_after(20):
                    await group.start(made.run)
                group.cancel_scope.cancel()
    assert len(told) == times
