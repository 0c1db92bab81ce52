"""Which API servers the e2e tests use, from the command line."""

import os
from pathlib import Path

import pytest


def options(parser: pytest.Parser) -> None:
    """Declare the choice."""
    parser.addoption(
        "--api-server",
        choices=["embedded", "real", "both"],
        default=os.environ.get("SNAPSHOTD_API_SERVER", "both"),
        help="which API server the e2e tests use; real skips, saying why, where there is none",
    )
    parser.addoption(
        "--kubeconfig",
        type=Path,
        help="run the e2e tests in this cluster instead, in a namespace for each, and clean up",
    )


def servers(config: pytest.Config) -> list[str]:
    """Return the chosen servers: `embedded`, `real`, or `kubeconfig` alone."""
    if config.getoption("--kubeconfig") is not None:
        return ["kubeconfig"]
    chosen = str(config.getoption("--api-server"))
    return ["embedded", "real"] if chosen == "both" else [chosen]
