"""The one data format: read it, check it, make it from other layouts."""
