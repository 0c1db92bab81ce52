"""What the process tells of itself: `logging`, `metrics`, and the HTTP `endpoint` with its health.

Stands below the runtime, so that every other layer can log and count; knows none of them.
"""
