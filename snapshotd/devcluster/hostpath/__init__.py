"""A CSI driver that keeps volumes and snapshots as real directories.

`server` serves it on a unix socket, `service` answers the calls, `workshop` does their work to its
end, `shelf` keeps the directories, `copying` copies trees, `faults` makes it fail on purpose.
"""
