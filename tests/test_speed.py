"""`aegen bench` compares the time of every method with that of onnxruntime alone. No test checks how fast aegen is."""

import itertools
import json

import pytest
from aegen.evaluation.speed import BATCHES, MIN_ROUNDS, interleaved, speeds
from aegen.runtime.artifact import find


@pytest.mark.parametrize("name", ["tiny", "mnist"])
def test_every_method_is_measured_at_every_batch(name, tiny):
    progress = []
    path = tiny if name == "tiny" else find(name)
    results = list(speeds(path, threads=1, batches=(1, 3), seconds=0, report=lambda *step: progress.append(step)))
    assert progress == [("measuring", done, 14) for done in range(14)]
    methods = {"encode", "encode uint8", "decode", "decode uint8", "reconstruct", "interpolate", "sample uint8"}
    assert {(speed.method, speed.batch) for speed in results} == {
        (method, batch) for method in methods for batch in (1, 3)
    }
    assert all(speed.seconds > 0 and speed.onnxruntime_ratio > 0 for speed in results)
    assert all(speed.images_per_second == speed.batch / speed.seconds for speed in results)


def test_calls_are_measured_in_turn():
    order = []
    times = interleaved([lambda: order.append("a"), lambda: order.append("b")], 0)
    assert [len(seconds) for seconds in times] == [MIN_ROUNDS, MIN_ROUNDS]
    changes = sum(before != after for before, after in itertools.pairwise(order))
    assert changes >= MIN_ROUNDS  # a and b alternate at least once in each round
    assert min(order.count("a"), order.count("b")) >= 2 * MIN_ROUNDS  # each timed call follows an untimed one


def test_the_command_prints_a_table_and_json(cli, tiny):
    table = cli("bench", tiny, "--seconds", "0", "--threads", "1")
    assert table.returncode == 0, table.stderr
    assert len(table.stdout.splitlines()) == 1 + 7 * len(BATCHES)
    assert max(map(len, table.stdout.splitlines())) <= 80
    printed = json.loads(cli("bench", tiny, "--seconds", "0", "--threads", "1", "--json").stdout)
    assert {row["batch"] for row in printed} == set(BATCHES)
    assert set(printed[0]) == {"method", "batch", "seconds", "onnxruntime_ratio"}
