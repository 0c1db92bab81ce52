"""What the scenarios are told on the command line, and the plans made of it."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import failover, latency, reconcile, results, scene, servers, soak, startup
from benchmarks import subjects as implementations

Run = Callable[[argparse.Namespace, scene.Scene], Awaitable[list[results.Result]]]
_Scenarios = argparse._SubParsersAction  # noqa: SLF001 - argparse names the type nowhere else


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure a snapshot control plane from outside, alone or beside another.",
    )
    scenarios = made.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    _reconcile(scenarios)
    _startup(scenarios)
    _latency(scenarios)
    _failover(scenarios)
    _soak(scenarios)
    drawing = scenarios.add_parser("plot", help="draw plots of results that were written before")
    drawing.add_argument("result", type=Path, nargs="+", help="result.json of a run")
    drawing.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    told = "write a page of results that were written before, with its pictures beside it"
    writing = scenarios.add_parser("page", help=told, description=told)
    writing.add_argument("result", type=Path, nargs="+", help="result.json of each run")
    writing.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"), help="the page")
    return made


def _scenario(
    scenarios: "_Scenarios[argparse.ArgumentParser]", name: str, told: str, run: Run
) -> argparse.ArgumentParser:
    made = scenarios.add_parser(
        name,
        help=told,
        description=told,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.set_defaults(run=run)
    add = made.add_argument
    add(
        "--subject",
        nargs="+",
        default=["snapshotd"],
        help="what is measured, in turns: names in benchmarks/subjects, or TOML files; ratios are "
        "of the first to the last",
    )
    add(
        "--server",
        choices=servers.KINDS,
        default="embedded",
        help="the API server: ours, a real one (KUBEBUILDER_ASSETS, or built once with Go), or "
        "any by --kubeconfig",
    )
    add("--kubeconfig", type=Path, help="of an administrator, for --server kubeconfig")
    add("--concurrency", type=int, default=32, help="requests of the load generator at once")
    add("--patience", type=float, default=900.0, help="seconds that one phase may take")
    add("--resync", default="15m", help="resync period of the subjects")
    add("--out", type=Path, help="folder for results and logs; without it, one named by the time")
    return made


def _rounds(made: argparse.ArgumentParser) -> None:
    made.add_argument("--rounds", type=int, default=1, help="rounds; every subject is in each")


def _settled(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--settled", type=int, default=0, metavar="N", help="ready snapshots that are there before"
    )


def _subjects(given: argparse.Namespace) -> tuple[implementations.Subject, ...]:
    return tuple(implementations.load(each) for each in given.subject)


def _reconcile(scenarios: "_Scenarios[argparse.ArgumentParser]") -> None:
    async def run(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
        plan = reconcile.Plan(
            subjects=_subjects(given),
            counts=tuple(given.count),
            claims=given.claims,
            rounds=given.rounds,
            closed_loop=given.closed_loop,
            settled=given.settled,
            profile=given.profile,
        )
        return await reconcile.run(stand, plan)

    made = _scenario(scenarios, "reconcile", "N snapshots over M claims: ready, then gone", run)
    _rounds(made)
    _settled(made)
    add = made.add_argument
    add("--count", type=int, nargs="+", default=[1000], metavar="N", help="snapshots in a round")
    add("--claims", type=int, default=0, metavar="M", help="claims; 0 is one for each snapshot")
    add(
        "--closed-loop",
        action="store_true",
        help="ask for the next only when one is ready: --concurrency are then under way at once",
    )
    add("--profile", action="store_true", help="py-spy beside the subjects; stacks go to the logs")


def _startup(scenarios: "_Scenarios[argparse.ArgumentParser]") -> None:
    async def run(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
        plan = startup.Plan(_subjects(given), tuple(given.count), given.rounds, given.asked)
        return await startup.run(stand, plan)

    told = "a cold start with N settled snapshots, and new ones asked for from the first second"
    made = _scenario(scenarios, "startup", told, run)
    _rounds(made)
    add = made.add_argument
    add("--count", type=int, nargs="+", default=[1000], metavar="N", help="settled snapshots")
    add("--asked", type=int, default=15, help="new snapshots, a second apart")


def _latency(scenarios: "_Scenarios[argparse.ArgumentParser]") -> None:
    async def run(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
        plan = latency.Plan(
            subjects=_subjects(given),
            count=given.count,
            probes=given.probes,
            apart=given.apart,
            rounds=given.rounds,
            settled=given.settled,
        )
        return await latency.run(stand, plan)

    told = "one namespace asks for a snapshot now and then while another's backlog is worked off"
    made = _scenario(scenarios, "latency", told, run)
    _rounds(made)
    _settled(made)
    add = made.add_argument
    add("--count", type=int, default=1000, metavar="N", help="snapshots of the backlog")
    add("--probes", type=int, default=100, help="snapshots of the other namespace, at most")
    add("--apart", type=float, default=0.1, help="seconds between two of them")


def _failover(scenarios: "_Scenarios[argparse.ArgumentParser]") -> None:
    async def run(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
        return await failover.run(stand, failover.Plan(_subjects(given), given.rounds))

    told = "the leader of two replicas dies, or stops: how long until the next snapshot is ready"
    _rounds(_scenario(scenarios, "failover", told, run))


def _soak(scenarios: "_Scenarios[argparse.ArgumentParser]") -> None:
    async def run(given: argparse.Namespace, stand: scene.Scene) -> list[results.Result]:
        return await soak.run(stand, soak.Plan(_subjects(given), given.rate, given.minutes))

    made = _scenario(scenarios, "soak", "a steady rate for minutes: is it flat?", run)
    made.add_argument("--rate", type=float, default=5.0, help="snapshots a second")
    made.add_argument("--minutes", type=float, default=5.0, help="how long, cut into ten slices")
