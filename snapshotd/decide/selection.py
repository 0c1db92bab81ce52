"""Which labels a selector selects: of claims for a group, of nodes for a volume.

One requirement is the same in both (meta/v1 LabelSelectorRequirement, core/v1
NodeSelectorRequirement), but that only nodes know Gt and Lt.
"""

from collections.abc import Mapping

from snapshotd.model import groups, volumes

Requirement = groups.LabelRequirement | volumes.NodeSelectorRequirement


def selects(selector: groups.LabelSelector, labels: Mapping[str, str]) -> bool:
    """Say whether all of a selector holds; one with a problem selects nothing."""
    if problem(selector):
        return False
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        holds(each, labels) for each in selector.match_expressions
    )


def problem(selector: groups.LabelSelector) -> str:
    """Return what is wrong with a selector, or ''."""
    for each in selector.match_expressions:
        match each.operator:
            case "In" | "NotIn" if not each.values:
                return f"matchExpressions: {each.key} {each.operator} needs values"
            case "Exists" | "DoesNotExist" if each.values:
                return f"matchExpressions: {each.key} {each.operator} takes no values"
            case "In" | "NotIn" | "Exists" | "DoesNotExist":
                continue
            case _:
                return (
                    f"matchExpressions: {each.key} has operator {each.operator!r}: use In, NotIn, "
                    "Exists or DoesNotExist"
                )
    return ""


def holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Say whether one requirement holds; one with an unknown operator does not."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(value, requirement)
        case _:
            return False


def _compares(value: str | None, requirement: Requirement) -> bool:
    try:
        left, right = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return left > right if requirement.operator == "Gt" else left < right
