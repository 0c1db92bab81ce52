"""Who may not go yet: a claim that a snapshot is being cut from (PVC source protection).

Keyed by the claim, so that however many snapshots of one claim come and go, its finalizer is added
once and removed once. A claim that nobody deletes stays protected until its last snapshot is ready
or gone; one that is being deleted is let go as soon as no cut is under way, so that a snapshot that
can never become ready does not hold it for ever (reference issue 1305).
"""

from snapshotd.decide import intents, validation, views
from snapshotd.model import groups, names


def decide(view: views.ClaimView) -> intents.Decision:
    """Decide for one PersistentVolumeClaim, whether it is being deleted or not."""
    claim = view.claim
    present = claim.metadata.finalizers
    protected = names.CLAIM_FINALIZER in present
    if claim.metadata.deleting:
        wanted = protected and any(_under_way(use) for use in view.uses)
    else:
        wanted = any(_unfinished(use) for use in view.uses)
    if wanted == protected:
        return intents.Decision(why="a snapshot is being cut from it" if protected else "")
    finalizers = (
        (*present, names.CLAIM_FINALIZER)
        if wanted
        else tuple(each for each in present if each != names.CLAIM_FINALIZER)
    )
    target = intents.Target(claim.key, claim.metadata.uid, claim.metadata.resource_version)
    return intents.Decision(intents=(intents.UpdateMetadata(target, finalizers),))


def _unfinished(use: views.Use) -> bool:
    return not use.snapshot.metadata.deleting and not use.snapshot.ready


def _under_way(use: views.Use) -> bool:
    """Say whether a cut has begun, or is about to, and its end is not known.

    A snapshot without content and without error is about to be cut: binding either goes on to the
    content or writes an error, and is the only one to do either.
    """
    if not _unfinished(use) or validation.is_member(use.snapshot):
        return False  # a member is not cut by itself: its group uses the claim for it
    if use.content is None:
        return use.snapshot.error is None
    # Nothing is cut any more for a content that is being deleted, or that is ready: a group waits
    # for its members then, and for ever if one of them can never be ready.
    done = use.content.metadata.deleting or use.content.ready
    return not done and not _failed_for_good(use.content)


def _failed_for_good(content: groups.AnyContent) -> bool:
    return not content.handle and content.error is not None and not content.being_created
