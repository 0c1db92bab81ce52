"""Flags and environment to settings, one small module a command; exit codes."""
