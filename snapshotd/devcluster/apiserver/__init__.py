"""A Kubernetes-compatible API server in this process: what `snapshotd dev` and the tests stand on.

A request takes this path: `server` (TLS, token) > `routing` (path -> resource and verb) > the
verb's module, which asks
`resources` what is served, `storage` for objects and versions, `crd`/`builtin`
for validation, `patches` for the new state, `tables` for how it is printed.
"""
