"""Every speed we quote."""
