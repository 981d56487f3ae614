"""Cross-entropy of captions of pictures, and of sentences without pictures beside them.

    Batch --WithText--> objective, loss, words

Shape letters:  P pictures   B captions   T tokens   L grid cells   n cells with words behind them
"""

from captioning.objectives import CrossEntropy
from system.processor import to_device


class WithText(CrossEntropy):
    """Cross-entropy, to which each step adds the mean over the words of drawn sentences.

    It is weighed as if it were that of `weight` words for every word of the batch. Loss and words
    are the pictures' alone.

    embed: the `ConceptEmbedding` in the encoder.  text: a `Text`, or None.  size: sentences a step.
    """

    def __init__(self, encoder, embed, decoder, smoothing, text, size, weight):
        super().__init__(encoder, decoder, smoothing)
        self.embed, self.text, self.size, self.weight = embed, text, size, weight

    def forward(self, batch):
        """Return the objective, the batch's cross-entropy in it, and the batch's words."""
        features = self.encoder(batch.images)
        objective, loss, count = self.of(features, batch.captions, batch.lengths)
        if self.training and self.text:
            objective = objective + self.weight * count * self.text_loss(features)
        return objective, loss, count

    def text_loss(self, features):
        """Return the mean objective of sentences; features of pictures tell how many cells are
        absent."""
        captions, lengths, certain = self.text.draw(self.size)
        read = self.embed.without_picture(to_device(certain, features.device),
                                          features.shape[1] - self.embed.beside)
        objective, _, words = self.of(read, to_device(captions, features.device), lengths)
        return objective / words

    def hidden(self, features, captions):
        """Return hidden states (B, T, H) and, for the regularizer, the weights of the grid's cells.
        """
        hidden, weights = super().hidden(features, captions)
        if weights is not None and weights.shape[2] == features.shape[1]:   # not hard attention's
            weights = weights[..., :-self.embed.beside]
        return hidden, weights
