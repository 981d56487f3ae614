"""Send the numbers of each epoch to TensorBoard: python train.py --tensorboard ..."""

from pathlib import Path

from system.files import BadInput


class TensorBoard:
    """A function of an epoch's row that writes its numbers into a run's folder.

    Raises `BadInput` if TensorBoard is not installed.
    """

    def __init__(self, folder):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BadInput("--tensorboard needs a package that is not installed: run "
                           "'pip install tensorboard', or leave the option out") from None
        if (Path(folder) / "tensorboard").is_file():
            raise BadInput(f"{folder} holds a file 'tensorboard', where the numbers would go: give "
                           "another --run")
        self.open, self.folder, self.writer = SummaryWriter, Path(folder) / "tensorboard", None

    def __call__(self, row):
        if self.writer is None:         # what a killed run wrote of this epoch or later is dropped
            self.writer = self.open(self.folder, purge_step=row["epoch"])
        for name, value in row.items():
            if isinstance(value, float):
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()
