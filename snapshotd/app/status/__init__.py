"""`snapshotd status`: how all snapshots are, from a kubeconfig alone.

`watching` keeps a cache of them and asks the endpoints that are given, `survey` counts and sorts
what is in it, `show` draws (rich is imported there alone), `command` is the loop.
"""
