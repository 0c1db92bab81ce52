"""What an exception is about, when task groups have wrapped it.

A task group raises a group of what its children raised, and its parent another around that. Actor
and supervisor settle one error: the one that says most.
"""

from collections.abc import Iterator

from snapshotd import errors


def told(error: Exception) -> Exception:
    """Return the one error to settle: the first defect of ours in a group, else its first error."""
    leaves = list(_leaves(error))
    defects = (leaf for leaf in leaves if not isinstance(leaf, errors.SnapshotdError))
    return next(defects, leaves[0])


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for child in error.exceptions:
            yield from _leaves(child)
    else:
        yield error
