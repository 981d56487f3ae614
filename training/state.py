"""One file from which a training goes on: weights, optimizer, averaged weights and position."""

from system import tensor_file

KIND, FORMAT = "training state", 4      # raised when an older program could not read the file


def save_state(path, task, optimizer, position, average=()):
    """Write everything a killed run needs to go on.

    position: a dict of plain values.  average: the tensors of the averaged weights.
    """
    tensors = {f"weights.{name}": tensor for name, tensor in task.tensors().items()}
    tensors |= {f"average.{number}": tensor for number, tensor in enumerate(average)}
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{number}.{key}"] = value
    tensor_file.write(path, KIND, FORMAT, tensors, {"position": position})


def load_state(path, task, optimizer, average=()):
    """Put a saved state back where it came from and return its position."""
    tensors, header = tensor_file.read(path, KIND, FORMAT,
                                       "give another --run, to train again")
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
