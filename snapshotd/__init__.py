"""snapshotd: the volume-snapshot control plane of Kubernetes.

*A change wakes a key; an actor takes the key, looks at the cache, **decides** without touching the
world, **performs** what was decided, and forgets.*

The layers, each importing only what stands to its right (`a | b`: neither imports the other):

    cli > app > devcluster | actors | kube | csi > runtime | decide > telemetry > model
        > settings | errors

- `model`       what things are: the fields we read of each Kubernetes object, and every wire string
- `decide`      what should happen: pure functions from a view to a decision
- `runtime`     how keys move: cache, work queue, actor; knows nothing of snapshots
- `kube`, `csi` the cluster and the driver: the only importers of an HTTP client and of gRPC
- `actors`      the shell around `decide`: look, decide, perform
- `telemetry`   logs, metrics, the HTTP endpoint
- `devcluster`  the embedded default: an API server, a CSI driver and a provisioner
- `app`, `cli`  what builds the parts, and the commands

Read next: `decide/__init__.py` (who owns which field), then `decide/binding.py`, then
`actors/binding.py`, then `app.py`.
"""
