"""The part of a driver's port that a story without groups does not need."""

from typing import NoReturn


class NoGroups:
    """A driver that nobody asks about groups."""

    async def create_group(self, call: object, credentials: object) -> NoReturn:
        raise AssertionError(f"no group is cut here: {call} {credentials}")

    async def delete_group(self, call: object, credentials: object) -> NoReturn:
        raise AssertionError(f"no group is deleted here: {call} {credentials}")

    async def check_group(self, call: object, credentials: object) -> NoReturn:
        raise AssertionError(f"no group is asked for here: {call} {credentials}")
