"""Where training runs: on a GPU where there is one, and in several processes when torchrun starts them."""

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


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """In the block torch's random numbers, of the CPU and of this process's GPU, start at a seed from 0 to 2^63 - 1.

    Afterwards the caller's random states are as they were. torch.manual_seed would reseed the GPUs that are not kept.
    """
    own = device()
    on_gpu = own.type == "cuda"
    with torch.random.fork_rng(devices=[own.index] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[own.index].manual_seed(seed)
        yield


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


def share(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """The rows of a batch (n,), n from 1, that this process takes, and how many of them count.

    Of a batch with fewer rows than processes, those without a row take one that counts 0, so that none falls out of
    step.
    """
    own = rows[rank() :: count()]
    return (own, len(own)) if len(own) else (rows[:1], 0)


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device() if torch.cuda.is_available() else "cpu")
    distributed.all_reduce(tensor)
    return float(tensor.item())


def _join() -> None:
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())  # NCCL takes the current device, which is the first one in every process
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
