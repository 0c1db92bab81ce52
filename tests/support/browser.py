"""A headless Chromium, where there is one: what a page looks like, and what is in it."""

import functools
import shutil
from pathlib import Path

import anyio
import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@functools.cache
def found() -> str:
    """Return the program, or have the test skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("there is no Chromium: apt-get install chromium brings it")


async def _run(folder: Path, url: str, *flags: str) -> str:
    profile = f"--user-data-dir={folder / 'profile'}"
    with anyio.fail_after(60):
        done = await anyio.run_process([found(), *_FLAGS, profile, *flags, url], check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def dom(folder: Path, url: str, *, seconds: float) -> str:
    """Return the page as it is after so many seconds of its own, virtual time."""
    return await _run(folder, url, f"--virtual-time-budget={seconds * 1000:.0f}", "--dump-dom")


async def picture(folder: Path, url: str, *, width: int, height: int) -> bytes:
    """Return a PNG of the page."""
    path = folder / "page.png"
    await _run(folder, url, f"--window-size={width},{height}", f"--screenshot={path}")
    return path.read_bytes()
