"""Composition roots: each part built once, all of them run in one task group.

`controller` and `sidecar` run the roles as a cluster does, each a `process.RoleProcess`; `local`
runs them over the embedded default.
"""
