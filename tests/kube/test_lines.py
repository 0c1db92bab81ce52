import itertools

from hypothesis import given
from hypothesis import strategies as st

from snapshotd.kube import lines


@given(
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda raw: b"\n" not in raw)),
    st.lists(st.integers(0, 400)),
)
def test_lines_are_the_same_however_they_are_cut(wanted: list[bytes], cuts: list[int]) -> None:
    """Any cutting of a stream into chunks gives its lines, whole, once and in order."""
    stream = b"".join(line + b"\n" for line in wanted)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    buffer = lines.LineBuffer()

    found = [
        line for start, end in itertools.pairwise(edges) for line in buffer.feed(stream[start:end])
    ]

    assert found == [line for line in wanted if line.strip()]
    assert buffer.rest == b""


def test_the_beginning_of_a_line_is_kept() -> None:
    buffer = lines.LineBuffer()

    assert buffer.feed(b"a\nb") == [b"a"]
    assert buffer.rest == b"b"
    assert buffer.feed(b"c\n\n") == [b"bc"]
    assert buffer.rest == b""


def test_a_line_of_many_megabytes_is_a_line() -> None:
    buffer = lines.LineBuffer()
    for _ in range(64):
        assert buffer.feed(b"x" * 2**18) == []

    assert buffer.feed(b"\n") == [b"x" * 2**24]
