"""Captioning with words of the encoder's classifier, and from texts without pictures."""
