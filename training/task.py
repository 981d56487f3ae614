"""What the engine asks of a task: captioning today, questions and video beside it.

    settings --Task--> read() -> prepare(device) -> objective, groups() -> batches(epoch, start)
                       measure() -> {"val_loss": ..., key: ..., ...} -> save_best(path, row)

`Run` keeps what every training has: optimizer, averaged weights, position, folder, clocks, Ctrl-C,
resume. Everything else is the task's. A subclass sets the attributes and writes the methods that
raise `NotImplementedError` here; those with a body need not be written.
"""


class Task:
    """A training's data, networks, objective and scores.

    settings: a frozen dataclass, subclass of `training.settings.Settings`.
    objective: `nn.Module`, set by `prepare`; maps a batch to (objective, loss, count), sums over
    the `count` items of the batch; the first is minimised, the second is only shown. Several
    processes share its gradients.
    steps_per_epoch: int, set by `prepare`.
    """

    name = ""                   # written into the run's folder: which task its settings are of
    key, better = "val_loss", min       # the figure that chooses the best epoch; min or max
    shown = ("val_loss",)       # the entries of `measure` that a line about an epoch names
    curves = {}                 # those drawn beside the losses, with their titles
    unit = "item"               # what a loss is divided by
    places = ()                 # settings that name files: a resume compares `content`, not these
    content = {}                # what is there, {"the captions of train": hash}; set by `read`

    def __init__(self, settings):
        self.settings = settings

    def read(self):
        """Read the data, as far as needed to refuse them before a folder is written."""

    def prepare(self, device):
        """Build networks and objective on `device`, drawing the first weights by the seed."""
        raise NotImplementedError

    def groups(self):
        """Return the optimizer's groups: dicts of "params" and their "peak" learning rate."""
        raise NotImplementedError

    def batches(self, epoch, start):
        """Yield this process's part of every batch of an epoch, from batch `start` on.

        The engine asks of a batch only `batch.to(device)`.
        """
        raise NotImplementedError

    def before_first_step(self):
        """Do what is to be done once, when a run is about to take its first step."""

    def measure(self):
        """Return the figures of an epoch: {"val_loss": ..., key: ..., and what else is worth it}.

        Every process calls it, without gradients, in eval mode, with the averaged weights in
        place; what the main one returns counts.
        """
        raise NotImplementedError

    def tensors(self):
        """Return the weights by name: what a resumed run needs."""
        return self.objective.state_dict()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.objective.load_state_dict(tensors)

    def save_best(self, path, row):
        """Write to `path` what is used after training; `row` has the figures of its epoch."""
        raise NotImplementedError

    def record(self, folder):
        """Write into a run's folder what its data are, beside the settings."""

    def compare(self, folder):
        """Raise `BadInput` if `record` wrote something else into a folder to be resumed."""

    def complaints(self, history):
        """Return sentences about what the epochs so far, the last above all, show to be wrong."""
        return []
