"""The captioning task: captioner, checkpoint, ensemble, objectives, evaluation, photos, gallery."""
