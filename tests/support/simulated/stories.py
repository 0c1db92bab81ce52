"""A story: a setting and steps, all from one seed; found bad, it is told in as few steps as can be.

Every step has a seed of its own, so that what is left of a story when steps are dropped still goes
the same way.
"""

import asyncio
import dataclasses
import itertools
import random as randoms

from simulated import endings, group_people, machines, people, world

_STEPS = {**people.STEPS, **group_people.STEPS, **machines.STEPS}
_BY_NAME = {each.__name__: each for each in _STEPS}


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One step of a story, and the seed of all that is random in it."""

    step: str
    seed: int


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """A setting and what happens in it."""

    setting: world.Setting
    lines: tuple[Line, ...]


def of_seed(seed: int) -> Story:
    """Return the story of a seed; each has its own taste in steps."""
    random = randoms.Random(seed)  # noqa: S311 - stories, not secrets
    setting = world.Setting(
        can_list=random.random() < 0.5,
        polls=random.choice([0, 0, 1, 2]),
        distributed=random.random() < 0.25,
        luck=random.choice([0.0, 0.03, 0.1, 0.3]),
    )
    weights = [weight * random.choice([0, 1, 1, 1, 3]) for weight in _STEPS.values()]
    length = random.choice([6, 12, 20, 30])
    steps = random.choices([each.__name__ for each in _STEPS], weights, k=length)
    return Story(setting, tuple(Line(step, random.getrandbits(32)) for step in steps))


def play(story: Story, loop: asyncio.AbstractEventLoop) -> BaseException | None:
    """Play a story to its end; return what went wrong, if anything did."""
    try:
        told = world.World(loop, story.setting)
        for line in story.lines:
            random = randoms.Random(line.seed)  # noqa: S311 - stories, not secrets
            _BY_NAME[line.step](told, random)
            told.check_overlooked()
        endings.end(told)
    except Exception as problem:  # noqa: BLE001 - any exception at all is what we look for
        return problem
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    return None


def shorten(story: Story, loop: asyncio.AbstractEventLoop, plays: int = 400) -> Story:
    """Return the story without the steps that it ends badly without."""
    size = max(1, len(story.lines) // 2)
    budget = itertools.count()
    while size:
        at = 0
        while at < len(story.lines) and next(budget) < plays:
            lines = story.lines[:at] + story.lines[at + size :]
            shorter = dataclasses.replace(story, lines=lines)
            if play(shorter, loop) is None:
                at += size
            else:
                story = shorter
        size //= 2
    return story
