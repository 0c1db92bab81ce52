"""The page and its data, over HTTP and in a browser."""

import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import browser
import msgspec
import pytest

from snapshotd import errors
from snapshotd.telemetry import endpoint as endpoints
from snapshotd.telemetry import metrics, statusz

NOON = 1_700_000_000.0
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>&amp;"


def role(**more: Any) -> statusz.Role:
    return statusz.Role("controller", "leading", "2023-11-14T22:13:00Z", **more)


class Site:
    """An endpoint with a board."""

    def __init__(self) -> None:
        self.health = endpoints.Health()
        self.board = statusz.Board("1.2.3", now=lambda: NOON)
        self.endpoint = endpoints.Endpoint(
            endpoints.Address("127.0.0.1", 0),
            registry=metrics.Metrics().registry,
            health=self.health,
            board=self.board,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.endpoint.port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with anyio.create_task_group() as group:
            await group.start(self.endpoint.run)
            async with aiohttp.ClientSession(self.url) as session:
                yield session
            group.cancel_scope.cancel()


@pytest.fixture
def site() -> Site:
    return Site()


async def test_the_data_has_the_documented_shape(site: Site) -> None:
    site.board.add("controller", lambda: role(queues=[statusz.Queue("q", 1, 2, 3)]))
    site.health.add_ready("driver", lambda: "gone")
    site.health.add_ready("caches", lambda: None)

    async with site.open() as session, session.get("/statusz.json") as answer:
        assert answer.content_type == "application/json"
        body = await answer.read()
    status = msgspec.json.decode(body, type=statusz.Status)
    assert (status.version, status.at) == ("1.2.3", "2023-11-14T22:13:20Z")
    assert status.problems == {"driver": "gone"}
    assert status.roles == [role(queues=[statusz.Queue("q", 1, 2, 3)])]


async def test_the_page_may_load_run_and_send_nothing_but_its_own(site: Site) -> None:
    async with site.open() as session, session.get("/statusz") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    rules = dict(each.split(" ", 1) for each in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        inline = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        hashed = [base64.b64encode(hashlib.sha256(each.encode()).digest()) for each in inline]
        assert rules[f"{kind}-src"] == " ".join(f"'sha256-{each.decode()}'" for each in hashed)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    assert "innerHTML" not in text
    assert not re.search(r"\s(?:style|on\w+)=", text)


async def test_nothing_that_is_shown_can_leave_the_data(site: Site) -> None:
    site.board.add("controller", lambda: role(lease=HOSTILE))

    async with site.open() as session, session.get("/statusz") as answer:
        text = await answer.text()
    assert HOSTILE not in text
    data = text.partition('type="application/json">')[2].partition("</script>")[0]
    assert not set(data) & set("<>&")
    assert json.loads(data)["roles"][0]["lease"] == HOSTILE


async def test_a_role_that_cannot_be_read_keeps_no_other_from_being_shown(site: Site) -> None:
    def broken() -> statusz.Role:
        message = "a defect"
        raise LookupError(message)

    site.board.add("sidecar", broken)
    site.board.add("controller", role)

    status = site.board.status()
    assert [(each.name, each.state) for each in status.roles] == [
        ("sidecar", "unknown"),
        ("controller", "leading"),
    ]
    assert status.roles[0].failures[0].error == "cannot be shown: LookupError: a defect"


async def test_a_role_that_starts_anew_takes_the_place_of_the_one_before(site: Site) -> None:
    site.board.add("controller", lambda: role(waits=1))
    site.board.add("controller", lambda: role(waits=2))

    assert [each.waits for each in site.board.status().roles] == [2]


async def test_without_a_board_there_is_no_page() -> None:
    site = Site()
    site.endpoint = endpoints.Endpoint(
        endpoints.Address("127.0.0.1", 0), registry=metrics.Metrics().registry, health=site.health
    )
    async with site.open() as session, session.get("/statusz") as answer:
        assert answer.status == 404


def test_the_metrics_cannot_take_the_place_of_the_page(site: Site) -> None:
    with pytest.raises(errors.Misconfigured, match="--metrics-path"):
        endpoints.Endpoint(
            endpoints.Address("127.0.0.1", 0),
            registry=metrics.Metrics().registry,
            health=site.health,
            metrics_path="/statusz",
            board=site.board,
        )


async def test_a_browser_shows_hostile_names_as_text_and_runs_nothing_of_them(
    site: Site, tmp_path: Path
) -> None:
    waiting = statusz.Waiting(f"VolumeSnapshot {HOSTILE}", "waits", 75.0, why=HOSTILE)
    failure = statusz.Failure("2023-11-14T22:13:10Z", HOSTILE, "terminal", HOSTILE, 3, "ab12")
    site.board.add("controller", lambda: role(waiting=[waiting], failures=[failure]))

    async with site.open():
        dom = await browser.dom(tmp_path, f"{site.url}/statusz", seconds=1)
    assert "<title>controller · snapshotd</title>" in dom
    assert "<img" not in dom
    assert dom.count(html.escape(HOSTILE, quote=False)) == 4
    assert "1 min 15 s" in dom


async def test_a_browser_shows_what_has_changed_without_being_asked(
    site: Site, tmp_path: Path
) -> None:
    looks = 0

    def changing() -> statusz.Role:
        nonlocal looks
        looks += 1
        return role(lease=f"look-{looks}")

    site.board.add("controller", changing)

    async with site.open():
        dom = await browser.dom(tmp_path, f"{site.url}/statusz", seconds=7)
    assert looks >= 3
    assert f"lease look-{looks}" in dom


async def test_a_browser_says_so_when_there_is_no_answer_any_more(
    site: Site, tmp_path: Path
) -> None:
    looks = 0

    def breaking() -> statusz.Role:
        nonlocal looks
        looks += 1
        return role(lease="first" if looks == 1 else "\ud800")  # no JSON can hold that

    site.board.add("controller", breaking)

    async with site.open():
        dom = await browser.dom(tmp_path, f"{site.url}/statusz", seconds=4)
    assert "No answer (HTTP 500): this is how it was at 2023-11-14T22:13:20Z." in dom
    assert "lease first" in dom
