"""Holes in the actors that the simulated stories of groups found; each test is one of them."""

import asyncio
from collections.abc import Iterator

import objects
import pytest
import simulated

from snapshotd.decide import intents, outcomes
from snapshotd.model import names


class Anything:
    """Rules of a storage in which everything is allowed."""

    def may_cut(self, name: str) -> bool:
        return bool(name)

    def may_delete(self, handle: str) -> bool:
        return bool(handle)


class Refusing(simulated.Storage):
    """A driver that refuses to cut."""

    def __init__(self) -> None:
        super().__init__(Anything())
        self.times = 0

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        self.times += 1
        return outcomes.Refusal(outcomes.Code.INVALID_ARGUMENT, f"{call.name} {credentials}")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_driver_is_not_asked_again_for_what_was_let_go_upon_its_answer(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """The release may have come through, though its answer is lost: asked, the driver cuts anew."""
    api, driver = simulated.Api(), Refusing()
    marked = {names.BEING_DELETED_ANNOTATION: names.MARK}
    going = {"metadata__deletion_timestamp": objects.NOW_TEXT}
    content = api.put(objects.content(metadata__annotations=marked, **going))
    sidecar = simulated.Process(api, storage=driver, can_list=False)
    sidecar.writer.fault = simulated.Fault.LOST_AFTER
    assert sidecar.work(loop, content.key)
    assert content.key not in api.objects
    assert content.key in [each.key for each in sidecar.cache.of_kind(content.key.kind)]
    sidecar.work(loop, content.key)
    assert driver.times == 1
