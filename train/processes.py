"""Devices and processes for training: a GPU if there is one, and several processes if torchrun starts them."""

import atexit
import contextlib
import os
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..runtime.threads import allowed_threads

Module = TypeVar("Module", bound=nn.Module)


def count() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Index of this process, from 0, among the processes that train together."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this is the first process, the only one that writes files and messages."""
    return rank() == 0


def device() -> torch.device:
    """The GPU of this process, or the CPU if there is no GPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def set_up(threads: int | None) -> None:
    """Set the number of CPU threads of torch, by default allowed_threads(), and make training on a GPU reproducible."""
    torch.set_num_threads(threads or allowed_threads())
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes cuBLAS reproducible
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random generators, of the CPU and of this process's GPU, until the `with` block ends.

    After the block, the previous random states are restored. 0 <= seed < 2^63. torch.manual_seed is not used, because
    it would reseed the other GPUs too.
    """
    current = device()
    on_gpu = current.type == "cuda"
    with torch.random.fork_rng(devices=[current.index] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[current.index].manual_seed(seed)
        yield


def placed(module: Module) -> Module:
    """Move a module to the device of this process, with the channels of convolutions last in memory.

    With this memory format convolutions are faster on CPUs, and on GPUs in bfloat16.
    """
    return module.to(device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def precision() -> contextlib.AbstractContextManager[object]:
    """Return a context manager that sets the precision of matrix products: bfloat16 on a GPU, float32 on a CPU."""
    if torch.cuda.is_available():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def distribute(module: nn.Module) -> nn.Module:
    """Wrap a module so that its gradients are averaged over all processes. A single process gets the module itself."""
    if count() == 1:
        return module
    _join()
    return DistributedDataParallel(module)


def rows_of_process(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Select the images of a batch that this process computes. Returns their indices, and how many of them count.

    rows: indices of the batch's images, (n,), n >= 1. If there are fewer images than processes, each process without an
    image gets the first image, with the count 0. Thus all processes do the same number of steps, and no image counts
    twice.
    """
    assigned = rows[rank() :: count()]
    return (assigned, len(assigned)) if len(assigned) else (rows[:1], 0)


def total(value: float) -> float:
    """Return the sum of `value` over all processes."""
    if count() == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device() if torch.cuda.is_available() else "cpu")
    distributed.all_reduce(tensor)
    return float(tensor.item())


def _join() -> None:
    """Join the group of processes that torchrun has started."""
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())  # otherwise NCCL would use the first GPU in every process
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
