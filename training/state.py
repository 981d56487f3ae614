"""One file from which a training goes on: weights, optimizer, averaged weights and position."""

from system import tensor_file

KIND, FORMAT = "training state", 5      # raised when an older program could not read the file


REMEDY = "give another --run, to train again"


def save_state(path, task, optimizer, position, average=(), content=None):
    """Write everything a killed run needs to go on.

    position: a dict of plain values.  average: the tensors of the averaged weights.
    content: what the task has read, see `Task.content`.
    """
    tensors = {f"weights.{name}": tensor for name, tensor in task.tensors().items()}
    tensors |= {f"average.{number}": tensor for number, tensor in enumerate(average)}
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{number}.{key}"] = value
    tensor_file.write(path, KIND, FORMAT, tensors,
                      {"position": position, "content": content or {}})


def load_state(path, task, optimizer, average=()):
    """Put a saved state back where it came from and return its position."""
    tensors, header = tensor_file.read(path, KIND, FORMAT, REMEDY)
    weights, moments = {}, {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "weights":
            weights[rest] = tensor
        elif kind == "average":
            average[int(rest)].copy_(tensor)
        else:
            number, key = rest.split(".")
            moments.setdefault(int(number), {})[key] = tensor
    task.load_tensors(weights)
    optimizer.load_state_dict({"state": moments,
                               "param_groups": optimizer.state_dict()["param_groups"]})
    return header["position"]


def read_content(path):
    """Return what the task had read that a saved state is of, its `content`."""
    return tensor_file.read_header(path, REMEDY, {"content": {str: str}})["content"]
