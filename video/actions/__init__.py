"""Dense labels: what is going on in every frame of a clip, by an LSTM and its variants."""
