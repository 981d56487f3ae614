"""Every figure we quote, and the tables they fill."""
