"""The command: draw again and again, or tell once."""

import sys
import types
from collections.abc import Sequence
from typing import Final

import anyio
import msgspec

from snapshotd import errors, settings
from snapshotd.app.status import survey, watching
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import failures

STUCK: Final = 4  # the exit code, as that of `explain` where somebody must act


async def run(values: settings.Watching, endpoints: Sequence[str]) -> int:
    """Show the state of all snapshots; return the exit code: 4 where one is stuck, else 0."""
    if values.output == "text":
        _show()
    try:
        told = await _watch(values, endpoints)
    except ExceptionGroup as group:  # of the tasks that watch
        raise failures.told(group) from None
    if told is None:
        return 0
    if values.output == "json":
        print(msgspec.json.format(msgspec.json.encode(told)).decode(), flush=True)  # noqa: T201 - the output
    else:
        show = _show()
        show.console().print(show.draw(told))
    return STUCK if told.stuck_total or told.groups.stuck_total else 0


async def _watch(values: settings.Watching, endpoints: Sequence[str]) -> survey.Survey | None:
    """Return what there is to tell once, None after a live view."""
    time = clocks.SystemClock()
    limits = survey.Limits(values.stuck_after)
    async with watching.watched(values.kubeconfig, values.namespace, time) as cache:
        if values.output == "text" and not values.once and sys.stdout.isatty():
            await _live(cache, values, endpoints, limits=limits, time=time)
            return None
        told = survey.of(cache, time.now(), limits)
        return msgspec.structs.replace(told, endpoints=await watching.asked(endpoints))


async def _live(
    cache: watching.Cache,
    values: settings.Watching,
    endpoints: Sequence[str],
    *,
    limits: survey.Limits,
    time: clocks.Clock,
) -> None:
    """Draw until interrupted."""
    show = _show()
    rates = watching.Rates(time)
    cache.subscribe(rates.observe)
    with show.live(show.console()) as screen:
        while True:
            told = survey.of(cache, time.now(), limits)
            told = msgspec.structs.replace(
                told,
                endpoints=await watching.asked(endpoints),
                throughput=rates.add_to(told.throughput),
            )
            screen.update(show.draw(told), refresh=True)
            await anyio.sleep(values.interval)


def _show() -> types.ModuleType:
    """Return the module that draws; raises `Misconfigured` where rich is not installed."""
    try:
        from snapshotd.app.status import show  # noqa: PLC0415 - rich is for people, and here alone
    except ModuleNotFoundError as error:
        raise errors.Misconfigured(
            f"to draw, snapshotd status needs {error.name}: install it with  pip install "
            "'snapshotd[dev]', or take -o json"
        ) from None
    return show
