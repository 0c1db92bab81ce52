"""A world small enough to think about: an API, a driver and our roles, in which anything may fail.

The deciders, actors and caches in it are the real ones. The API knows versions, preconditions,
finalizers and deletion; its watches deliver when they are told to. Nothing waits for real time.
"""

from simulated.api import Api
from simulated.driver import Storage
from simulated.faults import DriverFault
from simulated.gates import Crash
from simulated.objects import NAMESPACE, bound_claim, snapshot_class
from simulated.process import DRIVER, Fault, Process, Waiting, Writer

__all__ = [
    "DRIVER",
    "NAMESPACE",
    "Api",
    "Crash",
    "DriverFault",
    "Fault",
    "Process",
    "Storage",
    "Waiting",
    "Writer",
    "bound_claim",
    "snapshot_class",
]
