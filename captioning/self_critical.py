"""Self-critical training: the captions a model samples are rewarded by their CIDEr-D.

    features (P, ...) --sample--> n captions a picture --CIDEr-D--> rewards (P, n)
    objective = - sum over samples of (reward - mean reward of the picture's other samples)
                                    * log-probability of the sample

Cross-entropy teaches the next word after a true beginning; what is judged are whole sentences after
the model's own beginnings. Rennie et al. 2017 (arXiv:1612.00563) train for the judgement itself, by
REINFORCE. Their baseline is the greedy caption; the mean of the other samples (Luo 2020,
arXiv:2003.09971) needs no decoding of its own and is better.

A named object that no caption of the picture names can cost some of the reward, so that CHAIR is
taught beside CIDEr-D, which forgives such words.

`<end>` counts as a word, in samples and references: otherwise "a man on a" would score better than
the whole sentence. One at which a sample was cut off is neither rewarded nor taught. The words are
those that the scorer counts, without punctuation.

Shape letters:  P pictures   n samples of each   T tokens   V vocabulary
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from captioning.objectives import counted
from decoders.search import Search, search
from scoring import ptb
from scoring.chair import absent
from scoring.objects import known_by
from scoring.scores import CiderD
from vocabulary import END_ID, END_WORD


class Rewards:
    """CIDEr-D of sampled captions against the training captions of their pictures.

    hallucination: what each object costs that a sample names and none of these captions knows of.
    """

    def __init__(self, split, vocab, hallucination=0.0):
        self.vocab, self.cost = vocab, hallucination
        self.known = [known_by(one.sentences) for one in split.pictures] if self.cost else []
        self.scorer = CiderD([[self.words(sentence) for sentence in picture.sentences]
                              for picture in split.pictures])

    def words(self, sentence, ended=True):
        """Return the tokens of a sentence and, if it was ended and not cut off, `<end>`."""
        return (*ptb.tokenize(sentence), *([END_WORD] if ended else []))

    def of(self, captions, pictures, longest):
        """Return the rewards (N,) of captions, lists of ids, about pictures given by number.

        longest: ids at which a caption is cut off; an `<end>` that stands there was not its own.
        """
        said = [self.words(self.vocab.decode(caption), len(caption) < longest)
                for caption in captions]
        rewards = torch.as_tensor(self.scorer.scores(said, pictures), dtype=torch.float32)
        if self.cost:
            rewards -= self.cost * torch.tensor([
                len({one.label for one in absent(self.vocab.decode(caption), self.known[picture])})
                for caption, picture in zip(captions, pictures, strict=True)])
        return rewards


class SelfCritical(nn.Module):
    """The reward of sampled captions as the objective of a step; its loss is minus the reward."""

    def __init__(self, encoder, decoder, rewards, samples, max_length=24):
        super().__init__()
        self.encoder, self.decoder, self.rewards, self.samples = encoder, decoder, rewards, samples
        self.max_length = max_length

    def forward(self, batch):
        """Return the objective, minus the mean reward times the words, and the number of words.

        batch: a `data_loader.Batch`, whose captions are not read.
        """
        features = self.encoder(batch.images)
        # drawn without dropout, as in use; the gradient has it, or samples are learned by heart
        captions, pictures = self.draw(features.detach(), batch.pictures)
        given = pad_sequence([torch.tensor(one) for one in captions], True, END_ID)
        given = given.to(features.device)
        rewards = self.rewards.of(captions, pictures, self.sampling().max_length)
        rewards = rewards.view(-1, self.samples)
        # the baseline: it lowers the variance, and must not depend on the sample itself
        others = (rewards.sum(dim=1, keepdim=True) - rewards) / (self.samples - 1)
        advantage = (rewards - others).flatten().to(features.device)

        # an `<end>` at which a sample was cut off was not drawn, so it teaches nothing
        lengths = torch.tensor([min(len(one), self.max_length - 1) for one in captions])
        if batch.lengths.max() == 1:    # this process has no part of the batch: see `Rows`
            lengths[:] = 0
        counts = counted(given, lengths.to(given.device))
        hidden = self.decoder.hidden(features, given)[:, 1:]                   # (P * n, T-1, H)
        scores = self.decoder.score(hidden[counts]).float()                    # (words, V)
        log_probs = scores.log_softmax(dim=1)
        chosen = log_probs.gather(1, given[:, 1:][counts][:, None]).squeeze(1)
        objective = -(advantage[:, None].expand_as(counts)[counts] * chosen).sum()
        words = counts.sum()
        return objective, -rewards.mean().to(features.device) * words, words

    def sampling(self):
        """Return the `Search` that samples captions, by another seed in every step."""
        # without rules: REINFORCE needs samples of the very probabilities that it changes
        return Search(method="sample", captions=self.samples, suppress_unk=False,
                      allow_repetition=True, max_length=self.max_length,
                      seed=torch.initial_seed())

    def draw(self, features, pictures):
        """Return samples, lists of ids, and their pictures, a picture's samples side by side."""
        found = search(self.decoder, features, self.sampling())
        return ([one.words for samples in found for one in samples],
                [picture for picture in pictures.tolist() for _ in range(self.samples)])
