"""Benchmarks of the snapshot control plane, measured from outside: any implementation, any cluster.

`python -m benchmarks` has the scenarios; one process starts the server, the driver and the subjects
(the processes that are measured), and asks for snapshots as a user does. A figure is read from the
kernel (`processes`), from the server's own counters (`counters`), or off the watch of one client
(`lives`): never from a subject. `benchmarks/micro` has what single operations cost.

How a real control plane is built and started is in `tests/support`, which this package reads too.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
