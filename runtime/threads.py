"""Chooses a number of threads: the requested number, or by default the number of CPUs that this process may use."""

import os

from .cgroups import cpu_quota
from .errors import MAX_ECHO, InputError

VARIABLE = "AEGEN_THREADS"  # environment variable that sets the number of threads
MAX_THREADS = 256
MAX_DEFAULT_THREADS = 16  # limit on the default: typical batches are too small to keep more threads busy
SPIN_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # either sets how long threads of libgomp spin (wait actively)
SPIN_COUNT = "10000"  # iterations of spinning: tens of microseconds instead of milliseconds


def chosen_threads(threads: int | None) -> int:
    """Return the number of threads to use.

    The number is the argument `threads`, if it is not None; else the value of the environment variable AEGEN_THREADS,
    if it is set; else the number of CPUs that this process may use, but at most MAX_DEFAULT_THREADS. Raises InputError
    if the argument or the variable is not an integer from 1 to MAX_THREADS.
    """
    text = os.environ.get(VARIABLE, "") if threads is None else _checked(threads)
    if not text:
        return min(allowed_threads(), MAX_DEFAULT_THREADS)
    if not (text.isascii() and text.isdigit() and len(text) < MAX_ECHO and 1 <= int(text) <= MAX_THREADS):
        name = VARIABLE if threads is None else "threads"
        raise InputError(name, found=text, expected=f"a whole number from 1 to {MAX_THREADS}")
    return int(text)


def limit_spinning() -> None:
    """Let idle threads of libgomp, the OpenMP library of torch and scikit-learn, sleep after spinning for a short time.

    By default idle threads spin for milliseconds. On a busy machine, they then take cores from threads that have work.
    Must be called before torch or scikit-learn is imported. Environment variables that the user has set are kept.
    """
    if not any(variable in os.environ for variable in SPIN_VARIABLES):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


def _checked(threads: int) -> str:
    from .arguments import checked_count  # imported late: it imports numpy, and `aegen doctor` must start without numpy

    return str(checked_count("threads", threads))


def allowed_threads() -> int:
    """Number of CPUs that this process may use, at least 1.

    These are the CPUs in its affinity mask, but no more than the CPU quota of its control groups allows.
    """
    cpus, quota = affine_cpus(), cpu_quota()
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def affine_cpus() -> int:
    """Number of CPUs in this process's affinity mask, or of all CPUs if the system has no affinity masks."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
