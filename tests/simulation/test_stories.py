"""Random stories in which anything may fail: every one settles, and nothing is lost or leaked.

A story is all that follows from one seed. STORIES of them are told (each run of CI the same ones;
`just sim` goes on from a seed of its own, FIRST_SEED). The message about one that ends badly has
its seed, and the fewest steps with which it still does; `FIRST_SEED=<seed> STORIES=1 pytest
tests/simulation` replays it.
"""

import asyncio
import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from simulated import stories

STORIES = int(os.environ.get("STORIES", "5000"))
FIRST_SEED = int(os.environ.get("FIRST_SEED", "0"))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    before = structlog.get_config()
    wrapper = structlog.make_filtering_bound_logger(logging.CRITICAL)  # half of the time is logs
    structlog.configure(wrapper_class=wrapper)
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()
    structlog.configure(**before)


def test_every_story_ends_well(loop: asyncio.AbstractEventLoop) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + STORIES):
        story = stories.of_seed(seed)
        if stories.play(story, loop) is not None:
            shortest = stories.shorten(story, loop)
            told = "\n".join(f"  {line.step} ({line.seed})" for line in shortest.lines)
            message = f"FIRST_SEED={seed} STORIES=1 replays it: {shortest.setting}\n{told}"
            raise AssertionError(message) from stories.play(shortest, loop)
