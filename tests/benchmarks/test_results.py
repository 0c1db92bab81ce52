"""What was found survives the disk, and is shown with ratios."""

import csv
import io
from pathlib import Path

import rich.console

from benchmarks import reconcile, results, subjects

FOUND = [
    results.Result("mine", 100, 0, {"ready per s": 20.0}, {"ready": {"POST events": 3.0}}),
    results.Result("other", 100, 0, {"ready per s": 10.0}, {"ready": {"POST events": 6.0}}),
    results.Result("other", 100, 1, {"ready per s": 5.0}, {"ready": {"POST events": 6.0}}),
    results.Result("mine", 100, 1, {"ready per s": 20.0}, {"ready": {"POST events": 3.0}}),
]


def test_json_holds_all_of_a_report(tmp_path: Path) -> None:
    told = results.report("reconcile", "embedded", FOUND)
    assert results.load(results.save(told, tmp_path)) == told


def test_csv_has_a_row_for_every_figure(tmp_path: Path) -> None:
    results.save(results.report("reconcile", "embedded", FOUND), tmp_path)
    with (tmp_path / "result.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 8
    assert rows[0]["figure"] == "ready per s"
    assert rows[1]["figure"] == "ready: POST events"


def test_the_table_has_medians_and_ratios() -> None:
    out = io.StringIO()
    console = rich.console.Console(file=out, width=120)
    results.show(results.report("reconcile", "embedded", FOUND), console)
    shown = out.getvalue()
    assert "3.00 (2.00-4.00)" in shown
    assert "POST events" in shown
    assert "2 rounds" in shown


def test_subjects_take_turns_in_the_other_order_every_second_round() -> None:
    role = subjects.Role(("x",))
    both = tuple(subjects.Subject(name, role, role) for name in ("a", "b"))
    plan = reconcile.Plan(both, (10,), claims=0, rounds=2, closed_loop=False, settled=0)
    assert [each.name for _, _, each in reconcile.turns(plan)] == ["a", "b", "b", "a"]
