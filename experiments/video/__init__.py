"""How good models of clips are: labels of frames, and paragraphs."""
