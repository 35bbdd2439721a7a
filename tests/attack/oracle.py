"""The rules that every trial of the fuzzer checks.

aegen must return a valid result or raise an AegenError, write no stray output, keep messages short, and limit memory.
"""

import contextlib
import fcntl
import os
import random
import re
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import numpy as np
from aegen import AegenError

MAX_MESSAGE = 1000  # maximum length of an error message in characters
MAX_ECHO = 200  # maximum number of consecutive characters of the input that a message may repeat
MAX_MEMORY_MB = 600  # maximum MB that an accepted input, or all inputs of a worker together, may add
MAX_REFUSED_MB = 200  # maximum MB that a refused input may add
MIN_NOTICED_MB = 50  # a trial that adds fewer MB is not reported if its worker exceeds MAX_MEMORY_MB in total
MAX_NOTICES = 12  # maximum number of lines that a successful command may write to standard error
FOREIGN_SIGNS = (
    b"Traceback",
    b"unexpected ",
    b"EP Error",
    b"E:onnxruntime:",
    b"W:onnxruntime:",
    b"Warning",
)  # texts in the output that come from Python or a library, not from aegen
MAX_REMEMBERED = 300_000  # only this many bytes, from the start of an input, are searched for in messages
STAGES = ("given", "parsed", "hash passed", "graph checked", "session opened", "ran")


class Trial:
    """One trial: its random generators, the stage it reached, and the rules it broke.

    random, numbers: random generators of Python and numpy, seeded by seed, trial number and reader. folder: an empty
    folder. texts: input texts; a message may repeat at most MAX_ECHO consecutive characters of each. stage: the last
    stage that the trial reached, as an index into STAGES. outcome: "accepted", or the class of the first error.
    findings: for each broken rule, (kind, what, example).
    """

    def __init__(self, seed, number, reader, folder, trace=False):
        self.number, self.reader, self.folder = number, reader, folder
        self.random = random.Random(f"{seed}/{number}/{reader}")
        self.numbers = np.random.default_rng(self.random.getrandbits(64))
        self.texts = []
        self.stage, self.outcome, self.findings = 0, "accepted", []
        self.measure, self.before = None, None  # a Memory object, and the MB in use before aegen is called
        self.is_output_checked = False  # whether `check_command` has checked the output of this trial
        self.trace = trace

    def reached(self, stage):
        """Record that the trial has reached a stage."""
        self.stage = max(self.stage, STAGES.index(stage))

    def remember(self, content):
        """Record input bytes, of which an error message may repeat at most MAX_ECHO consecutive characters."""
        self.texts += {content[:MAX_REMEMBERED].decode(encoding, "replace") for encoding in ("utf-8", "latin-1")}

    def add_finding(self, kind, what, example=""):
        """Record a broken rule, unless the trial already has a finding with the same `kind` and `what`."""
        if not any(finding[:2] == (kind, what) for finding in self.findings):
            self.findings.append((kind, str(what)[:500], str(example)[:500]))

    def call(self, function, check=lambda result: None):
        """Call `function` and return its result, or None if it raises. Record a finding if a rule is broken.

        check: a function that takes the result and returns what is wrong with it, as text, or None if it is valid.
        """
        if self.measure and self.before is None:
            self.measure.reset()
            self.before = self.measure.read()[0]
        try:
            result = function()
            fault = check(result)
        except AegenError as error:
            self._refused(type(error).__name__, error)
            self._check_message(str(error), error)
            return None
        except Exception as error:
            self._refused(f"foreign {type(error).__name__}", error)
            self.add_finding("foreign error", *signature(error))
            return None
        if fault:
            self.add_finding("invalid result", plain(fault), fault)
        return result

    def _refused(self, name, error):
        if self.outcome == "accepted":
            self.outcome = name
        if self.trace:
            self.findings.append(("traceback", "".join(traceback.format_exception(error)), ""))

    def _check_message(self, message, error):
        where = last_frame(error)
        if len(message) > MAX_MESSAGE:
            self.add_finding("long message", where, f"{len(message)} characters: {message[:200]!r}")
        if "\n" in message:
            self.add_finding("message of several lines", where, message[:300])
        if echoed(message, self.texts):
            self.add_finding("echo", where, message)
        try:
            message.encode()
        except UnicodeEncodeError:
            self.add_finding("message that cannot be printed", where, ascii(message))

    def check_command(self, code, out, err, *, binary=False):
        """Check the exit code and output of a command. binary: whether standard output holds binary data, not text."""
        self.is_output_checked = True
        message = err.decode(errors="replace")
        if code not in (0, 1, 2):
            self.add_finding("exit code", code, message[-300:])
        if code and self.outcome == "accepted":
            self.outcome = f"exit {code}"
        for sign in FOREIGN_SIGNS:
            if sign in err or (sign in out and not binary):
                text = err if sign in err else out
                last = text[-400:].decode(errors="replace")
                self.add_finding("foreign text", f"exit {code}: {sign.decode()} {plain(last)[:80]}", last)
                break
        if code and len(message) > MAX_MESSAGE:
            self.add_finding("long message", f"exit {code}", f"{len(message)} characters: {message[:200]!r}")
        if code and echoed(message, self.texts):
            self.add_finding("echo", f"exit {code}", message)
        lines = message.count("\n")
        if code == 1 and lines > 1:
            self.add_finding("message of several lines", "exit 1", message)
        if code == 0 and lines > MAX_NOTICES:
            self.add_finding("message of several lines", "exit 0", message)
        if code == 2 and not message.startswith("Usage: "):
            self.add_finding("usage error without usage", "exit 2", message)
        if code == 1 and not message.strip():
            self.add_finding("silent failure", "exit 1 without a line on standard error")

    def check_output(self, out, err):
        """Check that nothing was written to standard output or standard error in a trial that runs no command."""
        if not self.is_output_checked and (out or err):
            text = (err or out)[:400].decode(errors="replace")
            self.add_finding("output leak", f"{'stderr' if err else 'stdout'}: {plain(text)[:80]}", text)

    def check_memory(self, peak, baseline):
        """Check that a trial has not added too much memory.

        peak: the largest memory of the worker process during the trial, in MB. baseline: its memory before its first
        trial, in MB.
        """
        before = peak if self.before is None else self.before
        allowed = MAX_MEMORY_MB if self.outcome == "accepted" else MAX_REFUSED_MB
        if peak - before > MIN_NOTICED_MB and peak - baseline > MAX_MEMORY_MB:
            self.add_finding("memory", f"more than {MAX_MEMORY_MB} MB, outcome {self.outcome}")
        elif peak - before > allowed:
            self.add_finding("memory", f"more than {allowed} MB for a refused input: {self.outcome}")


def plain(text):
    """Remove numbers and temporary paths from a text, so that trials with the same fault give the same text."""
    return re.sub(r"\d+", "#", re.sub(r"/[\w./-]*aegen-attack[\w./-]*/", "", text)).strip()


def echoed(message, texts):
    """Return whether more than MAX_ECHO consecutive characters of a message occur in one of the texts."""
    long = [text for text in texts if len(text) > MAX_ECHO]
    if not long or len(message) <= MAX_ECHO:
        return False
    pieces = {message[start : start + MAX_ECHO + 1] for start in range(len(message) - MAX_ECHO)}
    return any(piece in text for piece in pieces for text in long)


def signature(error):
    """Return two texts: the class of an error with the function that raised it, and the error's message."""
    return f"{type(error).__name__} from {last_frame(error)}", ascii(str(error)[:400])


def last_frame(error):
    """Return file and name of the innermost aegen function in an error's traceback, as one text."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(sys.modules["aegen"].__file__).parent
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(root) and "attack" not in frame.filename]
    if not inside:
        return "outside aegen"
    return f"{Path(inside[-1].filename).relative_to(root)}:{inside[-1].name}"


class Streams:
    """Redirects file descriptors 1 and 2 into files, which also captures what C++ prints."""

    def __init__(self):
        self._files = [tempfile.TemporaryFile(buffering=0) for _ in range(2)]  # noqa: SIM115
        for file in self._files:  # append mode, because `read` truncates the files to length 0
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        self._kept = [os.dup(1), os.dup(2)]
        self.attach()

    def attach(self):
        """Redirect descriptors 1 and 2 into the files. Also called after every trial, as a trial may redirect them."""
        for target, file in enumerate(self._files, 1):
            os.dup2(file.fileno(), target)

    def detach(self):
        """Restore the original standard output and standard error."""
        self.read()
        for target, kept in enumerate(self._kept, 1):
            os.dup2(kept, target)

    def read(self):
        """Return the bytes written since the last call: (standard output, standard error)."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        contents = []
        for file in self._files:
            size = os.fstat(file.fileno()).st_size
            contents.append(os.pread(file.fileno(), min(size, 1 << 24), 0) if size else b"")
            if size:
                os.ftruncate(file.fileno(), 0)
        return tuple(contents)


class Memory:
    """Measures the resident memory of this process in MB, and its peak since `reset`."""

    def __init__(self):
        self._status = Path("/proc/self/status").open("rb", buffering=0)  # noqa: SIM115
        self.measured = self.reset()

    def reset(self):
        """Reset the peak to the current value. Returns whether the operating system supports that."""
        try:
            with Path("/proc/self/clear_refs").open("wb", buffering=0) as file:
                file.write(b"5")
        except OSError:
            return False
        return True

    def read(self):
        """Return the resident memory in MB: (now, peak)."""
        text = os.pread(self._status.fileno(), 8192, 0)
        now, peak = (int(re.search(name + rb":\s+(\d+) kB", text)[1]) / 1024 for name in (b"VmRSS", b"VmHWM"))
        return now, peak


def scratch(within=None):
    """Make a temporary folder inside `within`, or by default inside /dev/shm if that can be written to."""
    shared = Path("/dev/shm")
    within = within or (shared if os.access(shared, os.W_OK) else None)
    return tempfile.TemporaryDirectory(prefix="aegen-attack-", dir=within)


def settle():
    """Wait until the background threads that open networks have ended, so that none still runs in the next trial."""
    for thread in threading.enumerate():
        if thread.name == "aegen-opening":
            thread.join()


# The functions below are checks, or return a check. A check is a function that takes a result. It returns None if the
# result is valid, and otherwise a text that says what is wrong.


def images(shape, dtype=np.float32):
    """Return a function that checks the shape and dtype of images, and that floats are finite and in [0, 1].

    shape: the expected shape, with None for an axis of any size.
    """

    def check(result):
        fault = array(shape, dtype)(result)
        if fault or result.dtype == np.uint8 or not result.size:
            return fault
        return None if result.min() >= 0 and result.max() <= 1 else f"values from {result.min():g} to {result.max():g}"

    return check


def array(shape, dtype=np.float32):
    """Return a function that checks the shape and dtype of an array, and that its values are finite.

    shape: the expected shape, with None for an axis of any size.
    """

    def check(result):
        if not isinstance(result, np.ndarray | np.generic):
            return f"a {type(result).__name__} instead of an array"
        if result.dtype != dtype:
            return f"dtype {result.dtype} instead of {np.dtype(dtype)}"
        if len(result.shape) != len(shape) or any(b not in (None, a) for a, b in zip(result.shape, shape, strict=True)):
            return f"shape {result.shape} instead of {shape}"
        return None if np.isfinite(result).all() else "values that are not finite"

    return check


def log_densities(shape):
    """Return a function that checks that log densities are float64 of this shape, and neither NaN nor +inf."""

    def check(result):
        if result.dtype != np.float64 or result.shape != shape:
            return f"{result.dtype} {result.shape} instead of float64 {shape}"
        return None if not np.isnan(result).any() and (result < np.inf).all() else "densities that are NaN or infinite"

    return check


def image_set(result):
    """Check that images read from a file are a non-empty array with 3 or 4 axes and a bool, integer or float dtype."""
    if not isinstance(result, np.ndarray) or result.dtype.kind not in "uifb":
        return f"{getattr(result, 'dtype', type(result))} instead of images"
    if result.ndim not in (3, 4) or result.size == 0:
        return f"shape {result.shape} instead of images"
    return None


def verified(result):
    """Check that no difference or tolerance in a Verification, the result of `verify`, is NaN."""
    numbers = [*result.largest_difference.values(), result.rtol, result.atol]
    return "differences that are NaN" if any(np.isnan(number) for number in numbers) else None
