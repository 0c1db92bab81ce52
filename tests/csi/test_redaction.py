"""Taking a secret's values out of a driver's words, in the shapes in which drivers repeat them."""

import base64

import pytest
from hypothesis import given, strategies

from snapshotd.csi import redaction
from snapshotd.model import secrets

VALUE = "open>>>sesame???"  # its base64 differs from its URL-safe one
CODED = base64.b64encode(VALUE.encode()).decode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (VALUE, f"wrong password {VALUE}"),
        (VALUE, f"cannot use {CODED}"),
        ("four", f"cannot use {base64.b64encode(b'four').decode()}"),
        (VALUE, f"cannot use {base64.urlsafe_b64encode(VALUE.encode()).decode()}"),
        (f"{VALUE}\n", f"wrong password {VALUE}, try again"),
        (f"{VALUE}\n", f"cannot use {CODED}"),
        ("first line\nsecond line", r"cannot read key 'first line\nsecond line'"),
        ("first line\nsecond line", "cannot parse second line of it"),
        ('quo"ted', r'wrong password "quo\"ted"'),
    ],
    ids=[
        "plain",
        "base64",
        "padded",
        "url-safe",
        "newline",
        "newline-base64",
        "lines",
        "one line",
        "quoted",
    ],
)
def test_no_shape_of_a_value_is_repeated(value: str, words: str) -> None:
    told = redaction.without(secrets.Credentials({"key": value}), words)
    assert redaction.HIDDEN in told
    for part in ("sesame", "line", "ted", "four", CODED.rstrip("="), "Zm91cg"):
        assert part not in told.replace(redaction.HIDDEN, "").replace("quoted", "")


def test_what_is_too_short_to_be_told_from_words_is_left() -> None:
    hidden = secrets.Credentials({"user": "in", "empty": "", "blank": "    \n"})
    assert redaction.without(hidden, "in a    word") == "in a    word"


def test_a_longer_value_goes_before_one_that_it_holds() -> None:
    hidden = secrets.Credentials({"a": "open", "b": "open sesame"})
    assert redaction.without(hidden, "open sesame, open") == f"{redaction.HIDDEN}, " + (
        redaction.HIDDEN
    )


@given(
    value=strategies.text(min_size=4).filter(lambda value: len(value.strip()) >= 4),
    before=strategies.text(max_size=5),
    coded=strategies.booleans(),
)
def test_whatever_a_value_is_made_of_it_is_not_repeated(
    *, value: str, before: str, coded: bool
) -> None:
    shape = base64.b64encode(value.encode()).decode() if coded else value
    if shape in before + redaction.HIDDEN:
        return
    told = redaction.without(secrets.Credentials({"key": value}), f"{before}#{shape}#")
    assert shape not in told
