"""Let a trained captioner name what ImageNet's classifier is certain of in a picture.

    Captioner --with_classifier--> Captioner whose features end in the probabilities of words

    python -m concepts.certain runs/critical --probability 0.5

A captioner says what its training pictures were like; the classifier that its encoder began as
knows a thousand things. So its published stages and head go into the checkpoint beside those that
were tuned, and where they give a word this probability, beam search must say it or its plural:
Anderson et al. 2017 (arXiv:1612.00576). No weight of the captioner changes: nothing is trained.
If it was calibrated, that is to be done again.
"""

import argparse
import copy
from dataclasses import replace

import torch

from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, save_captioner
from encoders.backbones import Backbone
from encoders.concepts import WORDS
from system.commands import run_command
from system.files import BadInput
from system.tensor_file import best_file


def with_classifier(captioner, probability):
    """Return a captioner of a grid that also names words of at least `probability`.

    Raises `BadInput` for one without a grid, and for one that has regions or concepts already.
    """
    built = copy.deepcopy(captioner.architecture)
    encoder, begun = built["encoder"], captioner.encoder
    if not encoder["grid"] or encoder.keys() & {"boxes", "concepts"}:
        raise BadInput("the classifier joins a captioner that looks at a grid of cells and has no "
                       "concepts yet: give another")
    published = Backbone(encoder["backbone"], grid=True).stages
    tuned = [number for number, (one, other) in enumerate(zip(published, begun.backbone.stages,
                                                              strict=True)) if not same(one, other)]
    encoder["concepts"] = {"words": list(WORDS), "most": 0, "least": 0.5,
                           "apart": tuned[0] if tuned else None}
    found = Captioner.build(built, captioner.vocab, captioner.transform)
    found.encoder.backbone.stages.load_state_dict(begun.backbone.stages.state_dict())
    found.encoder.embed.cell.load_state_dict(begun.embed.state_dict())
    found.decoder.load_state_dict(captioner.decoder.state_dict())
    found.encoder.eval()
    found.decoder.eval()
    about = {**captioner.about, "certain": probability}
    about.pop("calibration", None)      # which was fitted to captions that it no longer writes
    return replace(found, about=about)


def same(one, other):
    """Return whether two modules have equal weights and buffers."""
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def main():
    """Add the classifier to a checkpoint, in its place."""
    parser = argparse.ArgumentParser(description="Let a captioner name what the classifier that "
                                     "its encoder began as is certain of.")
    parser.add_argument("checkpoint", help="a captioner, or a run's folder; it is replaced")
    parser.add_argument("--probability", type=float, default=0.5,
                        help="from which on a word must be said (%(default)s)")
    options = parser.parse_args()
    if not 0 < options.probability <= 1:
        raise BadInput(f"--probability takes a number above 0 and at most 1, not "
                       f"{options.probability}")
    captioner = with_classifier(load_captioner(options.checkpoint), options.probability)
    save_captioner(best_file(options.checkpoint), captioner, **captioner.about)
    print(f"{options.checkpoint} names what its classifier gives {options.probability:g} or more")


if __name__ == "__main__":
    run_command(main)
