"""What each word looks like, by one regression: before the training, without a step of it.

    features of train --mean of its cells--> X (P, D)
    questions and answers of train --said--> Y (P, V + A)      how often a word is said of a picture
    X, Y --regression--> weights (V + A, D), and how well each word is told from pictures (V + A,)

A linear function of the mean of a picture's cells is the mean of that function of the cells. So
what is learned of whole pictures, about which somebody says "red", tells red cells from others:
over detected boxes of the drawn pictures all colours and 98 % of the shapes are told apart, though
no question says which box it is about. A question answered "no" or "0" says nothing here.

The ridge is chosen by the error on each picture of a regression without it, which costs nothing
more: Golub, Heath and Wahba 1979, "Generalized cross-validation".

Shape letters:  P pictures   L cells   D channels   V words   A answers
"""

import torch

from vqa.families.parts import cells_of

DENIALS = ("no", "0")
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)     # times the mean variance of a channel
CHUNK = 256                             # pictures at once
PLAIN = 0.12                            # of variance told by pictures: a word of looks has more


@torch.no_grad()
def ground(model, train, answers):
    """Put the regression into a model of the family grounded.

    train: the `Part` of the training questions, with features.  answers: of the vocabulary.
    """
    mean, sums, squares, count = cell_statistics(train.features, model.sizes.channels)
    said = words_said(train, answers, len(model.importance))
    weights, told = regression(mean - mean.mean(dim=0), said - said.mean(dim=0))
    centre = sums / count
    spread = (weights * (weights @ (squares / count - centre[:, None] * centre))).sum(dim=1)
    weights /= spread.clamp(min=1e-12).sqrt()[:, None]      # over all cells a deviation of 1
    weights[told == 0] = 0                                  # of a word that is never said
    model.affinity.weight.copy_(weights)
    model.affinity.bias.copy_(-weights @ centre)
    model.importance.copy_((30 * (told[:len(model.importance)] - PLAIN)).clamp(-3, 3))


def cell_statistics(features, channels):
    """Return the mean cell of each picture (P, D), and the sums over all cells.

    These are of the cells (D,), of their products (D, D), and their number. Of regions the whole
    picture, row 0, is left out, unless it is the only one.
    """
    means, sums, squares, count = [], 0, 0, 0
    for start in range(0, len(features), CHUNK):
        part = torch.tensor(features[start:start + CHUNK], dtype=torch.float)
        cells, absent = cells_of(part, channels)
        there = (~absent).float()
        if part.dim() == 3 and part.shape[2] > channels:
            there[:, 0] = there.sum(dim=1) == 1
        cells = cells * there[..., None]
        means.append(cells.sum(dim=1) / there.sum(dim=1, keepdim=True))
        flat = cells.flatten(0, 1)
        sums, squares = sums + flat.sum(dim=0), squares + flat.T @ flat
        count += there.sum()
    return torch.cat(means), sums, squares, count


def words_said(train, answers, words):
    """Return how often each word and answer is said of a picture, (P, V + A), a question."""
    said = torch.zeros(len(train.features), words + len(answers.spelled))
    asked = torch.zeros(len(train.features), 1)
    for row, picture in enumerate(train.picture.tolist()):
        answer = train.targets.best(row)
        if answer is not None and answers.spelled[answer] in DENIALS:
            continue
        asked[picture] += 1
        said[picture, train.questions[row, :train.lengths[row]].unique()] += 1
        if answer is not None:
            said[picture, words + answer] += 1
    return said / asked.clamp(min=1)


def regression(pictures, said):
    """Return weights (V, D) that tell what is said (P, V) of pictures (P, D), both centred.

    And the fraction (V,) of its variance that they tell of a picture when it is left out, 0 of
    what is never said.
    """
    values, vectors = torch.linalg.eigh(pictures.T @ pictures / len(pictures))
    turned, variance = pictures @ vectors, said.square().mean(dim=0)
    matched, best = turned.T @ said / len(said), None
    for ridge in RIDGES:
        shrunk = 1 / (values.clamp(min=0) + ridge * values.mean())
        weights = shrunk[:, None] * matched
        leverage = (turned.square() @ shrunk) / len(said)
        errors = ((said - turned @ weights) / (1 - leverage)[:, None]).square().mean(dim=0)
        told = torch.where(variance > 0, 1 - errors / variance.clamp(min=1e-12), 0)
        if best is None or told.clamp(min=0).mean() > best[1].clamp(min=0).mean():
            best = vectors @ weights, told
    return best[0].T, best[1]
