"""Compare the speed of aegen's methods with onnxruntime alone, torch, OpenVINO, numpy and a matrix product.

Needs the extra `train`; `pip install openvino` adds OpenVINO. Prints three tables in Markdown, and writes JSON with
--json FILE:

* encoding and decoding: microseconds per image of aegen and of the other libraries, and how many times as fast aegen is
* every method: images per second, and the ratio of its time to onnxruntime alone
* decoding by four threads that share a model

The other libraries, called peers, run the same network with the fastest of a few batch sizes. They drop their results,
which aegen keeps. torch and numpy use random weights, which take the same time.

    python benchmarks/runtime.py mnist-ae mnist --json runtime.json
"""

import argparse
import dataclasses
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
from aegen.evaluation.speed import Call, interleaved, speeds
from aegen.recipes.training import Recipe
from aegen.runtime.artifact import DECODER, ENCODER, Artifact, find
from aegen.runtime.pixels import to_tensor
from aegen.runtime.session import open_session
from aegen.runtime.threads import allowed_threads
from aegen.runtime.workers import slices
from aegen.train.networks import build
from threadpoolctl import threadpool_limits

CHUNKS = (128, 512, 2048)  # batch sizes to try with each other library; the fastest is reported
CALLERS, SHARED_LATENTS = 4, 8192  # threads that share one model, and latents that each thread decodes in a call
MATRIX_SIDE = 1024  # side of the square matrices with which the machine's peak speed is measured

Run = Callable[[np.ndarray], object]


def main() -> None:
    """Measure, and print the three tables."""
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
    """Print the table that compares encoding and decoding with the other libraries, and return its rows."""
    rows: list[dict[str, Any]] = []
    for name, encode, threads, n in itertools.product(options.models, (True, False), options.threads, options.batches):
        rows.append(measure(name, encode, n, threads, options.seconds))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    names = list(dict.fromkeys(peer for row in rows for peer in row["microseconds"]))
    print("| model | method | threads | batch |", " | ".join(names), "| of peak |")
    print("| --- | --- | ---: | ---: |", " | ".join("---:" for _ in names), "| ---: |")
    for row in rows:
        times, ratios = row["microseconds"], row["aegen_speed_ratio"]
        cells = [f"{times[peer]:.2f} ({ratios[peer]:.2f})" if peer in times else "" for peer in names]
        print(f"| {row['model']} | {row['method']} | {row['threads']} | {row['batch']:,} | {' | '.join(cells)} "
              f"| {row['fraction_of_peak']:.0%} |")  # fmt: skip
    return rows


def beside_onnxruntime(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the table that compares every method with onnxruntime alone, and return its rows."""
    print("\n| model | method | threads | batch | images/s | x onnxruntime |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    for name, threads in itertools.product(options.models, options.threads):
        for speed in speeds(find(name), threads=threads, batches=options.batches, seconds=options.seconds):
            rows.append({"model": name, "threads": threads, **dataclasses.asdict(speed)})
            print(f"| {name} | {speed.method} | {threads} | {speed.batch:,} | {speed.images_per_second:,.0f} "
                  f"| {speed.onnxruntime_ratio:.2f} |", flush=True)  # fmt: skip
    return rows


def shared_by_threads(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the table for several threads that share a model, and return its rows."""
    print("\n| model | threads that share it | cores | gain | same images |")
    print("| --- | ---: | ---: | ---: | --- |")
    rows = [measure_shared(name, options.seconds) for name in options.models]
    for row in rows:
        print(f"| {' | '.join(map(str, row.values()))} |")
    return rows


def measure(name: str, encode: bool, n: int, threads: int, seconds: float) -> dict[str, Any]:
    """Measure the microseconds per image of aegen and of the other libraries, and the ratios of their speeds.

    Times are medians; each other library has its best batch size. encode: encode n images if true, otherwise decode n
    latents.
    """
    folder = find(name)
    model = aegen.load(folder, threads=threads)
    latents = model.sample_latents(n, seed=0)  # (n, d)
    floats, levels = model.decode(latents), model.decode(latents, dtype="uint8")  # (n, H, W[, 3])
    calls: dict[tuple[str, int], Call] = {  # by library and batch size; 0: the library chooses the size
        ("aegen", 0): lambda: model.encode(floats) if encode else model.decode(latents),
        ("aegen uint8", 0): lambda: model.encode(levels) if encode else model.decode(latents, dtype="uint8"),
    }
    rows = to_tensor(levels, model.manifest.image) if encode else latents
    for peer, run in peers(folder, threads, encode):
        for size in sorted({min(size, n) for size in CHUNKS}):
            calls[peer, size] = chunked(run, rows, size)
    matrix = np.ones((MATRIX_SIDE, MATRIX_SIDE), np.float32)
    calls["sgemm", 0] = lambda: matrix @ matrix
    with threadpool_limits(threads), torch.inference_mode():
        times = dict(zip(calls, interleaved(list(calls.values()), seconds), strict=True))
    medians = {key: statistics.median(values) for key, values in times.items()}
    peak = MATRIX_SIDE**3 / medians.pop(("sgemm", 0))  # MACs per second
    best = {peer: min((key for key in medians if key[0] == peer), key=medians.__getitem__) for peer, _ in medians}
    macs = model.manifest.macs.get(ENCODER if encode else DECODER, 0)
    return {
        "model": name,
        "method": "encode" if encode else "decode",
        "batch": n,
        "threads": threads,
        "microseconds": {peer: round(medians[key] / n * 1e6, 3) for peer, key in best.items()},
        "aegen_speed_ratio": {
            peer: round(statistics.median(b / a for a, b in zip(times["aegen", 0], times[key], strict=True)), 3)
            for peer, key in best.items()
        },
        "chunks": {peer: size for peer, size in best.values() if size},
        "peak_gflops": round(2 * peak / 1e9, 1),
        "fraction_of_peak": round(macs * n / peak / medians["aegen", 0], 3),
    }


def peers(folder: Path, threads: int, encode: bool) -> Iterator[tuple[str, Run]]:
    """The other libraries by name, each with a function that runs one batch of tensors.

    The tensors are images (n, C, H, W) or latents (n, d).
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
    """A multilayer perceptron in numpy: matrix products and ReLUs, and a final sigmoid in a decoder.

    weights: matrix (a, b) and bias (b,) of each layer. batch: (n, ...). Returns latents (n, d) or pixels (n, p).
    """
    hidden = batch.reshape(len(batch), -1)
    for number, (matrix, bias) in enumerate(weights, 1):
        hidden = hidden @ matrix + bias
        if number < len(weights):
            np.maximum(hidden, 0, out=hidden)
    return hidden if encode else 1 / (1 + np.exp(-hidden))


def chunked(run: Run, rows: np.ndarray, size: int) -> Call:
    """A call that runs all rows (n, ...), in batches of `size`, and drops the results."""
    batches = [rows[part] for part in slices(len(rows), size)]

    def call() -> None:
        for batch in batches:
            run(batch)

    return call


def measure_shared(name: str, seconds: float) -> dict[str, Any]:
    """Measure how much faster CALLERS threads that share a model decode than one thread with the same work."""
    model = aegen.load(name, threads=1)
    latents = model.sample_latents(SHARED_LATENTS, seed=0)  # (n, d)

    def decode(_: int) -> np.ndarray:  # (n, H, W[, 3])
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
