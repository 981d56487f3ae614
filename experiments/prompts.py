"""Relations on request: a captioner goes on from "a red ball to the", and what it says is checked.

    graph --prompts--> beginnings       features, beginning --continued--> sentence
    captioner, features, graphs --prompted--> [true, claims] of relation

A beam seldom says how things lie, and a sample that does may begin with "left of", where nothing is
to be known yet. A beginning that names a thing asks for the place of that thing.
"""

from collections import Counter

import torch

from decoders.rules import log_probabilities, restrict
from decoders.search import Search
from scenes.claims import tally
from vocabulary import END_ID

SIDES = ("left of", "right of")


def prompts(graph):
    """Return a beginning for each thing that lies left or right of another, both one of a kind."""
    things = [(thing["colour"], thing["shape"]) for thing in graph["objects"]]
    alone = {thing for thing, count in Counter(things).items() if count == 1}
    asked = {things[one["subject"]] for one in graph["relations"] if one["relation"] in SIDES
             and {things[one["subject"]], things[one["object"]]} <= alone}
    return [f"a {colour} {shape} to the" for colour, shape in sorted(asked)]


@torch.no_grad()
def continued(captioner, embedded, beginning):
    """Return the sentence that greedy search makes of a beginning, embedded (1, ...)."""
    words = captioner.vocab.encode(beginning)[:-1]      # without <end>
    state = captioner.decoder.begin(embedded)
    for word in words:
        scores, state = captioner.decoder.step(torch.tensor([word]), state)
    while words[-1] != END_ID and len(words) < captioner.max_length:
        allowed = restrict(log_probabilities(scores), torch.tensor([words]), len(words), Search())
        words.append(int(allowed.argmax()))
        scores, state = captioner.decoder.step(torch.tensor(words[-1:]), state)
    return captioner.vocab.decode(words)


def prompted(captioner, features, graphs):
    """Return [true, claims] of relation in the sentences made of every beginning of every graph."""
    said, of = [], []
    for number, graph in enumerate(graphs):
        embedded = captioner.embed(features[number:number + 1])
        for beginning in prompts(graph):
            said.append(continued(captioner, embedded, beginning))
            of.append(graph)
    return tally(said, of)["relation"]
