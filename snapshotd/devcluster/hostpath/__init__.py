"""A CSI driver that keeps volumes and snapshots as real directories.

`server` serves it on a unix socket; `identity`, `service` and `group_service` answer the calls, in
the words of `answers`, with `interceptor` around each and `fields` at its door; `workshop` does
their work to its end; `shelf` keeps the directories and `groups` which of them belong together,
`copying` copies trees, `faults` makes all of it fail on purpose.
"""
