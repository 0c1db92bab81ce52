"""A claim is held while a snapshot of it is being cut, and no longer."""

import objects
import pytest
from hypothesis import given, strategies

from snapshotd.decide import intents, protection, views
from snapshotd.model import names, snapshots

FAILED = snapshots.VolumeSnapshotContentStatus(error=objects.ERROR)
CUT = snapshots.VolumeSnapshotContentStatus(snapshot_handle="h", error=objects.ERROR)
MARKED = {names.BEING_CREATED_ANNOTATION: names.MARK}
GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
TOLD = snapshots.VolumeSnapshotStatus(error=objects.ERROR)


def protects(view: views.ClaimView) -> bool:
    """Say whether the claim is protected after the decision."""
    decision = protection.decide(view)
    if not decision.intents:
        return names.CLAIM_FINALIZER in view.claim.metadata.finalizers
    (update,) = decision.intents
    assert isinstance(update, intents.UpdateMetadata)
    assert update.finalizers is not None
    assert update.target.version == "9"
    return names.CLAIM_FINALIZER in update.finalizers


UNFINISHED = views.Use(objects.snapshot())
READY = views.Use(objects.ready_snapshot(), objects.ready_content())


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ((), False),
        ((UNFINISHED,), True),
        ((READY,), False),
        ((READY, UNFINISHED), True),
        ((views.Use(objects.snapshot(**GOING)),), False),
        ((views.Use(objects.snapshot(status=TOLD)),), True),
    ],
)
def test_a_claim_is_held_while_a_snapshot_of_it_is_unfinished(
    *, held: bool, uses: tuple[views.Use, ...], expected: bool
) -> None:
    finalizers = ("x/y", names.CLAIM_FINALIZER) if held else ("x/y",)
    claim = objects.claim(metadata__finalizers=finalizers)
    assert protects(views.ClaimView(claim, uses)) is expected


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (UNFINISHED, True),
        (READY, False),
        (views.Use(objects.snapshot(status=TOLD)), False),
        (views.Use(objects.snapshot(status=snapshots.VolumeSnapshotStatus())), True),
        (views.Use(objects.snapshot(), objects.content()), True),
        (views.Use(objects.snapshot(), objects.content(status=FAILED)), False),
        (views.Use(objects.snapshot(), objects.content(status=CUT)), True),
        (
            views.Use(
                objects.snapshot(), objects.content(status=FAILED, metadata__annotations=MARKED)
            ),
            True,
        ),
        (views.Use(objects.snapshot(), objects.content(**GOING)), False),
        (views.Use(objects.snapshot(**GOING), objects.content()), False),
    ],
)
def test_a_claim_that_is_going_is_held_only_while_a_cut_is_under_way(
    *, use: views.Use, expected: bool
) -> None:
    claim = objects.claim(**GOING)
    assert protects(views.ClaimView(claim, (use,))) is expected


def test_nothing_is_added_to_a_claim_that_is_going() -> None:
    claim = objects.claim(metadata__finalizers=("x/y",), **GOING)
    assert protection.decide(views.ClaimView(claim, (UNFINISHED,))).intents == ()


@given(
    held=strategies.booleans(),
    going=strategies.booleans(),
    uses=strategies.lists(strategies.sampled_from([UNFINISHED, READY]), max_size=4),
)
def test_once_done_nothing_is_left_to_do(*, held: bool, going: bool, uses: list[views.Use]) -> None:
    """Deciding again on the claim as it was written yields nothing."""
    finalizers = (names.CLAIM_FINALIZER,) if held else ()
    claim = objects.claim(metadata__finalizers=finalizers, **(GOING if going else {}))
    view = views.ClaimView(claim, tuple(uses))
    assert protection.decide(view) == protection.decide(view)
    for intent in protection.decide(view).intents:
        assert isinstance(intent, intents.UpdateMetadata)
        after = objects.changed(claim, metadata__finalizers=intent.finalizers)
        assert protection.decide(views.ClaimView(after, tuple(uses))).intents == ()
