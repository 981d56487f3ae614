"""Pictures to features, once and fast."""
