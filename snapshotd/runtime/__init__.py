"""How keys move: knows nothing of snapshots.

In the order in which a change passes through:

- `store`       the one cache; keeps what is newer and tells its subscribers, by a plain call
- `workqueue`   merges the woken keys and hands each out when it is due, to one hand at a time
- `turns`       whose turn it is among the keys that are due: priority, fairness, no starvation
- `actor`       takes keys, has them reconciled under a deadline, and settles what became of each
- `chronicle`   what actors did and what failed lately; `waiting`: what is in a queue, to look at
- `sweep`       asks of every key, slowly, whether something was overlooked; it should find nothing
- `supervisor`  starts and stops the parts of a process, and turns a failure into an exit code
- `garbage`     keeps the collector away from what is cached; `lag`: how late the event loop is
- `failures`    which error it is, when task groups have wrapped it
- `clock`       where all of them have the time from
"""
