"""How good captions of strangers' photographs are, and what is known of these."""
