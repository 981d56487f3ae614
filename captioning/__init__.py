"""The captioning task: captioner, checkpoint, objectives, evaluation, gallery, card, ensemble."""
