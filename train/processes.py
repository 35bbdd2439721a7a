"""Devices and processes for training: a GPU if there is one, and several processes if torchrun starts them."""

import atexit
import contextlib
import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def count() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Index of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that writes files and messages."""
    return rank() == 0


def device() -> torch.device:
    """The GPU of this process, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random numbers, on the CPU and on this process's GPU, within the block; 0 <= seed < 2^63.

    The previous random states are restored afterwards. torch.manual_seed is not used: it would reseed the other GPUs.
    """
    current = device()
    on_gpu = current.type == "cuda"
    with torch.random.fork_rng(devices=[current.index] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[current.index].manual_seed(seed)
        yield


def precision() -> contextlib.AbstractContextManager[object]:
    """Context manager for the precision of matrix products: bfloat16 on a GPU, float32 on a CPU."""
    if torch.cuda.is_available():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def distribute(module: nn.Module) -> nn.Module:
    """Wrap a module so that its gradients are averaged over all processes; unchanged if there is only one process."""
    if count() == 1:
        return module
    _join()
    return DistributedDataParallel(module)


def rows_of_process(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Select the rows of a batch (n,), n >= 1, that this process computes. Returns the rows and their number.

    If a batch has fewer rows than there are processes, each process without a row gets the batch's first row and
    the number 0. So all processes take the same number of steps, and no row counts twice.
    """
    assigned = rows[rank() :: count()]
    return (assigned, len(assigned)) if len(assigned) else (rows[:1], 0)


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device() if torch.cuda.is_available() else "cpu")
    distributed.all_reduce(tensor)
    return float(tensor.item())


def _join() -> None:
    """Join the group of processes that torchrun has started."""
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())  # NCCL uses the current device, by default the first GPU in every process
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
