"""Composition roots: each part built once, all of them run in one task group.

`production` runs the roles as a cluster does; `local` runs them over the embedded default.
"""
