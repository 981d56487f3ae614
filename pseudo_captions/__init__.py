"""Captions for pictures that have only questions, lent by sentences of other pictures."""
