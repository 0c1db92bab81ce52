"""What should happen: pure functions from a view to a decision.

No async, no logger, no clock: `(view, policy, now) -> Decision`. Every decision is level-triggered:
it rests on the objects as they are, so it is right after a crash between any two intents, and once
its intents are done, deciding again yields none.

Who owns what (one decider a field; nobody else writes it):

| object                | field                                        | owner                  |
|-----------------------|----------------------------------------------|------------------------|
| VolumeSnapshot        | finalizers: adding                           | `binding`              |
| VolumeSnapshot        | finalizers: removing                         | `release`              |
| VolumeSnapshot        | spec.volumeSnapshotClassName, where unset    | `binding`              |
| VolumeSnapshot        | status                                       | `binding`              |
| VolumeSnapshotContent | the object: creating                         | `binding`              |
| VolumeSnapshotContent | spec.volumeSnapshotRef.uid, class, if unset  | `binding`              |
| VolumeSnapshotContent | managed-by label                             | `contents`             |
| VolumeSnapshotContent | finalizer: adding                            | `binding`              |
| VolumeSnapshotContent | the object: deleting; being-deleted mark     | `release`              |
| VolumeSnapshotContent | status; being-created mark                   | `creation`             |
| VolumeSnapshotContent | status.snapshotHandle of a lost cut          | `deletion`             |
| VolumeSnapshotContent | finalizer: removing                          | `deletion`             |
| PersistentVolumeClaim | finalizer                                    | `protection`           |
| the storage system    | the snapshot: cutting                        | `creation`, `deletion` |
| the storage system    | the snapshot: deleting                       | `deletion`             |

`binding` (with `pairing`, `contents` and `publishing`), `release` and `protection` run in the
controller; `creation` and `deletion` beside the driver. `deletion` cuts only to find out what a
lost call left behind, and writes down what it finds.
"""
