"""What a code means, and what is known after it: a row for every code."""

import pytest

from snapshotd.decide import backoff, outcomes
from snapshotd.decide.outcomes import Attempt, Code, Meaning

UNKNOWN = {Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE}
BUSY = {Code.ABORTED, Code.RESOURCE_EXHAUSTED}
DOUBTFUL = {Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS}
PROVES_NOTHING = {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_meaning(code: Code) -> None:
    expected = (
        Meaning.UNKNOWN
        if code in UNKNOWN
        else Meaning.BUSY
        if code in BUSY
        else Meaning.DOUBTFUL
        if code in DOUBTFUL
        else Meaning.FINAL
    )
    assert outcomes.meaning(code) is expected


@pytest.mark.parametrize("before", list(Attempt))
@pytest.mark.parametrize("code", list(Code))
def test_only_a_definite_answer_says_that_nothing_was_made(before: Attempt, code: Code) -> None:
    after = outcomes.known_after(before, code)
    if before is Attempt.UNKNOWN or code in UNKNOWN | BUSY | {Code.ALREADY_EXISTS}:
        assert after is Attempt.UNKNOWN
    elif code in DOUBTFUL | PROVES_NOTHING:
        assert after is Attempt.DOUBTFUL
    else:
        assert after is Attempt.REFUSED


@pytest.mark.parametrize("code", list(Code))
def test_only_a_definite_answer_speaks_of_earlier_calls(code: Code) -> None:
    vague = UNKNOWN | BUSY | DOUBTFUL | PROVES_NOTHING | {Code.ALREADY_EXISTS}
    assert outcomes.speaks_of_earlier_calls(code) is (code not in vague)


def test_polls_grow_gently_up_to_half_a_minute() -> None:
    delays = [backoff.poll_delay(polls, start=2.0) for polls in range(100)]
    assert delays[:3] == pytest.approx([2.0, 2.6, 3.38])
    assert delays == sorted(delays)
    assert delays[-1] == 30.0
    assert backoff.poll_delay(100, start=60.0) == 60.0
