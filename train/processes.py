"""Where training runs: on a GPU where there is one, and in several processes when torchrun starts them."""

import atexit
import contextlib
import os

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def count() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this is the process that writes files and talks."""
    return rank() == 0


def device() -> torch.device:
    """The GPU of this process, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def precision() -> contextlib.AbstractContextManager[object]:
    """bfloat16 for matrix products on a GPU; everything as it is on a CPU."""
    if torch.cuda.is_available():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def shared(module: nn.Module) -> nn.Module:
    """The module, made to average its gradients over all processes where there are several."""
    if count() == 1:
        return module
    _join()
    return DistributedDataParallel(module)


def share(rows: np.ndarray) -> np.ndarray:
    """The part of a batch that this process takes; never empty, so that no process falls out of step."""
    own = rows[rank() :: count()]
    return own if len(own) else rows[:1]


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device() if torch.cuda.is_available() else "cpu")
    distributed.all_reduce(tensor)
    return float(tensor.item())


def _join() -> None:
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
