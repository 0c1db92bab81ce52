"""A CSI driver that keeps volumes and snapshots as real directories.

`server` serves it on a unix socket; `identity` and `service` answer the calls, with `interceptor`
around each and `fields` at its door; `workshop` does their work to its end; `shelf` keeps the
directories, `copying` copies trees, `faults` makes all of it fail on purpose.
"""
