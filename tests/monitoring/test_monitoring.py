"""`deploy/monitoring`: what it asks for exists, and its alerts do what they say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import monitoring
import pytest
import yaml

from snapshotd.telemetry import metrics

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "monitor.md"
ALERTS = [rule for rule in monitoring.rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in monitoring.rules() if "record" in rule}
LABELS = {
    "job",
    "instance",
    "le",
    *(label for each in metrics.Metrics().definitions for label in each.labels),
}


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool: apt-get install -y prometheus brings it")
    return subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_names_are_found_where_they_stand() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (le, name) (rate(some_bucket{a="b"}[5m]))) > 1 and up == 1'
    )
    assert monitoring.names_in(expression) == {"some_bucket", "up"}


@pytest.mark.parametrize(("title", "query"), list(monitoring.queries()))
def test_every_metric_of_the_dashboard_exists(title: str, query: str) -> None:
    names = monitoring.names_in(query)
    assert names, f"{title} asks for nothing"
    assert names <= monitoring.known(), title


@pytest.mark.parametrize("rule", monitoring.rules(), ids=lambda r: r.get("alert") or r["record"])
def test_every_metric_of_the_rules_exists(rule: monitoring.JsonObject) -> None:
    names = monitoring.names_in(rule["expr"])
    assert names, "it asks for nothing"
    assert names <= monitoring.known() | RECORDED


def test_every_label_that_is_asked_for_exists() -> None:
    asked = [query for _, query in monitoring.queries()] + [r["expr"] for r in monitoring.rules()]
    for expression in asked:
        grouped = re.findall(r"\bby\s*\(([^)]*)\)", expression)
        by = {label.strip() for group in grouped for label in group.split(",")}
        selected = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
        assert by | selected <= LABELS, expression


def test_the_dashboard_is_one_that_can_be_imported() -> None:
    dashboard = json.loads(monitoring.DASHBOARD.read_text())
    idents = [panel["id"] for panel in dashboard["panels"]]
    assert len(idents) == len(set(idents))
    assert dashboard["uid"]
    assert {each["name"] for each in dashboard["templating"]["list"]} == {"datasource", "job"}
    for panel in monitoring.panels():
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        box = panel["gridPos"]
        assert box["x"] + box["w"] <= 24


def test_no_two_panels_overlap() -> None:
    dashboard = json.loads(monitoring.DASHBOARD.read_text())
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        box = panel["gridPos"]
        for x in range(box["x"], box["x"] + box["w"]):
            for y in range(box["y"], box["y"] + box["h"]):
                assert (x, y) not in taken, f"{panel['title']} over {taken[x, y]}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each["alert"])
def test_every_alert_says_what_is_so_and_what_to_do(alert: monitoring.JsonObject) -> None:
    assert set(alert["annotations"]) == {"summary", "description", "action"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert f"### {alert['alert']}\n" in HOW_TO.read_text(), "docs/how-to/monitor.md has it not"


def test_every_alert_is_tested_to_fire_and_to_be_quiet() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for test in yaml.safe_load(monitoring.RULES_TEST.read_text())["tests"]:
        for each in test.get("alert_rule_test", []):
            (fires if each["exp_alerts"] else quiet).add(each["alertname"])
    assert fires == quiet == {each["alert"] for each in ALERTS}


def test_the_rules_are_what_prometheus_takes() -> None:
    done = promtool("check", "rules", str(monitoring.RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", str(monitoring.RULES_TEST))
    assert done.returncode == 0, done.stdout + done.stderr
