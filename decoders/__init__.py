"""Features to words: attention, transformer, and the search that drives all of them."""
