"""Composition roots: builds each part once and runs them in one task group."""
