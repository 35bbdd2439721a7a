"""What a trial must keep to: a valid result or an error of aegen, quiet streams, short messages and bounded memory."""

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

MAX_MESSAGE = 1000  # characters of an error's message
MAX_ECHO = 200  # characters of any input in it
MEMORY_MB = 600  # over the worker's baseline
REFUSED_MB = 200  # the same, where the input was refused
NOTICED_MB = 50  # a trial that adds less is not the one that took the memory
MAX_REMARKS = 12  # lines on the standard error of a command that succeeds
SIGNS = (
    b"Traceback",
    b"unexpected ",
    b"EP Error",
    b"E:onnxruntime:",
    b"W:onnxruntime:",
    b"Warning",
)  # of software that was not meant to speak
KEPT = 300_000  # bytes of an input that are looked for in messages
STAGES = ("given", "parsed", "hash passed", "graph checked", "session opened", "ran")


class Trial:
    """One trial: what it is given, how far it came, and what it broke.

    random, numbers: its generators, from the seed alone. folder: an empty scratch folder. texts: long values that it
    passes, of which a message may show MAX_ECHO characters. stage: a place in STAGES. outcome: "accepted", or the class
    of the first error. findings: (kind, text).
    """

    def __init__(self, seed, number, reader, folder, trace=False):
        self.number, self.reader, self.folder = number, reader, folder
        self.random = random.Random(f"{seed}/{number}/{reader}")
        self.numbers = np.random.default_rng(self.random.getrandbits(64))
        self.texts = []
        self.stage, self.outcome, self.findings = 0, "accepted", []
        self.measure, self.before = None, None  # Memory, and how much there was when the input had been made
        self.spoke = False  # whether output of this trial has been judged already
        self.trace = trace

    def reached(self, stage):
        """The trial came to a stage, or was there already."""
        self.stage = max(self.stage, STAGES.index(stage))

    def remember(self, content):
        """Bytes that are given, of which a message may show MAX_ECHO at most."""
        self.texts += {content[:KEPT].decode(encoding, "replace") for encoding in ("utf-8", "latin-1")}

    def found(self, kind, what, example=""):
        """Something that must not be; `what` is the same for alike ones, and counts once in a trial."""
        if not any(finding[:2] == (kind, what) for finding in self.findings):
            self.findings.append((kind, str(what)[:500], str(example)[:500]))

    def call(self, function, check=lambda result: None):
        """The result of `function`, held against `check`; None where aegen refuses, or for an error of another kind."""
        if self.measure and self.before is None:
            self.measure.reset()
            self.before = self.measure.read()[0]
        try:
            result = function()
            fault = check(result)
        except AegenError as error:
            self._refused(type(error).__name__, error)
            self._judge_message(str(error), error)
            return None
        except Exception as error:
            self._refused(f"foreign {type(error).__name__}", error)
            self.found("foreign error", *signature(error))
            return None
        if fault:
            self.found("invalid result", plain(fault), fault)
        return result

    def _refused(self, name, error):
        if self.outcome == "accepted":
            self.outcome = name
        if self.trace:
            self.findings.append(("traceback", "".join(traceback.format_exception(error)), ""))

    def _judge_message(self, message, error):
        where = last_frame(error)
        if len(message) > MAX_MESSAGE:
            self.found("long message", where, f"{len(message)} characters: {message[:200]!r}")
        if "\n" in message:
            self.found("message of several lines", where, message[:300])
        if echoed(message, self.texts):
            self.found("echo", where, message)
        try:
            message.encode()
        except UnicodeEncodeError:
            self.found("message that cannot be printed", where, ascii(message))

    def command(self, code, out, err, *, binary=False):
        """Feature extractor what a command gave. binary: standard output holds arrays."""
        self.spoke = True
        message = err.decode(errors="replace")
        if code not in (0, 1, 2):
            self.found("exit code", code, message[-300:])
        if code and self.outcome == "accepted":
            self.outcome = f"exit {code}"
        for sign in SIGNS:
            if sign in err or (sign in out and not binary):
                text = err if sign in err else out
                last = text[-400:].decode(errors="replace")
                self.found("foreign words", f"exit {code}: {sign.decode()} {plain(last)[:80]}", last)
                break
        if code and len(message) > MAX_MESSAGE:
            self.found("long message", f"exit {code}", f"{len(message)} characters: {message[:200]!r}")
        if code and echoed(message, self.texts):
            self.found("echo", f"exit {code}", message)
        lines = message.count("\n")
        if code == 1 and lines > 1:
            self.found("message of several lines", "exit 1", message)
        if code == 0 and lines > MAX_REMARKS:
            self.found("message of several lines", "exit 0", message)
        if code == 2 and not message.startswith("Usage: "):
            self.found("usage error without usage", "exit 2", message)
        if code == 1 and not message.strip():
            self.found("silent failure", "exit 1 without a line on standard error")

    def streams(self, out, err):
        """What came on the standard streams of a trial that is no command."""
        if not self.spoke and (out or err):
            text = (err or out)[:400].decode(errors="replace")
            self.found("output leak", f"{'stderr' if err else 'stdout'}: {plain(text)[:80]}", text)

    def memory(self, peak, baseline):
        """Megabytes at the trial's peak, and of the worker when it began."""
        before = peak if self.before is None else self.before
        allowed = MEMORY_MB if self.outcome == "accepted" else REFUSED_MB
        if peak - before > NOTICED_MB and peak - baseline > MEMORY_MB:
            self.found("memory", f"more than {MEMORY_MB} MB, outcome {self.outcome}")
        elif peak - before > allowed:
            self.found("memory", f"more than {allowed} MB for what is refused: {self.outcome}")


def plain(text):
    """A text whose numbers and scratch paths are alike in every trial."""
    return re.sub(r"\d+", "#", re.sub(r"/[\w./-]*aegen-attack[\w./-]*/", "", text)).strip()


def echoed(message, texts):
    """Whether more than MAX_ECHO characters in a row come from one of the texts."""
    long = [text for text in texts if len(text) > MAX_ECHO]
    if not long or len(message) <= MAX_ECHO:
        return False
    pieces = {message[start : start + MAX_ECHO + 1] for start in range(len(message) - MAX_ECHO)}
    return any(piece in text for piece in pieces for text in long)


def signature(error):
    """What an error is and where in aegen it came from, in words that are alike for alike errors; and what it said."""
    return f"{type(error).__name__} from {last_frame(error)}", ascii(str(error)[:400])


def last_frame(error):
    """The innermost function of aegen that an error came through, with its folder."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(sys.modules["aegen"].__file__).parent
    own = [one for one in frames if Path(one.filename).is_relative_to(root) and "attack" not in one.filename]
    if not own:
        return "outside aegen"
    return f"{Path(own[-1].filename).relative_to(root)}:{own[-1].name}"


class Streams:
    """File descriptors 1 and 2 lead into files, where what anything writes can be seen, onnxruntime's C++ included."""

    def __init__(self):
        self._files = [tempfile.TemporaryFile(buffering=0) for _ in range(2)]  # noqa: SIM115
        for file in self._files:  # what is written comes at the end, wherever that is by then
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        self._kept = [os.dup(1), os.dup(2)]
        self.attach()

    def attach(self):
        """Point the descriptors at the files, whatever has been done to them."""
        for target, file in enumerate(self._files, 1):
            os.dup2(file.fileno(), target)

    def detach(self):
        """Give the descriptors back."""
        self.taken()
        for target, kept in enumerate(self._kept, 1):
            os.dup2(kept, target)

    def taken(self):
        """What was written since the last time, (standard output, standard error)."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        found = []
        for file in self._files:
            size = os.fstat(file.fileno()).st_size
            found.append(os.pread(file.fileno(), min(size, 1 << 24), 0) if size else b"")
            if size:
                os.ftruncate(file.fileno(), 0)
        return tuple(found)


class Memory:
    """Resident memory of this process in MB, and its peak since `reset`."""

    def __init__(self):
        self._status = Path("/proc/self/status").open("rb", buffering=0)  # noqa: SIM115
        self.measured = self.reset()

    def reset(self):
        """Forget the peak. Whether the system lets us."""
        try:
            with Path("/proc/self/clear_refs").open("wb", buffering=0) as file:
                file.write(b"5")
        except OSError:
            return False
        return True

    def read(self):
        """(now, peak)."""
        text = os.pread(self._status.fileno(), 8192, 0)
        now, peak = (int(re.search(name + rb":\s+(\d+) kB", text)[1]) / 1024 for name in (b"VmRSS", b"VmHWM"))
        return now, peak


def scratch(within=None):
    """A new folder for files, by default in memory where the system has such a place."""
    shared = Path("/dev/shm")
    within = within or (shared if os.access(shared, os.W_OK) else None)
    return tempfile.TemporaryDirectory(prefix="aegen-attack-", dir=within)


def settle():
    """Wait for threads that aegen began and nobody has waited for, so that each trial is alone."""
    for thread in threading.enumerate():
        if thread.name == "aegen-opening":
            thread.join()


# What results must be; each gives a fault in words, or None.


def images(shape, dtype=np.float32):
    """A check of images: of this shape (None: any number of rows), this dtype, finite, and floats in [0, 1]."""

    def check(result):
        fault = array(shape, dtype)(result)
        if fault or result.dtype == np.uint8 or not result.size:
            return fault
        return None if result.min() >= 0 and result.max() <= 1 else f"values from {result.min():g} to {result.max():g}"

    return check


def array(shape, dtype=np.float32):
    """A check of an array: of this shape, None standing for any size, this dtype, and finite."""

    def check(result):
        if not isinstance(result, np.ndarray | np.generic):
            return f"a {type(result).__name__} in place of an array"
        if result.dtype != dtype:
            return f"dtype {result.dtype} in place of {np.dtype(dtype)}"
        if len(result.shape) != len(shape) or any(b not in (None, a) for a, b in zip(result.shape, shape, strict=True)):
            return f"shape {result.shape} in place of {shape}"
        return None if np.isfinite(result).all() else "values that are not finite"

    return check


def densities(shape):
    """A check of log densities: float64, no NaN, and none of them infinitely likely."""

    def check(result):
        if result.dtype != np.float64 or result.shape != shape:
            return f"{result.dtype} {result.shape} in place of float64 {shape}"
        return None if not np.isnan(result).any() and (result < np.inf).all() else "densities that are NaN or infinite"

    return check


def read_image_set(result):
    """Images as a reader gives them: uint8 or float, with rows, and not empty."""
    if not isinstance(result, np.ndarray) or result.dtype.kind not in "uifb":
        return f"{getattr(result, 'dtype', type(result))} in place of images"
    if result.ndim not in (3, 4) or result.size == 0:
        return f"shape {result.shape} in place of images"
    return None


def verified(result):
    """A verification that says something."""
    numbers = [*result.largest_difference.values(), result.rtol, result.atol]
    return "differences that are NaN" if any(np.isnan(number) for number in numbers) else None
