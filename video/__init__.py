"""Clips: their frames with times, whatever file they are in, and the features of those."""
