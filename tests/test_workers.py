"""When threads share the rows of a call, all results come in order; idle threads use no processor time."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aegen
import numpy as np
import pytest
from aegen.runtime.workers import MAX_ROWS, MIN_ROWS, PART_MAX_MACS, PART_MIN_MACS, Workers
from hypothesis import given
from hypothesis import strategies as st


@given(
    n=st.integers(0, 5000), threads=st.integers(1, 9), macs=st.integers(0, 10**9), size=st.none() | st.integers(1, 900)
)
def test_parts_hold_all_rows_in_order_and_have_one_size_but_for_the_last(n, threads, macs, size):
    parts = list(Workers(threads).cut(n, macs, size))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(n))
    lengths = [part.stop - part.start for part in parts]
    assert len(set(lengths[:-1])) <= 1
    assert max(lengths, default=0) <= (size or MAX_ROWS)
    assert size or macs * MIN_ROWS < PART_MAX_MACS or max(lengths, default=0) <= MIN_ROWS


def test_every_thread_gets_an_equal_part_where_that_is_worth_waking_it():
    assert [part.stop - part.start for part in Workers(4).cut(600, PART_MIN_MACS)] == [150] * 4
    assert [part.stop - part.start for part in Workers(4).cut(64, PART_MIN_MACS // 64)] == [64]


def test_results_come_in_order_and_parts_are_not_taken_far_ahead():
    taken = []

    def parts():
        for part in range(40):
            taken.append(part)
            yield part

    def run(part):
        time.sleep(0.002 * (part % 3))
        return part

    results = []
    for result in Workers(3).in_order(run, parts()):
        results.append(result)
        assert len(taken) <= len(results) + 7
    assert results == list(range(40))


def test_an_error_in_one_part_reaches_the_caller_and_ends_the_others():
    ran = []

    def run(part):
        ran.append(part)
        if part == 3:
            raise ValueError("part 3")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="part 3"):
        list(Workers(2).in_order(run, range(1000)))
    assert len(ran) < 20


def test_the_calling_thread_works_too_and_the_number_of_threads_is_exact():
    names, all_at_once = set(), threading.Barrier(3)

    def run(part):
        if threading.current_thread().name not in names:
            names.add(threading.current_thread().name)
            all_at_once.wait(20)

    list(Workers(3).in_order(run, range(30)))
    assert threading.current_thread().name in names
    assert len(names) == 3


def test_results_before_an_error_are_returned_though_the_error_came_first():
    def run(part):
        if part == 1:
            raise ValueError("part 1")
        time.sleep(0.05)
        return part

    results = Workers(2).in_order(run, range(4))
    assert next(results) == 0
    with pytest.raises(ValueError, match="part 1"):
        next(results)


def test_bulk_work_is_divided_and_gives_the_same_from_four_threads_at_once():
    before = set(threading.enumerate())
    model = aegen.load("mnist-ae", threads=2)
    images = model.sample(3000, seed=1, dtype="uint8")
    expected = model.encode(images)
    assert any(thread.name.startswith("aegen_") for thread in set(threading.enumerate()) - before)
    with ThreadPoolExecutor(4) as pool:
        for latents in pool.map(lambda _: model.encode(images), range(8)):
            assert np.array_equal(latents, expected)
    assert np.allclose(expected, aegen.load("mnist-ae", threads=1).encode(images), atol=1e-5)


def test_an_idle_model_uses_no_processor_time():
    model = aegen.load("mnist-ae", threads=2)
    model.sample(3000, seed=1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


LOAD_AND_SAMPLE = """
import os, sys, threading, aegen
model = aegen.load("mnist-ae", threads=2)
chunks = model.iter_sample(6000, seed=1, batch_size=256)
"""


@pytest.mark.parametrize(
    "use",
    [
        "threading.Thread(target=lambda: print(sum(map(len, chunks)))).start()",
        "next(chunks)\nif os.fork():\n    os.wait()\nelse:\n    print(256 + sum(map(len, chunks)))",
    ],
    ids=["the_main_thread_has_ended", "the_process_was_forked_between_two_chunks"],
)
def test_iter_sample_completes_after_a_fork_or_the_end_of_the_main_thread(use):
    done = subprocess.run([sys.executable, "-c", LOAD_AND_SAMPLE + use], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["6000"], done.stderr
