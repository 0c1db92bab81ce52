"""What should happen: pure functions from a view to a decision.

No async, no logger, no clock: `(view, policy, now) -> Decision`. Every decision is level-triggered:
it rests on the objects as they are, so it is right after a crash between any two intents, and once
its intents are done, deciding again yields none.

Who owns what (one decider a field; nobody else writes it):

| object                | field                                        | owner                  |
|-----------------------|----------------------------------------------|------------------------|
| VolumeSnapshot        | the object, a group's member: creating       | `members`              |
| VolumeSnapshot        | the object, a group's member: deleting       | `release`              |
| VolumeSnapshot        | finalizers: adding; a given member's owner   | `binding`              |
| VolumeSnapshot        | finalizers: removing                         | `release`              |
| VolumeSnapshot        | spec.volumeSnapshotClassName, where unset    | `binding`              |
| VolumeSnapshot        | status                                       | `binding`              |
| VolumeSnapshotContent | the object: creating                         | `binding`              |
| VolumeSnapshotContent | spec.volumeSnapshotRef.uid, class, if unset  | `binding`              |
| VolumeSnapshotContent | managed-by label                             | `contents`             |
| VolumeSnapshotContent | finalizer: adding                            | `binding`              |
| VolumeSnapshotContent | the object: deleting; being-deleted mark     | `release`              |
| VolumeSnapshotContent | status; being-created mark                   | `creation`             |
| VolumeSnapshotContent | status, where it was cut with a group        | `contents`             |
| VolumeSnapshotContent | status.snapshotHandle of a lost cut          | `deletion`             |
| VolumeSnapshotContent | finalizer: removing                          | `deletion`             |
| PersistentVolumeClaim | finalizer                                    | `protection`           |
| the group kinds       | as the two above, each                       | as there               |
| the storage system    | the snapshot: cutting                        | `creation`, `deletion` |
| the storage system    | the snapshot: deleting                       | `deletion`             |

`binding` (with `drafts`, `pairing`, `members`, `contents` and `publishing`), `release` and
`protection` run in the controller; `creation` (with `reports`) and `deletion` beside the driver.
`deletion` cuts only to find out what a lost call left behind, and writes down what it finds.

A group is a snapshot to these rules, and its content a content: what differs is in the words of its
`family` (`model.families`), and in what only a group has, its members (`members`).
"""
