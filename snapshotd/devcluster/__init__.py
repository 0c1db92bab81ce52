"""The embedded default: an API server, a CSI driver and a provisioner, all in this process.

Never imported by the roles that run in a cluster, and importing nothing of them: what stands here
could be replaced by a real cluster without a change elsewhere.
"""
