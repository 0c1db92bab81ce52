"""The command: `python -m benchmarks SCENARIO`."""

import argparse
import datetime as dt
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import gobuild

from benchmarks import client, command, progress, results, scene, subjects

_KNOWN = (subjects.Unusable, gobuild.Unobtainable, client.Failed)


async def _play(given: argparse.Namespace, folder: Path) -> list[results.Result]:
    for each in given.subject:
        subjects.built(subjects.load(each))  # before anything is started
    options = scene.Options(
        server=given.server,
        kubeconfig=given.kubeconfig,
        patience=given.patience,
        concurrency=given.concurrency,
        logs=folder / "logs",
    )
    run: command.Run = given.run
    async with scene.opened(options, progress.Progress(), given.resync) as stand:
        return await run(given, stand)


def _folder(given: argparse.Namespace) -> Path:
    if given.out is not None:
        return Path(given.out).absolute()
    at = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    return Path.cwd() / "build" / "benchmarks" / f"{at}-{given.scenario}"


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions for cause in _causes(each)]
    return [error]


def _tell(given: argparse.Namespace) -> int:
    """Draw or write what was found before."""
    from benchmarks import page, plots  # noqa: PLC0415 - matplotlib is for who draws

    reports = [results.load(path) for path in given.result]
    if given.scenario == "page":
        made = page.write(reports, given.out)
    else:
        made = [picture for told in reports for picture in plots.draw(told, given.out)]
    print("\n".join(f"written: {each}" for each in made))
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run a scenario and show what it found; return the exit code."""
    given = command.parser().parse_args(words)
    if given.scenario in {"plot", "page"}:
        return _tell(given)
    folder = _folder(given)
    try:
        found = anyio.run(functools.partial(_play, given, folder))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        causes = _causes(error)
        if not all(isinstance(each, _KNOWN) for each in causes):
            raise
        print("\n".join(str(each) for each in causes), file=sys.stderr)
        return 1
    told = results.report(given.scenario, given.server, found)
    path = results.save(told, folder)
    results.show(told)
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
