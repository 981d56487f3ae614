"""Every figure that is quoted, and the tables they fill."""
