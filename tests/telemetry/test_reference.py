"""The reference page of the metrics says what the code has."""

from pathlib import Path

from snapshotd.telemetry import metrics, reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_reference_page_is_what_the_code_gives() -> None:
    fresh = "python -m snapshotd.telemetry.reference > docs/reference/metrics.md"
    assert PAGE.read_text() == reference.page(), f"it is out of date: run {fresh}"


def test_the_page_has_every_metric_and_its_labels() -> None:
    page = reference.page()
    for each in reference.definitions_of_all(metrics.Metrics()):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{each.name}` |"))
        assert all(f"`{label}`" in row for label in each.labels), row
    assert "| `process_resident_memory_bytes` |" in page
