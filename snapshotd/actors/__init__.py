"""The shell: look, decide, perform; no rules of its own."""
