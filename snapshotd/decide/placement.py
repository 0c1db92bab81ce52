"""Which node owns a local volume's snapshots (the reference's distributed snapshotting).

A content labelled with a node is handled by the sidecar of that node alone.
"""

from snapshotd.decide import selection
from snapshotd.model import volumes


def node_of(volume: volumes.PersistentVolume, nodes: tuple[volumes.Node, ...]) -> str:
    """Return the first node (by name) that the volume's required affinity allows, or ''."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return ""
    for node in sorted(nodes, key=lambda each: each.metadata.name):
        if any(_holds(term, node) for term in affinity.required.node_selector_terms):
            return node.metadata.name
    return ""


def _holds(term: volumes.NodeSelectorTerm, node: volumes.Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False  # an empty term selects nothing (core/v1 NodeSelectorTerm)
    fields = {"metadata.name": node.metadata.name}
    return all(
        selection.holds(each, node.metadata.labels) for each in term.match_expressions
    ) and all(selection.holds(each, fields) for each in term.match_fields)
