"""A room that grows too large wants splitting at a natural seam: there is a limit."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "snapshotd"
SOURCES = [each for each in PACKAGE.rglob("*.py") if "_pb" not in each.parts]


def test_no_file_has_more_than_400_lines() -> None:
    lengths = {each: len(each.read_text().splitlines()) for each in SOURCES}
    assert {str(each): length for each, length in lengths.items() if length > 400} == {}


def test_no_function_has_more_than_50_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert long == []
