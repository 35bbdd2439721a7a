"""`aegen bench` measures every method beside onnxruntime alone and the machine's peak. No test limits a time."""

import itertools
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aegen.evaluation import roofline, speed
from aegen.evaluation.roofline import Peak, Roofline, Work, graph_costs, product_graph
from aegen.evaluation.speed import MIN_ROUNDS, ProcessorTimer, affordable_batch, interleaved, speeds
from aegen.runtime.artifact import Artifact, find
from aegen.runtime.autoencoder import Autoencoder
from aegen.runtime.session import open_session

TINY = Path(__file__).parent / "tiny"
GREY = TINY / "grey"
METHODS = {"encode", "encode uint8", "decode", "decode uint8", "reconstruct", "interpolate", "sample uint8"}
TICK = 1 / 256  # seconds between two readings of the fixture `clock`


@pytest.fixture(autouse=True)
def small_peak(monkeypatch):
    """Measure the machine's peak with a small matrix and a small array, which takes little time."""
    monkeypatch.setattr(roofline, "MATRIX_SIDE", 16)
    monkeypatch.setattr(roofline, "COPY_BYTES", 1000)


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by TICK at each reading, and by what a test adds to its attribute `now`."""
    fake = SimpleNamespace(now=0.0)

    def perf_counter():
        fake.now += TICK
        return fake.now

    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=perf_counter, process_time=time.process_time))
    return fake


@pytest.mark.parametrize("path", [GREY, TINY / "colour", find("mnist-fast")], ids=lambda path: path.name)
def test_every_method_is_measured_at_every_batch(path):
    progress = []
    results = list(speeds(path, threads=1, batches=(1, 3), seconds=0, report=lambda *step: progress.append(step)))
    assert progress == [("measuring", done, 14) for done in range(14)]
    assert {(result.method, result.batch) for result in results} == {*itertools.product(METHODS, (1, 3))}
    for result in results:
        assert result.seconds > 0
        assert result.onnxruntime_ratio > 0
        assert result.images_per_second == result.batch / result.seconds
        assert result.roofline.arithmetic > 0
        assert result.roofline.bandwidth > 0


def test_calls_are_measured_in_turn():
    order = []
    times = interleaved([lambda: order.append("a"), lambda: order.append("b")], 0)
    assert [len(seconds) for seconds in times] == [MIN_ROUNDS, MIN_ROUNDS]
    changes = sum(before != after for before, after in itertools.pairwise(order))
    assert changes >= MIN_ROUNDS  # each round calls both a and b
    assert min(order.count("a"), order.count("b")) >= 2 * MIN_ROUNDS  # an untimed call before each timed call


def test_a_long_call_runs_only_twice_before_the_rounds_and_once_in_each(clock):
    calls = []

    def long_call():
        calls.append(clock.now)
        clock.now += 0.5

    assert interleaved([long_call], 0) == [[0.5 + TICK] * MIN_ROUNDS]
    assert len(calls) == 2 + MIN_ROUNDS


def test_the_processor_time_is_that_of_the_shortest_call(monkeypatch):
    readings = iter([0.0, 3.0, 10.0, 12.0, 20.0, 29.0])
    monkeypatch.setattr(speed, "time", SimpleNamespace(process_time=readings.__next__))
    calls = []
    timer = ProcessorTimer(lambda: calls.append("called"))
    for _ in range(3):
        timer.run()
    assert (timer.seconds, len(calls)) == (2.0, 3)


@pytest.mark.parametrize(
    ("image_seconds", "batches"),
    [
        (0.5, [1]),
        (0.01, [1, 4]),  # 14 calls with 7 images take a second
        (0.0005, [1, 64, 128]),
        (0.0001, [1, 64, 512]),
    ],
)
def test_the_largest_batch_is_one_whose_calls_take_no_longer_than_allowed(image_seconds, batches, clock, monkeypatch):
    calls = []
    sample = Autoencoder.sample

    def slow_sample(self, n, **options):
        calls.append(n)
        clock.now += n * image_seconds
        return sample(self, n, **options)

    monkeypatch.setattr(Autoencoder, "sample", slow_sample)
    results = list(speeds(GREY, threads=1, seconds=1))
    assert list(dict.fromkeys(result.batch for result in results)) == batches
    assert len(results) == len(batches) * len(METHODS)
    # Each measured line takes about a second, of which `sample` takes at most a third. Trying a batch size takes half a
    # second.
    assert sum(calls) * image_seconds < 2 * len(batches) + 14 * image_seconds


@pytest.mark.parametrize(
    ("batch", "image_seconds", "calls", "affordable"),
    [(64, 0.001, 10, 64), (64, 0.00157, 10, 32), (1024, 0.001, 10, 64), (64, 0.11, 10, 0), (64, 0.09, 10, 1)],
)
def test_a_batch_is_affordable_if_all_its_calls_fit_into_the_time(batch, image_seconds, calls, affordable):
    assert affordable_batch(batch, image_seconds, 1.0, calls) == affordable


def test_the_peak_is_that_of_a_matrix_product():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 5)).astype(np.float32)
    (product,) = open_session(product_graph(), "product").run(None, {"a": a, "b": b})
    np.testing.assert_allclose(product, a @ b, rtol=1e-5)


def clock_of_each_thread(seconds):
    """A function that returns a time which is `seconds` later at every call of the same thread."""
    local = threading.local()

    def now():
        local.time = getattr(local, "time", 0) + seconds
        return local.time

    return now


@pytest.mark.parametrize("threads", [1, 3])
def test_the_peak_is_that_of_the_shortest_times_of_all_threads(threads, monkeypatch):
    peak = Peak(threads)
    assert peak.macs_per_second == peak.bytes_per_second == 0
    for seconds in (0.5, 0.25, 1.0):
        monkeypatch.setattr(roofline, "time", SimpleNamespace(thread_time=clock_of_each_thread(seconds)))
        peak.measure()
    assert peak.macs_per_second == pytest.approx(threads * 16**3 / 0.25)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_roofline_compares_work_with_the_peak(threads):
    peak = Peak(threads)
    peak.measure()
    work = Work(1_000_000, 2_000_000)
    seconds = 2 * work.macs / peak.macs_per_second
    result = peak.roofline(work, threads * seconds)
    assert result.arithmetic == pytest.approx(0.5)
    assert result.bandwidth == pytest.approx(work.bytes / peak.bytes_per_second / seconds)
    assert (result.peak_macs_per_second, result.peak_bytes_per_second) == (peak.macs_per_second, peak.bytes_per_second)


@pytest.mark.parametrize(
    ("arithmetic", "bandwidth", "limit"),
    [(0.6, 0.1, "arithmetic"), (0.2, 0.5, "bandwidth"), (0.3, 0.2, "overhead"), (1.5, 0.9, "arithmetic")],
)
def test_the_limit_is_what_takes_most_of_the_time(arithmetic, bandwidth, limit):
    result = Roofline(arithmetic, bandwidth, 1.0, 1.0)
    assert result.limit == limit
    assert result.overhead == pytest.approx(max(0, 1 - arithmetic - bandwidth))


@pytest.mark.parametrize("name", ["mnist-ae", "mnist-fast"])
def test_the_work_of_a_multilayer_perceptron_is_one_multiplication_for_each_weight(name):
    artifact = Artifact.open(find(name))
    for graph in ("encoder.onnx", "decoder.onnx"):
        cost = graph_costs(artifact)[graph]
        assert cost.macs == artifact.manifest.macs[graph]
        # The size of the weights also counts biases and names, so it is a little larger than 4 bytes for each MAC.
        assert cost.weight_bytes == pytest.approx(4 * cost.macs, rel=0.02)
        one, many = cost.work(1, threads=1), cost.work(100, threads=1)
        assert (one.macs, many.macs) == (cost.macs, 100 * cost.macs)
        assert many.bytes - one.bytes == 99 * 2 * cost.activation_bytes  # the weights are read once for all rows
        assert cost.work(10_000, threads=2).bytes > 100 * many.bytes - 100 * cost.weight_bytes
    assert one + many == Work(101 * cost.macs, one.bytes + many.bytes)


def test_a_prior_reads_its_weights_once_for_each_evaluation():
    artifact = Artifact.open(find("mnist-fast"))
    for prior in artifact.manifest.learned_priors.values():
        size = artifact.manifest.files[prior.graph].bytes
        assert graph_costs(artifact)[prior.graph].weight_bytes == 2 * size * prior.evaluations  # fp16: 2 bytes each


def test_the_command_prints_a_table_and_json(cli):
    table = cli("bench", GREY, "--seconds", "0", "--threads", "1")
    assert table.returncode == 0, table.stderr
    assert len(table.stdout.splitlines()) == 1 + len(METHODS)
    assert "Larger calls than of 1 image would take too long." in table.stderr
    assert max(map(len, table.stdout.splitlines())) <= 80
    printed = json.loads(cli("bench", GREY, "--seconds", "0", "--threads", "1", "--json").stdout)
    assert {(row["method"], row["batch"]) for row in printed} == {(method, 1) for method in METHODS}
    for row in printed:
        assert row["overhead"] == pytest.approx(max(0, 1 - row["arithmetic"] - row["bandwidth"]))
        assert row[row["limit"]] == max(row["arithmetic"], row["bandwidth"], row["overhead"])
