"""Untrusted input gives a valid result or one clear error; the fuzzer attack/fuzz.py reports any other outcome."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "attack" / "fuzz.py"
FAULTY = """
import os, sys, time
import numpy as np
import oracle
from aegen import AegenError
from aegen.runtime.errors import InputError

class Fixtures:
    def __init__(self, folder):
        pass

def refuse(message, **details):
    raise InputError(message, **details)

def sound(trial, fixtures):
    trial.call(lambda: np.ones((2, 3), np.float32), oracle.images((2, 3)))
    trial.call(lambda: refuse("images", found="nothing", expected="something"))

def foreign(trial, fixtures):
    trial.call(lambda: int("x"))

def wrong(trial, fixtures):
    for array in (np.full(3, np.nan, np.float32), np.full(3, 1.5, np.float32), np.ones(3), np.ones(4, np.float32)):
        trial.call(lambda: array, oracle.images((3,)))

def prints(trial, fixtures):
    sys.stdout.write("hello")

def writes(trial, fixtures):
    os.write(2, b"hello")

class Unshortened(InputError):
    def __str__(self):
        return self.text

def speak(text):
    error = Unshortened("x")
    error.text = text
    raise error

def verbose(trial, fixtures):
    trial.call(lambda: speak("y" * 2000))

def echoes(trial, fixtures):
    trial.remember(b"ab" * 500)
    trial.call(lambda: refuse("x", expected="ab" * 150))

def lines(trial, fixtures):
    trial.call(lambda: speak("a\\nb"))

def greedy(trial, fixtures):
    trial.call(lambda: refuse(f"x{np.ones(40_000_000).sum()}"))

def broken(trial, fixtures):
    trial.check_command(1, b"", b"Traceback (most recent call last):")
    trial.check_command(3, b"", b"Error: x")

def fails(trial, fixtures):
    raise KeyError("of the harness itself")

def dies(trial, fixtures):
    os.abort()

def hangs(trial, fixtures):
    time.sleep(60)

FUNCTIONS = (sound, foreign, wrong, prints, writes, verbose, echoes, lines, greedy, broken, fails, dies, hangs)
READERS = {function.__name__: function for function in FUNCTIONS}
TRIALS_PER_THOUSAND = dict.fromkeys(READERS, 1)
WARM, ARTIFACT_READERS = (), ("sound",)
stages_of = lambda reader: oracle.STAGES
"""


def fuzz(*arguments):
    """Run the fuzzer, and return its exit code and its report (the standard error if it printed no report)."""
    done = subprocess.run([sys.executable, FUZZ, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """The fuzzer's report on one correct reader function, and on several that each break one rule on purpose."""
    file = tmp_path_factory.mktemp("faulty") / "faulty_readers.py"
    file.write_text(FAULTY)
    code, report = fuzz("--readers", file, "--trials", 13, "--workers", 1, "--limit", 4)
    assert code == 1
    assert report["trials"] == 13
    return report


def test_two_thousand_mutated_inputs_give_a_valid_result_or_one_clear_error():
    code, report = fuzz("--trials", 2000, "--workers", 1)
    assert report["findings"] == []
    assert report["trials"] == 2000
    assert min(report["fraction that passed the hash stage"].values()) >= 0.5
    assert all(
        min(counts.values()) > 0 for reader, counts in report["depth"].items() if reader in ("graphs", "latents")
    )
    assert all("accepted" in outcomes and len(outcomes) > 1 for outcomes in report["outcomes"].values())
    assert code == 0


@pytest.mark.parametrize(
    ("reader", "kind", "count"),
    [
        ("foreign", "foreign error", 1),
        ("wrong", "invalid result", 4),
        ("prints", "output leak", 1),
        ("writes", "output leak", 1),
        ("verbose", "long message", 1),
        ("echoes", "echo", 1),
        ("lines", "message of several lines", 1),
        ("greedy", "memory", 1),
        ("broken", "foreign text", 1),
        ("broken", "exit code", 1),
        ("fails", "fault of the harness", 1),
        ("dies", "crash", 1),
        ("hangs", "hang", 1),
    ],
)
def test_the_fuzzer_detects_every_kind_of_fault(faulty, reader, kind, count):
    assert (
        sum(entry["count"] for entry in faulty["findings"] if (entry["reader"], entry["kind"]) == (reader, kind))
        == count
    )


def test_a_sound_reader_has_no_findings_but_the_report_says_that_no_hash_was_passed(faulty):
    assert not [entry for entry in faulty["findings"] if entry["reader"] == "sound"]
    assert faulty["outcomes"]["sound"] == {"InputError": 1}
    assert not faulty["half passed the hash stage"]


def test_the_same_trial_has_the_same_outcome_with_any_number_of_workers(tmp_path):
    first, second = (fuzz("--trials", 60, "--reader", "graphs,array", "--workers", workers)[1] for workers in (1, 2))
    assert first["trials"] > 10
    assert first["outcomes"] == second["outcomes"]
    assert first["depth"] == second["depth"]
