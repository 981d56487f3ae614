"""What notebooks draw."""
