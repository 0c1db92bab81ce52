"""Where a subject's Python spends its time: py-spy beside it while a round is measured.

Not for figures: a profiled process is slower. Only samples that hold the interpreter lock count, so
that waiting is not taken for work.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import subjects

_RATE = "200"  # samples a second


@contextlib.contextmanager
def profiled(running: Mapping[str, subjects.Running], folder: Path) -> Iterator[None]:
    """Write `ROLE.raw` (collapsed stacks) for every role; raises `Unusable` without py-spy."""
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise subjects.Unusable("--profile needs py-spy: pip install py-spy")
    watching = []
    for name, each in running.items():
        words = ["--pid", str(each.pid), "--output", str(folder / f"{name}.raw")]
        command = [program, "record", "--gil", "--format", "raw", "--rate", _RATE, *words]
        quiet = subprocess.DEVNULL
        watching.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
    try:
        yield
    finally:
        for spy in watching:
            spy.send_signal(signal.SIGINT)
        for spy in watching:
            with contextlib.suppress(subprocess.TimeoutExpired):
                spy.wait(timeout=20)


def summary(raw: str, most: int = 25) -> list[str]:
    """Return the functions of collapsed stacks by their share: own time, and with callees."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = max(1, own.total())
    return [
        f"{own[name] / total:6.1%} {count / total:6.1%}  {name})"
        for name, count in whole.most_common(most)
    ]
