"""An explanation on the terminal, or as JSON for a program."""

import textwrap
from collections.abc import Sequence
from typing import Final

import msgspec

from snapshotd.app.explain import facts

_MARKS: Final = {
    facts.State.OK: "ok",
    facts.State.WAITS: "..",
    facts.State.PROBLEM: "!!",
    facts.State.UNKNOWN: "??",
    facts.State.NOTE: "--",
}
_WIDTH: Final = 100
_INDENT: Final = "     "


def text(reports: Sequence[facts.Report]) -> str:
    """Return the reports for people: every finding, and in the end what matters."""
    return "\n\n".join(_report(each) for each in reports)


def json(reports: Sequence[facts.Report]) -> str:
    """Return the reports for a program: a list, each with its verdict and findings."""
    told = [
        {
            "subject": each.subject,
            "state": each.verdict.state,
            "verdict": each.verdict,
            "findings": (*each.findings, *each.members),
        }
        for each in reports
    ]
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _report(report: facts.Report) -> str:
    lines = [report.subject]
    for finding in report.findings:
        lines += _finding(finding)
    if report.members:
        lines.append("  Its members:")
    for finding in report.members:
        lines += _finding(finding)
    verdict = report.verdict
    if verdict.state is not facts.State.OK:
        lines += ["", *_verdict(verdict)]
    return "\n".join(lines)


def _finding(finding: facts.Finding) -> list[str]:
    since = f" (since {finding.since})" if finding.since else ""
    told = f"{_MARKS[finding.state]:<3} {finding.about}: {finding.told}{since}"
    return textwrap.wrap(told, _WIDTH, initial_indent="  ", subsequent_indent=_INDENT)


def _verdict(verdict: facts.Finding) -> list[str]:
    match verdict.state:
        case facts.State.PROBLEM:
            lines = [f"Somebody must act: {verdict.who}."]
        case facts.State.WAITS:
            lines = ["Nobody needs to act: it goes on by itself."]
        case _:
            lines = ["More could not be found out."]
    if verdict.command:
        lines.append(f"  {verdict.command}")
    return lines
