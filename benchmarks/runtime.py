"""Compare the speed of aegen's methods with onnxruntime alone, torch, OpenVINO and numpy, on the same networks.

Needs aegen's extra `train`; OpenVINO is included if it is installed (`pip install openvino`). Prints four tables in
Markdown, and writes JSON with --json FILE:

* encoding and decoding: microseconds per image of aegen and of each other library; how many times as fast aegen is as
  each of them, and as the fastest of onnxruntime and torch; and aegen's speed as a fraction of the machine's peak, the
  measured speed of a matrix product
* every method: images per second, and the ratio of its time to the time of onnxruntime alone
* what limits every method: how much of its processor time its arithmetic, and its reading and writing, would take at
  the machine's peak, and what is left, in per cent
* decoding by four threads that share a model: how many times as fast they are as one thread

The other libraries, called peers, run with the fastest of a few batch sizes. Their results are discarded after each
batch, whereas aegen returns all results in one array. torch and numpy use random weights, which does not affect their
speed.

    python benchmarks/runtime.py mnist-ae mnist --json runtime.json
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import aegen
import numpy as np
import torch
from aegen.evaluation.roofline import Peak, Work
from aegen.evaluation.speed import Call, ProcessorTimer, interleaved, speeds
from aegen.recipes.training import Recipe
from aegen.runtime.artifact import DECODER, ENCODER, Artifact, find
from aegen.runtime.pixels import to_tensor
from aegen.runtime.session import open_session
from aegen.runtime.threads import allowed_threads
from aegen.runtime.workers import slices
from aegen.train.networks import build
from threadpoolctl import threadpool_limits

CHUNKS = (128, 512, 2048)  # batch sizes to try with each other library; the fastest is reported
BEST_OF = ("onnxruntime", "torch", "torch.compile")  # aegen is compared with the fastest of these
CALLERS, SHARED_LATENTS = 4, 8192  # number of threads that share one model; latents that each decodes per call

Run = Callable[[np.ndarray], object]


def main() -> None:
    """Measure all speeds, print the tables, and write the results as JSON if --json is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["mnist-ae", "mnist"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 1024, 65_536])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="for one line of a table")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    results = {
        "peers": beside_peers(options),
        "methods": beside_onnxruntime(options),
        "shared": shared_by_threads(options),
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def beside_peers(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare encoding and decoding by aegen and by the other libraries. Prints the table and returns its rows."""
    rows: list[dict[str, Any]] = []
    for name, encode, threads, n in itertools.product(options.models, (True, False), options.threads, options.batches):
        rows.append(measure(name, encode, n, threads, options.seconds))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    names = list(dict.fromkeys(peer for row in rows for peer in row["microseconds"]))
    print("| model | method | threads | batch |", " | ".join(names), "| beside the best | of peak |")
    print("| --- | --- | ---: | ---: |", " | ".join("---:" for _ in names), "| ---: | ---: |")
    for row in rows:
        times, ratios = row["microseconds"], row["aegen_speed_ratio"]
        cells = [f"{times[peer]:.2f} ({ratios[peer]:.2f})" if peer in times else "" for peer in names]
        print(f"| {row['model']} | {row['method']} | {row['threads']} | {row['batch']:,} | {' | '.join(cells)} "
              f"| {row['best_peer_ratio']:.2f} | {row['fraction_of_peak']:.0%} |")  # fmt: skip
    return rows


def beside_onnxruntime(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare every method of aegen with onnxruntime alone and the peak. Prints the table and returns its rows."""
    print("\n| model | method | threads | batch | images/s | x onnxruntime |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    for name, threads in itertools.product(options.models, options.threads):
        for speed in speeds(find(name), threads=threads, batches=options.batches, seconds=options.seconds):
            rows.append({"model": name, "threads": threads, **speed.json_object()})
            print(f"| {name} | {speed.method} | {threads} | {speed.batch:,} | {speed.images_per_second:,.0f} "
                  f"| {speed.onnxruntime_ratio:.2f} |", flush=True)  # fmt: skip
    print_rooflines(rows)
    return rows


def print_rooflines(rows: list[dict[str, Any]]) -> None:
    """Print what limits each method: the fractions of arithmetic, bandwidth and overhead, in per cent."""
    cells: dict[str, list[str]] = {}
    for row in rows:
        fractions = " / ".join(f"{row[part]:.0%}".rstrip("%") for part in ("arithmetic", "bandwidth", "overhead"))
        cells.setdefault(row["method"], []).append(fractions)
    columns = dict.fromkeys(f"{row['model']}, threads: {row['threads']}, images: {row['batch']:,}" for row in rows)
    print(f"\n| method | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for method, texts in cells.items():
        print(f"| {method} | {' | '.join(texts)} |")


def shared_by_threads(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the speed of several threads that share a model. Prints the table and returns its rows."""
    print("\n| model | threads that share it | cores | gain | same images |")
    print("| --- | ---: | ---: | ---: | --- |")
    rows = [measure_shared(name, options.seconds) for name in options.models]
    for row in rows:
        print(f"| {' | '.join(map(str, row.values()))} |")
    return rows


def measure(name: str, encode: bool, n: int, threads: int, seconds: float) -> dict[str, Any]:
    """Measure the microseconds per image of aegen and of the other libraries, and the ratios of their speeds.

    Every time is a median of repeated runs. For each other library, the time with its fastest batch size is reported.
    encode: whether to encode n images; if false, n latents are decoded.
    """
    folder = find(name)
    model = aegen.load(folder, threads=threads)
    latents = model.sample_latents(n, seed=0)  # (n, d)
    floats, levels = model.decode(latents), model.decode(latents, dtype="uint8")  # both are images (n, H, W[, 3])
    processor = ProcessorTimer(lambda: model.encode(floats) if encode else model.decode(latents))
    calls: dict[tuple[str, int], Call] = {  # keys: (library, batch size), where 0 stands for no batch size
        ("aegen", 0): processor.run,
        ("aegen uint8", 0): lambda: model.encode(levels) if encode else model.decode(latents, dtype="uint8"),
    }
    rows = to_tensor(levels, model.manifest.image) if encode else latents
    for peer, run in peers(folder, threads, encode):
        for size in sorted({min(size, n) for size in CHUNKS}):
            calls[peer, size] = chunked(run, rows, size)
    machine = Peak(threads)
    calls["peak", 0] = machine.measure
    with threadpool_limits(threads), torch.inference_mode():
        times = dict(zip(calls, interleaved(list(calls.values()), seconds), strict=True))
    medians = {key: statistics.median(values) for key, values in times.items()}
    del medians["peak", 0]
    macs = model.manifest.macs.get(ENCODER if encode else DECODER, 0)
    roofline = machine.roofline(Work(macs * n, 0), processor.seconds)
    best = {peer: min((key for key in medians if key[0] == peer), key=medians.__getitem__) for peer, _ in medians}
    ratios = {
        peer: round(statistics.median(b / a for a, b in zip(times["aegen", 0], times[key], strict=True)), 3)
        for peer, key in best.items()
    }
    return {
        "model": name,
        "method": "encode" if encode else "decode",
        "batch": n,
        "threads": threads,
        "microseconds": {peer: round(medians[key] / n * 1e6, 3) for peer, key in best.items()},
        "aegen_speed_ratio": ratios,
        "best_peer_ratio": min(ratios[peer] for peer in BEST_OF),
        "chunks": {peer: size for peer, size in best.values() if size},
        "peak_gflops": round(2 * roofline.peak_macs_per_second / 1e9, 1),
        "fraction_of_peak": round(roofline.arithmetic, 3),
    }


def peers(folder: Path, threads: int, encode: bool) -> Iterator[tuple[str, Run]]:
    """Yield the name of each other library, and a function with which it runs the network on one batch.

    A batch is images (n, C, H, W) if `encode` is true, otherwise latents (n, d).
    """
    artifact = Artifact.open(folder)
    graph, input_name, output_name = (ENCODER, "image", "latent") if encode else (DECODER, "latent", "image")
    session = open_session(artifact.read(graph), graph, threads)
    yield "onnxruntime", lambda batch: session.run([output_name], {input_name: batch})
    torch.set_num_threads(threads)
    recipe = {
        key: tuple(value) if isinstance(value, list) else value for key, value in artifact.manifest.recipe.items()
    }
    network = build(Recipe(**recipe), artifact.manifest.image.shape).eval()
    method = network.encode if encode else network.decode
    yield "torch", lambda batch: method(torch.from_numpy(batch)).numpy()
    compiled = torch.compile(method, dynamic=True)
    yield "torch.compile", lambda batch: compiled(torch.from_numpy(batch)).numpy()
    if find_spec("openvino"):
        import openvino

        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
        request = core.compile_model(core.read_model(str(folder / graph)), "CPU").create_infer_request()
        yield (
            "OpenVINO",
            lambda batch: request.infer({input_name: batch}, share_inputs=True, share_outputs=True)[output_name],
        )
    if recipe["network"] == "mlp":
        modules = network.encoder if encode else network.decoder
        layers = [module for module in modules if isinstance(module, torch.nn.Linear)]
        weights = [(layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy()) for layer in layers]
        yield "numpy", functools.partial(numpy_mlp, weights, encode)


def numpy_mlp(weights: list[tuple[np.ndarray, np.ndarray]], encode: bool, batch: np.ndarray) -> np.ndarray:
    """Run a multilayer perceptron in numpy: matrix products and ReLUs, and for a decoder a final sigmoid.

    weights: matrix (a, b) and bias (b,) of each layer. encode: true for an encoder, false for a decoder. batch: images
    (n, C, H, W) for an encoder, latents (n, d) for a decoder. Returns latents (n, d) or pixels (n, C * H * W).
    """
    hidden = batch.reshape(len(batch), -1)
    for number, (matrix, bias) in enumerate(weights, 1):
        hidden = hidden @ matrix + bias
        if number < len(weights):
            np.maximum(hidden, 0, out=hidden)
    return hidden if encode else 1 / (1 + np.exp(-hidden))


def chunked(run: Run, rows: np.ndarray, size: int) -> Call:
    """Return a function that runs `run` on all rows (n, ...) in batches of `size`, and discards the results."""
    batches = [rows[part] for part in slices(len(rows), size)]

    def call() -> None:
        for batch in batches:
            run(batch)

    return call


def measure_shared(name: str, seconds: float) -> dict[str, Any]:
    """Measure how much faster CALLERS threads that share a model finish the same decoding work than one thread."""
    model = aegen.load(name, threads=1)
    latents = model.sample_latents(SHARED_LATENTS, seed=0)  # (n, d)

    def decode(_: int) -> np.ndarray:  # returns images (n, H, W[, 3])
        return model.decode(latents, dtype="uint8")

    expected = decode(0)
    with ThreadPoolExecutor(CALLERS) as pool:
        calls: list[Call] = [
            lambda: [decode(0) for _ in range(CALLERS)],
            lambda: list(pool.map(decode, range(CALLERS))),
        ]
        alone, together = interleaved(calls, seconds)
        same = all(np.array_equal(images, expected) for images in pool.map(decode, range(CALLERS)))
    gain = statistics.median(a / b for a, b in zip(alone, together, strict=True))
    return {"model": name, "callers": CALLERS, "cores": allowed_threads(), "gain": round(gain, 2), "same": same}


if __name__ == "__main__":
    main()
