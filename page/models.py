"""Find the checkpoints that the page can choose among, and keep those in use loaded.

    places --Models--> names by kind;  name --get--> a loaded model, the last few kept

A page names models and never paths, so whoever sends it something cannot make it open a file.
"""

import threading
from pathlib import Path
from typing import NamedTuple

import torch

from calibration.law import law_of
from captioning.checkpoint import load_captioner
from encoders.concepts import WORDS, Classifier, concept_matrix, concepts
from encoders.efficientnet_lite import SCALES
from encoders.encoding import encode, fast
from system.files import BadInput
from system.tensor_file import BEST, best_file, kind_of

CAPTIONER, ANSWERER, NARRATOR = "captioner", "question answerer", "narrator"
KEPT = 3                    # models in memory
REMEDY = "give a captioner, a question answerer or a narrator, or a run's folder"


class Ready(NamedTuple):
    """A captioner, its `fast` encoder, what its encoder's classifier sees, or None, and the `Law`
    of its confidence, or None.
    """

    captioner: object
    network: object
    see: object
    law: object = None


class Models:
    """The checkpoints at some places, by name; each is loaded when it is first needed."""

    def __init__(self, places, device="cpu", boxes=None):
        self.device, self.boxes = device, boxes
        self.paths, self.kinds, self.loaded, self.lock = {}, {}, {}, threading.Lock()
        for path in dict.fromkeys(map(best_file, places)):
            kind = kind_of(path, REMEDY)
            if kind not in LOADERS:
                raise BadInput(f"{path} is a {kind}, of which the page shows nothing: {REMEDY}")
            name = name_of(path, self.paths)
            self.paths[name], self.kinds[name] = path, kind
        if not self.of(CAPTIONER):
            raise BadInput("none of these checkpoints is a captioner: name one, too")

    def of(self, kind):
        """Return the names of a kind, in the order in which they were given."""
        return [name for name, one in self.kinds.items() if one == kind]

    def get(self, name, kind):
        """Return the model of a name, loaded; raise `BadInput` if there is none of this kind."""
        if self.kinds.get(name) != kind:
            raise BadInput(f"there is no {kind} '{name!s:.60}' here: choose another")
        with self.lock:                 # two who ask at once wait for one loading
            model = self.loaded.pop(name, None) or LOADERS[kind](
                self.paths[name], self.device, self.boxes)
            self.loaded[name] = model   # the last used stands last
            for old in list(self.loaded)[:-KEPT]:
                del self.loaded[old]
        return model


def name_of(path, taken):
    """Return a short name for a checkpoint that is not yet taken: its run's or its own."""
    parts = path.with_suffix("").absolute().parts
    parts = parts[:-1] if path.name == BEST else parts
    names = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    return next((name for name in names if name not in taken), str(path))


def found_in(folder):
    """Return the checkpoints of the runs in a folder that the page can show something of."""
    return [path for path in sorted(Path(folder).glob(f"**/{BEST}")) if shows(path)]


def shows(path):
    """Return whether a file is a checkpoint of a kind that the page knows."""
    try:
        return kind_of(path, "") in LOADERS
    except BadInput:
        return False


def ready_captioner(path, device, boxes):
    """Load a captioner with all that describing a picture needs."""
    captioner = load_captioner(path, device, boxes)
    name = captioner.architecture["encoder"]["backbone"]
    return Ready(captioner, fast(captioner.encoder.backbone), seer(name, captioner.transform),
                 law_of(captioner))


def seer(name, transform):
    """Return a function of a PIL picture: the likeliest concept words, (word, probability) each.

    name: of a network, whose published classifier is asked; tuning an encoder leaves it none.
    Returns None for a network whose weights are not installed and would have to be fetched.
    """
    if name not in SCALES:
        return None
    network, matrix = fast(Classifier(name)), concept_matrix()

    def see(picture, most=5):
        found = encode(network, transform(picture)[None])
        values, places = concepts(torch.from_numpy(found), matrix)[0].topk(most)
        return [(WORDS[place], value)
                for place, value in zip(places.tolist(), values.tolist(), strict=True)]

    return see


def ready_answerer(path, device, boxes):
    """Load a question answerer."""
    from vqa.checkpoint import load_answerer  # here: a page of captions needs none of it

    return load_answerer(path, device, boxes)


def ready_narrator(path, device, boxes):
    """Load a narrator."""
    from video.paragraphs.checkpoint import load_narrator

    return load_narrator(path, device)


LOADERS = {CAPTIONER: ready_captioner, ANSWERER: ready_answerer, NARRATOR: ready_narrator}
