import json
import os
import ssl
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import scripted

from snapshotd import errors
from snapshotd.kube import credentials

URL = "http://127.0.0.1:1"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def put(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def load(
    path: Path | str, clock: scripted.Clock, environ: dict[str, str] | None = None
) -> credentials.Credentials:
    return await credentials.load(str(path), clock=clock, environ=environ or {})


async def test_a_token_is_sent(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL + "/", {"token": "t"}))

    found = await load(config, clock)

    assert found.host == URL
    assert await found.authorization() == "Bearer t"


async def test_a_name_and_password_are_sent(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL, {"username": "u", "password": "p"}))

    assert await (await load(config, clock)).authorization() == "Basic dTpw"


async def test_without_a_token_nothing_is_sent(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL, {}))

    assert await (await load(config, clock)).authorization() == ""


async def test_the_environment_names_the_kubeconfig(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL, {"token": "t"}))

    found = await load("", clock, {"KUBECONFIG": str(config), "KUBERNETES_SERVICE_HOST": "h"})

    assert found.host == URL


async def test_several_kubeconfigs_are_merged(
    config: Path, tmp_path: Path, clock: scripted.Clock
) -> None:
    whole = scripted.kubeconfig(URL, {"token": "t"})
    other = tmp_path / "users"
    put(config, {**whole, "users": []})
    put(other, {"users": whole["users"]})

    found = await load(os.pathsep.join([str(config), str(tmp_path / "absent"), str(other)]), clock)

    assert await found.authorization() == "Bearer t"


async def test_a_proxy_of_the_kubeconfig_is_taken(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL, {}, **{"proxy-url": "http://proxy:1"}))

    assert (await load(config, clock)).proxy == "http://proxy:1"


async def test_a_token_file_is_read_again(
    config: Path, tmp_path: Path, clock: scripted.Clock
) -> None:
    token = tmp_path / "token"
    put(token, "one\n")
    put(config, scripted.kubeconfig(URL, {"tokenFile": str(token)}))
    found = await load(config, clock)
    assert await found.authorization() == "Bearer one"

    put(token, "two\n")
    assert await found.authorization() == "Bearer one"
    clock.passed += 60
    assert await found.authorization() == "Bearer two"


async def test_a_token_file_that_is_away_for_a_moment_changes_nothing(
    config: Path, tmp_path: Path, clock: scripted.Clock
) -> None:
    token = tmp_path / "token"
    put(token, "one")
    put(config, scripted.kubeconfig(URL, {"tokenFile": str(token)}))
    found = await load(config, clock)
    remove(token)
    clock.passed += 60

    assert await found.authorization() == "Bearer one"


def plugin(folder: Path, expiry: str) -> dict[str, Any]:
    """An exec plugin that gives t1, t2, ... and counts its runs in a file."""
    program = folder / "plugin"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib\n"
        f"runs = pathlib.Path({str(folder / 'runs')!r})\n"
        "n = len(runs.read_text()) + 1 if runs.exists() else 1\n"
        "runs.write_text('x' * n)\n"
        f"status = {{'token': f't{{n}}'}}\n"
        f"if {expiry!r}: status['expirationTimestamp'] = {expiry!r}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',"
        " 'kind': 'ExecCredential', 'status': status}))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}}


@pytest.mark.parametrize(
    ("expiry", "later"),
    [("", "t1"), ("2099-01-01T00:00:00Z", "t1"), ("2001-01-01T00:00:00Z", "t2")],
)
async def test_an_exec_plugin_runs_again_when_its_token_ends(
    config: Path, clock: scripted.Clock, *, expiry: str, later: str
) -> None:
    put(config, scripted.kubeconfig(URL, plugin(config.parent, expiry)))
    found = await load(config, clock)
    assert await found.authorization() == "Bearer t1"

    clock.passed += 60

    assert await found.authorization() == f"Bearer {later}"


async def test_an_exec_plugin_runs_again_when_its_token_is_refused(
    config: Path, tmp_path: Path, clock: scripted.Clock
) -> None:
    put(config, scripted.kubeconfig(URL, plugin(tmp_path, "")))
    found = await load(config, clock)
    refused = await found.authorization()

    assert await found.renew(refused)
    assert await found.authorization() == "Bearer t2"
    assert await found.renew(refused)  # somebody else's request has renewed it already
    assert await found.authorization() == "Bearer t2"


async def test_a_plugin_whose_tokens_are_refused_is_not_run_for_each_request(
    config: Path, tmp_path: Path, clock: scripted.Clock
) -> None:
    put(config, scripted.kubeconfig(URL, plugin(tmp_path, "")))
    found = await load(config, clock)
    assert await found.renew(await found.authorization())

    for _ in range(5):
        assert not await found.renew("Bearer t2")
    assert await found.authorization() == "Bearer t2"

    clock.passed += 10
    assert await found.renew("Bearer t2")
    assert await found.authorization() == "Bearer t3"


async def test_an_exec_plugin_that_fails_is_misconfigured(
    config: Path, clock: scripted.Clock
) -> None:
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}
    put(config, scripted.kubeconfig(URL, {"exec": command}))

    with pytest.raises(errors.Misconfigured, match="cannot be used: exec: process returned 1"):
        await load(config, clock)


async def test_renewal_that_fails_keeps_what_there_is(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig(URL, {"token": "t"}))
    found = await load(config, clock)
    refused = await found.authorization()
    remove(config)

    assert not await found.renew(refused)
    assert await found.authorization() == "Bearer t"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "just text",
        {"kind": "Config"},
        {**scripted.kubeconfig(URL, {}), "current-context": "nope"},
        {**scripted.kubeconfig(URL, {}), "clusters": []},
        {**scripted.kubeconfig(URL, {}), "contexts": None},
        scripted.kubeconfig(URL, {"exec": {"command": "x"}}),
        scripted.kubeconfig("https://x", {}, **{"certificate-authority": "absent.crt"}),
        scripted.kubeconfig("https://x", {}, **{"certificate-authority-data": "bm90IGEgY2VydA=="}),
        scripted.kubeconfig("https://x", {}, **{"certificate-authority-data": "%%%"}),
    ],
)
async def test_a_broken_kubeconfig_is_misconfigured(
    config: Path, clock: scripted.Clock, content: Any
) -> None:
    put(config, content)

    with pytest.raises(errors.Misconfigured, match="cannot be used"):
        await load(config, clock)


async def test_what_is_wrong_is_told_without_secrets(config: Path, clock: scripted.Clock) -> None:
    whole = scripted.kubeconfig(URL, {"token": "hush"})
    put(config, {**whole, "users": [{"name": "u", "usr": {"token": "hush"}}]})

    with pytest.raises(errors.Misconfigured) as raised:
        await load(config, clock)
    assert "hush" not in str(raised.value)
    assert "Expected key user" in str(raised.value)


async def test_a_kubeconfig_that_is_not_there_is_named(clock: scripted.Clock) -> None:
    with pytest.raises(errors.Misconfigured, match="kubeconfig /absent does not exist: check"):
        await load("/absent", clock)


async def test_without_any_way_all_ways_are_named(tmp_path: Path, clock: scripted.Clock) -> None:
    with pytest.raises(errors.Misconfigured, match="give --kubeconfig, set KUBECONFIG, or run in"):
        await load("", clock, {"HOME": str(tmp_path)})


async def test_the_kubeconfig_at_home_is_the_last_way(
    tmp_path: Path, clock: scripted.Clock
) -> None:
    (tmp_path / ".kube").mkdir()
    put(tmp_path / ".kube" / "config", scripted.kubeconfig(URL, {"token": "home"}))

    found = await load("", clock, {"HOME": str(tmp_path)})

    assert await found.authorization() == "Bearer home"


class Pod:
    """The folder of a service account, and the environment beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
        put(folder / "token", "pod\n")

    async def load(self, clock: scripted.Clock) -> credentials.Credentials:
        return await credentials.load(
            "", clock=clock, service_account=str(self.folder), environ=self.environ
        )


async def test_in_a_pod_the_service_account_is_used(
    tmp_path: Path, clock: scripted.Clock, authority: bytes
) -> None:
    pod = Pod(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority)

    found = await pod.load(clock)

    assert found.host == "https://[fd00::1]:443"
    assert await found.authorization() == "Bearer pod"
    remove(tmp_path / "token")
    assert await found.authorization() == "Bearer pod"


@pytest.mark.parametrize("missing", ["token", "ca.crt", "KUBERNETES_SERVICE_PORT"])
async def test_a_pod_without_its_service_account_is_misconfigured(
    tmp_path: Path, clock: scripted.Clock, authority: bytes, missing: str
) -> None:
    pod = Pod(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority)
    remove(tmp_path / missing)
    pod.environ.pop(missing, None)

    with pytest.raises(errors.Misconfigured, match="the service account in"):
        await pod.load(clock)


async def test_a_rotated_authority_is_trusted_without_a_restart(
    tmp_path: Path, clock: scripted.Clock, authority: bytes
) -> None:
    pod = Pod(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority)
    found = await pod.load(clock)
    before = found.tls

    clock.passed += 60
    await found.authorization()
    assert found.tls is before

    put(tmp_path / "ca.crt", (authority + authority).decode())
    clock.passed += 60
    await found.authorization()
    renewed = found.tls
    assert renewed is not before

    put(tmp_path / "ca.crt", "half a file")
    clock.passed += 60
    await found.authorization()
    assert found.tls is renewed


async def test_an_insecure_cluster_is_not_verified(config: Path, clock: scripted.Clock) -> None:
    put(config, scripted.kubeconfig("https://x", {}, **{"insecure-skip-tls-verify": True}))

    found = await load(config, clock)

    assert found.tls.verify_mode is ssl.CERT_NONE
    assert not found.tls.check_hostname
