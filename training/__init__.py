"""The engine: a run, resumable at any moment."""
