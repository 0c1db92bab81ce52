"""What should happen: pure functions from a view to a decision."""
