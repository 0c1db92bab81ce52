"""Frozen groups of settings, by concern: unit, default and reason under every field."""
