"""The shell: look, decide, perform; no rules of its own.

An actor builds a view from the cache, asks its decider, and performs what was decided through the
ports. `roles` joins queues, actors and routing; `memory` is all that an actor remembers.
"""
