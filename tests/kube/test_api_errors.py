import json
from http import HTTPStatus

import pytest
import scripted

from snapshotd import errors
from snapshotd.kube import errors as answers

# k8s.io/apimachinery meta/v1 StatusReason: all of them, with the code each comes with
REASONS: dict[str, tuple[int, type[errors.SnapshotdError]]] = {
    "": (500, errors.Unavailable),
    "Unauthorized": (401, errors.Refused),
    "Forbidden": (403, errors.Refused),
    "NotFound": (404, errors.Gone),
    "AlreadyExists": (409, errors.Conflict),
    "Conflict": (409, errors.Conflict),
    "Gone": (410, errors.Gone),
    "Invalid": (422, errors.Invalid),
    "ServerTimeout": (500, errors.Unavailable),
    "StoreReadError": (500, errors.Unavailable),
    "Timeout": (504, errors.Unavailable),
    "TooManyRequests": (429, errors.Throttled),
    "BadRequest": (400, errors.Invalid),
    "MethodNotAllowed": (405, errors.Invalid),
    "NotAcceptable": (406, errors.Invalid),
    "RequestEntityTooLarge": (413, errors.Invalid),
    "UnsupportedMediaType": (415, errors.Invalid),
    "InternalError": (500, errors.Unavailable),
    "Expired": (410, errors.Gone),
    "ServiceUnavailable": (503, errors.Unavailable),
}
REFUSED = {401, 403, 407, 451}
GONE = {404, 410}
UNKNOWN_OUTCOME = {408, 421, 423, 425}


def means(code: int, body: bytes, retry_after: float | None = None) -> errors.SnapshotdError:
    return answers.from_answer(code, body, request="GET /x", retry_after=retry_after)


def expected(code: int) -> type[errors.SnapshotdError]:
    if code in REFUSED:
        return errors.Refused
    if code in GONE:
        return errors.Gone
    if code == HTTPStatus.CONFLICT:
        return errors.Conflict
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return errors.Throttled
    return errors.Unavailable if code >= 500 or code in UNKNOWN_OUTCOME else errors.Invalid


@pytest.mark.parametrize("code", range(400, 600))
def test_every_code_means_one_of_our_errors(code: int) -> None:
    error = means(code, b"<html>a proxy's page</html>")

    assert type(error) is expected(code)
    assert str(error).startswith(f"GET /x: {code}: no further")


@pytest.mark.parametrize("code", [100, 204, 301, 302, 304])
def test_an_answer_that_makes_no_sense_is_no_definite_one(code: int) -> None:
    assert type(means(code, b"")) is errors.Unavailable


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_means_one_of_our_errors(reason: str) -> None:
    code, wanted = REASONS[reason]

    error = means(code, json.dumps(scripted.status(code, reason)).encode())

    assert type(error) is wanted
    assert f"said {reason}" in str(error)


def test_the_reasons_are_all_there_are() -> None:
    assert set(answers.REASONS) == set(REASONS) - {""}


@pytest.mark.parametrize("reason", sorted(answers.REASONS))
def test_a_known_reason_counts_more_than_the_code(reason: str) -> None:
    error = means(418, json.dumps(scripted.status(418, reason)).encode())

    assert type(error) is answers.REASONS[reason]


@pytest.mark.parametrize("field", sorted(answers.STALE_FIELDS))
def test_a_patch_that_rests_on_an_older_state_is_a_conflict(field: str) -> None:
    body = scripted.status(422, "Invalid", causes=[field, field])

    assert type(means(422, json.dumps(body).encode())) is errors.Conflict


def test_a_patch_that_is_wrong_beside_being_stale_is_invalid() -> None:
    body = scripted.status(422, "Invalid", causes=["metadata.uid", "spec.driver"])

    assert type(means(422, json.dumps(body).encode())) is errors.Invalid


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_kept(code: int) -> None:
    error = means(code, b"", 7.0)

    assert isinstance(error, errors.Throttled)
    assert error.retry_after == 7.0


def test_retry_after_on_another_code_changes_nothing() -> None:
    assert type(means(500, b"", 7.0)) is errors.Unavailable


def test_a_long_message_is_cut() -> None:
    body = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "x" * 100_000}

    assert len(str(means(422, json.dumps(body).encode()))) < 2000
