"""Which claims a group's selector selects, by labels and by expressions."""

import pytest

from snapshotd.decide import selection
from snapshotd.model import groups

LABELS = {"app": "db", "tier": "hot"}


def selector(*requirements: groups.LabelRequirement, **labels: str) -> groups.LabelSelector:
    return groups.LabelSelector(labels, requirements)


def needs(key: str, operator: str, *values: str) -> groups.LabelRequirement:
    return groups.LabelRequirement(key, operator, values)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (selector(), True),
        (selector(app="db"), True),
        (selector(app="web"), False),
        (selector(app="db", zone="a"), False),
        (selector(needs("tier", "In", "hot", "warm")), True),
        (selector(needs("tier", "In", "cold")), False),
        (selector(needs("zone", "In", "a")), False),
        (selector(needs("tier", "NotIn", "cold")), True),
        (selector(needs("tier", "NotIn", "hot")), False),
        (selector(needs("zone", "NotIn", "a")), True),
        (selector(needs("tier", "Exists")), True),
        (selector(needs("zone", "Exists")), False),
        (selector(needs("zone", "DoesNotExist")), True),
        (selector(needs("tier", "DoesNotExist")), False),
        (selector(needs("tier", "Exists"), app="web"), False),
        (selector(needs("zone", "Exists"), app="db"), False),
        (selector(needs("tier", "Exists"), needs("app", "In", "db")), True),
    ],
)
def test_all_of_a_selector_must_hold(given: groups.LabelSelector, *, expected: bool) -> None:
    assert selection.problem(given) == ""
    assert selection.selects(given, LABELS) is expected


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (needs("tier", "In"), "matchExpressions: tier In needs values"),
        (needs("tier", "NotIn"), "matchExpressions: tier NotIn needs values"),
        (needs("tier", "Exists", "x"), "matchExpressions: tier Exists takes no values"),
        (needs("zone", "DoesNotExist", "x"), "matchExpressions: zone DoesNotExist takes no values"),
        (
            needs("tier", "Gt", "1"),
            "matchExpressions: tier has operator 'Gt': use In, NotIn, Exists or DoesNotExist",
        ),
    ],
)
def test_a_selector_that_cannot_be_meant_selects_nothing(
    requirement: groups.LabelRequirement, message: str
) -> None:
    odd = selector(requirement)
    assert selection.problem(odd) == message
    assert not selection.selects(odd, LABELS)
    assert not selection.selects(odd, {})
