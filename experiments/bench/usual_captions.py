"""What the benchmark compares with: captions searched for and scored as tutorials do.

    beam_search      one picture at a time, its beams in a list
    sample           one caption of one picture at a time, a word drawn by torch.multinomial
    official_scores  pycocoevalcap, with its tokeniser in Java

Every result must equal ours.
"""

import math

import numpy as np
import torch
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from vocabulary import END_ID, START_ID, UNK_ID


def beam_search(decoder, feature, settings):
    """Search the best caption of one picture, feature (1, E): a list of ids."""
    def quality(beam):
        words, total, _ = beam
        return total / (len(words) - 1) ** settings.length_penalty

    beams = [([START_ID], 0.0, decoder.begin(feature))]
    for position in range(1, settings.max_length):
        found = []
        for words, total, state in beams:
            if words[-1] == END_ID:
                found.append((words, total, state))
                continue
            scores, after = decoder.step(torch.tensor([words[-1]]), state)
            likely = scores[0].log_softmax(0)
            likely[[START_ID, UNK_ID, words[-1]]] = -math.inf
            last = position == settings.max_length - 1
            best = torch.tensor([END_ID]) if last else likely.topk(settings.beam).indices
            for word in best.tolist():
                found.append(([*words, word], total + likely[word].item(), after))
        beams = sorted(found, key=quality, reverse=True)[:settings.beam]
        if all(words[-1] == END_ID for words, _, _ in beams):
            break
    return beams[0][0]


@torch.no_grad()
def captions(captioner, features, settings):
    """Return the best sentence of each picture, from the backbone's features (pictures, D)."""
    sentences = []
    for feature in features:
        embedded = captioner.encoder.embed(torch.from_numpy(feature[None].astype(np.float32)))
        found = beam_search(captioner.decoder, embedded, settings)
        sentences.append(captioner.vocab.decode(found))
    return sentences


def sample(decoder, feature, settings, chances=None):
    """Sample a caption of one picture, feature (1, E): a list of ids.

    chances: (T,), uniform in [0, 1), by which words are drawn in place of `torch.multinomial`.
    """
    words, state = [START_ID], decoder.begin(feature)
    for position in range(1, settings.max_length - 1):
        scores, state = decoder.step(torch.tensor([words[-1]]), state)
        scores[0, [START_ID, UNK_ID, words[-1]]] = -math.inf
        likely = scores[0].softmax(0)
        if chances is None:
            words.append(likely.multinomial(1).item())
        else:
            reached = likely.cumsum(0)
            words.append(torch.searchsorted(reached, reached[-1] * (1 - chances[position])).item())
        if words[-1] == END_ID:
            return words
    return [*words, END_ID]


@torch.no_grad()
def samples(captioner, features, settings, chances=None):
    """Return `settings.captions` sampled captions of each picture, features (pictures, D).

    chances: (captions, T), those of a picture side by side, or None.
    """
    found = []
    for picture, feature in enumerate(features):
        embedded = captioner.encoder.embed(torch.from_numpy(feature[None].astype(np.float32)))
        rows = range(picture * settings.captions, (picture + 1) * settings.captions)
        found.append([sample(captioner.decoder, embedded, settings,
                             None if chances is None else chances[row]) for row in rows])
    return found


def official_scores(candidates, references):
    """Score sentences against lists of sentences: BLEU, ROUGE-L and CIDEr-D; needs Java."""
    truth = {n: [{"caption": one} for one in mine] for n, mine in enumerate(references)}
    result = {n: [{"caption": one}] for n, one in enumerate(candidates)}
    truth, result = PTBTokenizer().tokenize(truth), PTBTokenizer().tokenize(result)
    bleu, _ = Bleu(4).compute_score(truth, result, verbose=0)
    return {**{f"Bleu_{n}": one for n, one in enumerate(bleu, 1)},
            "ROUGE_L": Rouge().compute_score(truth, result)[0],
            "CIDEr": Cider().compute_score(truth, result)[0]}
