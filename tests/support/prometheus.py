"""A real Prometheus: Debian's package `prometheus` has it."""

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import e2e
import monitoring
import pytest
import yaml

_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')
_INTERVAL = "500ms"


class Prometheus:
    """One that runs, and scrapes."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        """Scrape the targets (`host:port`, by job), by our rules."""
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("there is no prometheus: apt-get install -y prometheus brings it")
        folder.mkdir()
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(_config(targets)))
        self.log = folder / "prometheus.log"
        self._output = self.log.open("w+b")
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--enable-feature=exemplar-storage",
            ],
            stdout=self._output,
            stderr=self._output,
        )
        self._began = time.time()
        self._address = ""

    def listens(self) -> bool:
        """Say whether it can be asked: it answers 503 while it reads what it stored."""
        found = _LISTENING.search(self.log.read_text())
        if not found:
            return False
        self._address = found.group(1)
        try:
            urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=e2e.PATIENCE).close()
        except urllib.error.HTTPError:
            return False
        return True

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=e2e.PATIENCE) as answer:
            return json.load(answer)["data"]

    def healthy(self) -> set[str]:
        """Return the jobs whose last scrape went well."""
        targets = self.ask("targets")["activeTargets"]
        return {each["labels"]["job"] for each in targets if each["health"] == "up"}

    def tells(self, expression: str) -> bool:
        """Say whether a query had any number to show since the start."""
        found = self.ask(
            "query_range", query=expression, start=f"{self._began}", end=f"{time.time()}", step="1"
        )
        values = [value for series in found["result"] for _, value in series["values"]]
        return any(value != "NaN" for value in values)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=e2e.PATIENCE)
        self._output.close()


def _config(targets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": _INTERVAL, "evaluation_interval": "1s"},
        "rule_files": [str(monitoring.RULES)],
        "scrape_configs": [
            {
                "job_name": job,
                "scrape_timeout": _INTERVAL,
                "static_configs": [{"targets": [target]}],
            }
            for job, target in targets.items()
        ],
    }


@contextlib.contextmanager
def running(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Run one."""
    started = Prometheus(folder, targets)
    try:
        yield started
    finally:
        started.stop()
