"""`snapshotd explain`: why it is not ready, or not gone, and who must act.

`facts` is what was read, `reading` reads it (and never writes), `walk` asks the rules of `decide`
about it in the order in which things happen, `advice` says who can help and how, `show` prints.
"""
