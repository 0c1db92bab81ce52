"""The webhook's certificate is renewed while it serves."""

import json
import ssl
from pathlib import Path

import anyio
import certificates
import converting
import pytest
import scripted

from snapshotd import errors
from snapshotd.app.webhook import certificates as chains


async def test_a_renewed_certificate_is_used_and_open_connections_stay(
    webhook: converting.Running, files: converting.Files, identity: certificates.Identity
) -> None:
    body = json.dumps(converting.review()).encode()
    before = await webhook.client.open()
    renewed = certificates.make()
    files.put(renewed)
    assert webhook.hook.certificates.refresh() == "reloaded"
    assert webhook.hook.certificates.refresh() == "unchanged"
    await before.begin(body)
    await before.send(body[-1:])
    assert await before.status() == 200
    assert before.certificate() == der(identity)
    client = converting.Client(webhook.hook.port, renewed)
    for name in (None, "test"):
        after = await client.open(name)
        assert after.certificate() == der(renewed)
        await after.close()
    with pytest.raises(ssl.SSLError):
        await webhook.client.open()
    await before.close()
    assert webhook.count("certificate_reloads", result="reloaded") == 1


async def test_half_a_renewal_leaves_the_old_pair_in_use(
    webhook: converting.Running, files: converting.Files, identity: certificates.Identity
) -> None:
    renewed = certificates.make()
    files.chain.write_bytes(renewed.certificate)
    assert webhook.hook.certificates.refresh() == "failed"
    assert webhook.hook.certificates.refresh() == "failed"  # and is told until it is mended
    wire = await webhook.client.open()
    assert wire.certificate() == der(identity)
    await wire.close()
    files.key.unlink()
    assert webhook.hook.certificates.refresh() == "failed"
    files.put(renewed)
    assert webhook.hook.certificates.refresh() == "reloaded"
    wire = await converting.Client(webhook.hook.port, renewed).open()
    await wire.close()
    assert webhook.count("certificate_reloads", result="failed") == 3


async def test_the_files_are_looked_at_again_and_again(files: converting.Files) -> None:
    told: list[chains.Outcome] = []
    heard = anyio.Event()

    def count(outcome: chains.Outcome) -> None:
        told.append(outcome)
        heard.set()

    watched = chains.Certificates(files.chain, files.key, count=count)
    passing = scripted.Clock()
    async with anyio.create_task_group() as group:
        group.start_soon(watched.watch, passing, 10.0)
        files.put(certificates.make())
        await heard.wait()
        group.cancel_scope.cancel()
    assert told[-1] == "reloaded"
    assert set(passing.slept) == {10.0}


def der(identity: certificates.Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.certificate.decode())


def test_a_certificate_that_cannot_be_used_is_told_at_the_start(
    files: converting.Files, tmp_path: Path
) -> None:
    def read(chain: Path, key: Path) -> None:
        chains.Certificates(chain, key, count=lambda _: None)

    other = tmp_path / "other"
    with pytest.raises(errors.Misconfigured, match="No such file"):
        read(files.chain, other)
    other.write_bytes(certificates.make().key)
    with pytest.raises(errors.Misconfigured, match="not that of the certificate"):
        read(files.chain, other)
    other.write_text("nonsense")
    with pytest.raises(errors.Misconfigured, match="no certificate and private key"):
        read(files.chain, other)
