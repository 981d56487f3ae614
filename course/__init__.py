"""Exercises, the student's folder, handing in, running notebooks."""
