"""Failing on purpose: knobs for tests and demonstrations.

Turned in this process by setting `Faults.plan`, or from outside by a file `faults.json` in the data
folder, read again whenever it changes:

    {"ready_after": 3.0,
     "methods": {"CreateSnapshot": {"latency": 0.5, "code": "INTERNAL", "times": 2},
                 "DeleteSnapshot": {"hang": true},
                 "ListSnapshots":  {"code": "UNAVAILABLE", "lose_answer": true}}}

The invariant: a plan that cannot be understood is told and changes nothing.
"""

from pathlib import Path

import grpc
import msgspec
import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to calls of one method.

    `latency` in seconds, before anything else; `code` is a gRPC status code's name; `hang` never
    answers; `lose_answer` does the work first and fails then (UNAVAILABLE unless `code` or `hang`
    say otherwise); `times` is how many calls it hits, 0 for all.
    """

    latency: float = 0.0
    code: str = ""
    times: int = 0
    lose_answer: bool = False
    hang: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no status code of a failure; msgspec tells where it stands."""
        if self.code and (self.code == "OK" or self.code not in grpc.StatusCode.__members__):
            raise ValueError(f"{self.code!r} is no gRPC status code of a failure")


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All faults; `ready_after` is the seconds until a new snapshot is ready to use."""

    ready_after: float = 0.0
    methods: dict[str, Fault] = {}


class Faults:
    """The plan in force, and how often each of its faults has struck."""

    def __init__(self, file: Path) -> None:
        """Follow this file; without it, `plan` is what is set here."""
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self.plan = Plan()

    @property
    def plan(self) -> Plan:
        """The plan in force; a new one counts from nothing."""
        return self._plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self._plan = plan
        self._struck: dict[str, int] = {}

    def current(self) -> Plan:
        """Return the plan in force, read again if the file changed."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            if self._seen is not None:
                self._seen, self.plan = None, Plan()
            return self.plan
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self.plan = msgspec.json.decode(self._file.read_bytes(), type=Plan)
            except (msgspec.DecodeError, OSError) as error:
                log.warning("faults_not_understood", file=str(self._file), error=str(error))
        return self.plan

    def strike(self, method: str) -> Fault:
        """Return what happens to this call of a method."""
        fault = self.current().methods.get(method, Fault())
        if fault.times:
            struck = self._struck[method] = self._struck.get(method, 0) + 1
            if struck > fault.times:
                return Fault()
        return fault
