"""JSON merge patch (RFC 7386): objects are merged, null removes, all else replaces."""

from typing import Any


def apply(document: Any, patch: Any) -> Any:
    """Return the patched document; neither argument is changed, and parts of both are shared."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply(result.get(name), value)
    return result
