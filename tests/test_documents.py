"""What the documents say of the code is so: the tests they name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(test_\w+)`")
DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(|^    (?:async )?def (test_\w+)\(", re.MULTILINE)


def defined() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= {one or other for one, other in DEFINED.findall(path.read_text())}
    return found


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    missing = set(NAMED.findall(page.read_text())) - defined()
    assert not missing, f"{page} names tests that are not there"
