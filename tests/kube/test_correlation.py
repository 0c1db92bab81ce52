from hypothesis import given
from hypothesis import strategies as st

from snapshotd.decide import intents
from snapshotd.kube import correlation
from snapshotd.model import meta


def happening(
    message: str = "m", *, name: str = "s", reason: str = "r", type_: str = "Warning"
) -> intents.Announce:
    about = meta.ObjectReference(kind="VolumeSnapshot", namespace="ns", name=name, uid=f"u-{name}")
    return intents.Announce(about, type_, reason, message)


def test_the_same_again_raises_the_count() -> None:
    correlator = correlation.Correlator()
    first = correlator.observe(happening(), 100.0)
    second = correlator.observe(happening(), 105.0)

    assert first is not None
    assert second is not None
    assert first[1] is second[1]
    assert (second[1].count, second[1].first, second[1].last) == (2, 100.0, 105.0)


def test_what_differs_is_an_event_of_its_own() -> None:
    correlator = correlation.Correlator()
    found = [
        correlator.observe(event, 0.0)
        for event in (
            happening(),
            happening("other"),
            happening(name="t"),
            happening(reason="other"),
            happening(type_="Normal"),
        )
    ]

    assert len({series for series, _ in filter(None, found)}) == 5


def test_more_than_ten_similar_ones_become_one() -> None:
    correlator = correlation.Correlator()
    found = [correlator.observe(happening(f"m{number}"), number) for number in range(15)]

    entries = [entry for _, entry in filter(None, found)]
    assert len(entries) == 15
    assert [entry.count for entry in entries[:10]] == [1] * 10
    combined = entries[10]
    assert all(entry is combined for entry in entries[11:])
    assert combined.count == 5
    assert combined.message == "(combined from similar events): m14"


def test_similar_ones_long_after_each_other_stay_apart() -> None:
    correlator = correlation.Correlator()
    found = [correlator.observe(happening(f"m{number}"), number * 601) for number in range(15)]

    assert all(series.message is not None for series, _ in filter(None, found))


def test_an_object_has_its_share_and_no_more() -> None:
    correlator = correlation.Correlator()

    told = [correlator.observe(happening(), 0.0) is not None for _ in range(30)]

    assert told == [True] * 25 + [False] * 5
    assert correlator.observe(happening(name="another"), 0.0) is not None
    assert correlator.observe(happening(), 299.0) is None
    later = correlator.observe(happening(), 301.0)
    assert later is not None
    assert later[1].count == 32  # what was not told is counted


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.floats(0, 900))))
def test_no_event_is_lost_from_the_counts(steps: list[tuple[str, int, float]]) -> None:
    """Every happening is counted in exactly one entry, told or not."""
    correlator = correlation.Correlator()
    now = 0.0
    for name, message, passed in steps:
        now += passed
        correlator.observe(happening(f"m{message}", name=name), now)

    entries = correlator._entries._kept.values()
    assert sum(entry.count for entry in entries) == len(steps)


def test_what_is_remembered_is_bounded() -> None:
    correlator = correlation.Correlator()
    for number in range(correlation._REMEMBERED + 50):
        correlator.observe(happening(name=f"s{number}"), 0.0)

    for kept in (correlator._entries, correlator._similar, correlator._budgets):
        assert len(kept._kept) == correlation._REMEMBERED


def test_what_goes_on_is_not_forgotten() -> None:
    correlator = correlation.Correlator()
    for number in range(3 * correlation._REMEMBERED):
        correlator.observe(happening(name=f"s{number}"), 0.0)
        if number % 1000 == 0:
            steady = correlator.observe(happening(name="steady"), 0.0)

    assert steady is not None
    assert steady[1].count == 13
