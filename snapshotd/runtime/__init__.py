"""How keys move: cache, work queue, actor; knows nothing of snapshots."""
