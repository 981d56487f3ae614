"""The drawn world, and whether a sentence about it is true."""
