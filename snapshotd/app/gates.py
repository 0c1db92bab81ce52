"""The feature gates, as `--feature-gates` takes them: `Name=true,Other=false`.

The reference's program knows every gate of Kubernetes' generic API server as well. Those have no
meaning here, so a name that is not known is told, and not refused: manifests go on working.
"""

import structlog

from snapshotd import errors, settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

GROUPS = "CSIVolumeGroupSnapshot"
_KNOWN = {
    GROUPS,
    "ReleaseLeaderElectionOnExit",  # always so here: a leader that ends gives the lease back
}
_VALUES = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def groups_wanted(features: settings.Features) -> bool:
    """Say whether group snapshots are to be served; raises `Misconfigured`."""
    return _read(features.feature_gates).get(GROUPS, True)


def _read(text: str) -> dict[str, bool]:
    """Return each gate that is named with its value; raises `Misconfigured`."""
    found: dict[str, bool] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in each.partition("="))
        if not (name and equals) or value.lower() not in _VALUES:
            raise errors.Misconfigured(
                f"--feature-gates {text!r}: {each!r} is no gate: write {GROUPS}=true, or =false"
            )
        if name not in _KNOWN:
            log.warning("gate_unknown", gate=name, known=sorted(_KNOWN))
        found[name] = _VALUES[value.lower()]
    return found
