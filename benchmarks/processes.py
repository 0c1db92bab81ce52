"""What the kernel says that processes used: CPU seconds and memory, children included."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """Return a process and its descendants; those that ended meanwhile are left out."""
    found = [pid]
    for each in found:  # grows while it is walked
        for listed in _PROC.glob(f"{each}/task/*/children"):
            try:
                found += [int(child) for child in listed.read_text().split()]
            except OSError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process and its living descendants have used; 0 if it is gone."""
    total = 0.0
    for each in family(pid):
        try:
            fields = (_PROC / str(each) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process and its descendants ever had resident."""
    return _memory(pid, "VmHWM:")


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process and its descendants have resident."""
    return _memory(pid, "VmRSS:")


def _memory(pid: int, field: str) -> float:
    total = 0
    for each in family(pid):
        try:
            lines = (_PROC / str(each) / "status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(field))
    return total / 1024


def cpu_of(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of each."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def machine() -> dict[str, str]:
    """Return what a reader of the figures must know of this machine."""
    model = _first("/proc/cpuinfo", "model name")
    memory = _first("/proc/meminfo", "MemTotal").split()
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[0]) / 1024**2:.0f} GiB" if memory else "unknown",
        "system": f"{os.uname().sysname} {os.uname().release}",
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }


def _first(path: str, field: str) -> str:
    lines: Iterable[str] = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
