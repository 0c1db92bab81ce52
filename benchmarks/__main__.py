"""The command: `python -m benchmarks SCENARIO`."""

import argparse
import datetime as dt
import functools
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import gobuild

from benchmarks import client, progress, reconcile, results, scene, servers, subjects

_Run = Callable[[argparse.Namespace, scene.Scene], Awaitable[list[results.Result]]]


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scenarios = made.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    told = "N snapshots over M claims: ready, then gone"
    one = _scenario(scenarios, "reconcile", told)
    one.add_argument(
        "--count", type=int, nargs="+", default=[1000], metavar="N", help="snapshots a round"
    )
    one.add_argument(
        "--claims", type=int, default=0, metavar="M", help="claims; 0 is one for each snapshot"
    )
    one.add_argument(
        "--closed-loop",
        action="store_true",
        help="ask for the next only when one is ready: --concurrency are then under way at once",
    )
    one.add_argument("--settled", type=int, default=0, help="ready snapshots that are there before")
    one.add_argument(
        "--profile", action="store_true", help="py-spy beside the subjects; its stacks go to logs"
    )
    one.set_defaults(run=_reconcile)
    return made


def _scenario(
    scenarios: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, told: str
) -> argparse.ArgumentParser:
    made = scenarios.add_parser(
        name,
        help=told,
        description=told,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument(
        "--subject",
        nargs="+",
        default=["snapshotd"],
        help="what is measured, in turns: names in benchmarks/subjects, or TOML files; ratios are "
        "of the first to the last",
    )
    made.add_argument("--server", choices=servers.KINDS, default="embedded", help="API server")
    made.add_argument("--kubeconfig", type=Path, help="for --server kubeconfig")
    made.add_argument("--rounds", type=int, default=1, help="rounds, each with every subject")
    made.add_argument("--concurrency", type=int, default=32, help="client requests at once")
    made.add_argument("--patience", type=float, default=900.0, help="seconds for one phase at most")
    made.add_argument("--resync", default="15m", help="resync period of the subjects")
    made.add_argument(
        "--out", type=Path, help="folder for results and logs; without it, one named by the time"
    )
    return made


async def _reconcile(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
    plan = reconcile.Plan(
        subjects=tuple(subjects.load(each) for each in given.subject),
        counts=tuple(given.count),
        claims=given.claims,
        rounds=given.rounds,
        closed_loop=given.closed_loop,
        settled=given.settled,
        profile=given.profile,
    )
    return await reconcile.run(stand, plan)


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
    run: _Run = given.run
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


def main(words: Sequence[str] | None = None) -> int:
    """Run a scenario and show what it found; return the exit code."""
    given = _parser().parse_args(words)
    folder = _folder(given)
    try:
        found = anyio.run(functools.partial(_play, given, folder))
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        causes = _causes(error)
        known = (subjects.Unusable, gobuild.Unobtainable, client.Failed)
        if not all(isinstance(each, known) for each in causes):
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
