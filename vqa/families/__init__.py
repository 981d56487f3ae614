"""The model families of the survey: a page each, beside its paper, on shared parts."""
