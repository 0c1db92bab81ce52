"""The kinds every cluster has, as far as volumes and their snapshots need them.

`shapes` are words to write schemas with; `core`, `storage` and `others` hold the kinds; `behaviour`
what a kind does beyond its schema.
"""

from snapshotd.devcluster.apiserver.builtin import core, others, storage

RESOURCES = (*core.RESOURCES, *storage.RESOURCES, *others.RESOURCES)
