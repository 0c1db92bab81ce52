import pytest

from snapshotd import errors
from snapshotd.runtime import failures

GONE, CONFLICT, DEFECT = errors.Gone("x"), errors.Conflict("x"), LookupError("x")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (GONE, GONE),
        (ExceptionGroup("", [GONE, CONFLICT]), GONE),
        (ExceptionGroup("", [ExceptionGroup("", [CONFLICT])]), CONFLICT),
        (ExceptionGroup("", [GONE, ExceptionGroup("", [CONFLICT, DEFECT])]), DEFECT),
    ],
)
def test_a_group_is_told_by_its_first_defect_or_its_first_error(
    error: Exception, told: Exception
) -> None:
    assert failures.told(error) is told
