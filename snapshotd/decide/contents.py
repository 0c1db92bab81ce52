"""A content from the cluster's side: what is added to it once it is there.

A new one lacks nothing (`drafts`); one made by hand gets its finalizer in the patch that binds it,
and a group's member its status from what its group's content tells.
"""

from snapshotd.decide import (
    drafts,
    intents,
    members,
    release,
    reports,
    telling,
    validation,
    views,
)
from snapshotd.model import groups, names, snapshots


def bind(content: groups.AnyContent, snapshot: groups.AnySnapshot) -> intents.BindContent | None:
    """Return the patch that completes a pre-provisioned pair, None where nothing is missing."""
    wanted_class = snapshot.class_name
    lacks_class = wanted_class is not None and content.class_name is None
    finalizer = content.family.content_finalizer
    guarded = finalizer in content.metadata.finalizers
    if content.ref.uid and guarded and not lacks_class:
        return None
    if content.metadata.deleting:
        return None
    finalizers = content.metadata.finalizers
    return intents.BindContent(
        telling.target(content, exact=True),
        snapshot_uid=snapshot.metadata.uid,
        finalizers=finalizers if guarded else (*finalizers, finalizer),
        class_name=wanted_class if lacks_class else None,
    )


def unplaced(content: groups.AnyContent) -> bool:
    """Say whether a content may still wait for the node that is to cut it, or to let it go."""
    return content.status is None and names.MANAGED_BY_LABEL not in content.metadata.labels


def decide(view: views.ContentHalfView) -> intents.Decision:
    """Decide the controller's own part in a content: its node, and its finalizer once it is bound.

    Of a group's member also its status, which repeats what the group's content tells of it. All
    else about it is decided for its snapshot, which every change of the content wakes. One whose
    snapshot this process itself let go when there was no content (a former leader's last request)
    is nobody's, and was not ready when it was found: it is let go as well.
    """
    content = view.content
    late = view.came_too_late and (not content.ready or content.deletion_meant)
    if late and not content.deletion_meant:
        return release.give_up(content, None)  # the mark comes first: it may be ready any moment
    labels = drafts.labels((view.volume,), view.nodes) if view.volume is not None else {}
    if labels and unplaced(content):
        placed = intents.UpdateMetadata(telling.target(content), labels=labels)
        return intents.Decision(intents=(placed,), again=0.0)
    if late:
        return release.give_up(content, None)
    if problem := validation.content_problem(content):
        told = telling.warning(content, reason="ContentValidationError", message=problem)
        return intents.Decision(intents=(told,), why=problem)
    finalizer = content.family.content_finalizer
    guarded = finalizer in content.metadata.finalizers
    if not guarded and not content.metadata.deleting and content.ref.uid:
        finalizers = (*content.metadata.finalizers, finalizer)
        target = telling.target(content, exact=True)
        return intents.Decision(intents=(intents.UpdateMetadata(target, finalizers),))
    return _report(content, view.cut)


def _report(
    content: groups.AnyContent, cut: groups.VolumeGroupSnapshotContent | None
) -> intents.Decision:
    """Bring a member's status up to what its group's content tells of it."""
    if cut is None or content.metadata.deleting:
        return intents.SETTLED
    if not isinstance(content, snapshots.VolumeSnapshotContent):
        return intents.SETTLED
    info = members.names_of(cut).get(names.member_of_content(content.metadata.name))
    change = None if info is None else reports.of_member(content, cut, info)
    if change is None:
        return intents.SETTLED
    write = intents.PublishStatus(telling.target(content, exact=True), change)
    return intents.Decision(intents=(write,))
