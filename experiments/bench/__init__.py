"""Every speed that is quoted."""
