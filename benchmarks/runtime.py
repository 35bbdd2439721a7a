"""aegen's methods beside bare onnxruntime, torch, OpenVINO, numpy and the machine's matrix multiply, in one run.

Needs the extra `train`, and `pip install openvino` for that peer. Prints three tables in Markdown, and JSON with
--json FILE: encoding and decoding beside all peers, in microseconds a image with aegen's speed as a multiple of the
peer's; every method beside onnxruntime alone; and decoding by four threads that share a model. The peers run the same
network, the best of a few chunk sizes, and drop their results, which aegen keeps; torch's and numpy's have random
weights, which take as long.

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

CHUNKS = (128, 512, 2048)  # rows in one call of a peer; the best is taken
CALLERS, SHARED = 4, 8192  # threads that share a model, and latents that each decodes
SQUARE = 1024  # side of the matrices whose product gives the machine's peak

Run = Callable[[np.ndarray], object]


def peers(folder: Path, threads: int, encode: bool) -> Iterator[tuple[str, Run]]:
    """Functions of one batch of tensors, by name."""
    artifact = Artifact.open(folder)
    name, given, wanted = (ENCODER, "image", "latent") if encode else (DECODER, "latent", "image")
    session = open_session(artifact.read(name), name, threads)
    yield "onnxruntime", lambda batch: session.run([wanted], {given: batch})
    torch.set_num_threads(threads)
    recipe = {
        hyperparameter: tuple(v) if isinstance(v, list) else v for hyperparameter, v in artifact.manifest.recipe.items()
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
        request = core.compile_model(core.read_model(str(folder / name)), "CPU").create_infer_request()
        yield "OpenVINO", lambda batch: request.infer({given: batch}, share_inputs=True, share_outputs=True)[wanted]
    if recipe["network"] == "mlp":
        layers = [one for one in (network.encoder if encode else network.decoder) if isinstance(one, torch.nn.Linear)]
        weights = [(one.weight.detach().numpy().T.copy(), one.bias.detach().numpy()) for one in layers]
        yield "numpy", functools.partial(plain, weights, encode)


def plain(weights: list[tuple[np.ndarray, np.ndarray]], encode: bool, batch: np.ndarray) -> np.ndarray:
    """An MLP with numpy: matrix products, ReLUs, and a sigmoid at the end of a decoder."""
    hidden = batch.reshape(len(batch), -1)
    for place, (matrix, bias) in enumerate(weights, 1):
        hidden = hidden @ matrix + bias
        if place < len(weights):
            np.maximum(hidden, 0, out=hidden)
    return hidden if encode else 1 / (1 + np.exp(-hidden))


def chunked(run: Run, rows: np.ndarray, size: int) -> Call:
    """All rows, `size` at a time, the results dropped."""
    batches = [rows[part] for part in slices(len(rows), size)]

    def call() -> None:
        for batch in batches:
            run(batch)

    return call


def measure(name: str, encode: bool, n: int, threads: int, seconds: float) -> dict[str, Any]:
    """Median microseconds a image of aegen and of each peer at its best chunk, and aegen's speed as a ratio to it."""
    folder = find(name)
    model = aegen.load(folder, threads=threads)
    latents = model.draw(n, seed=0)
    images = model.decode(latents)
    levels = model.decode(latents, dtype="uint8")
    rows = latents if not encode else to_tensor(levels, model.manifest.image)
    calls: dict[tuple[str, int], Call] = {
        ("aegen", 0): (lambda: model.encode(images)) if encode else (lambda: model.decode(latents)),
        ("aegen uint8", 0): (lambda: model.encode(levels))
        if encode
        else (lambda: model.decode(latents, dtype="uint8")),
    }
    for peer, run in peers(folder, threads, encode):
        for size in sorted({min(size, n) for size in CHUNKS}):
            calls[peer, size] = chunked(run, rows, size)
    square = np.ones((SQUARE, SQUARE), np.float32)
    calls["sgemm", 0] = lambda: square @ square
    with threadpool_limits(threads), torch.inference_mode():
        times = dict(zip(calls, interleaved(list(calls.values()), seconds), strict=True))
    medians = {key: statistics.median(one) for key, one in times.items()}
    peak = SQUARE**3 / medians.pop(("sgemm", 0))  # MACs a second
    best = {peer: min((key for key in medians if key[0] == peer), key=medians.__getitem__) for peer, _ in medians}
    ours = times["aegen", 0]
    cost = model.manifest.macs.get(ENCODER if encode else DECODER, 0)
    return {
        "model": name,
        "method": "encode" if encode else "decode",
        "batch": n,
        "threads": threads,
        "microseconds": {peer: round(medians[key] / n * 1e6, 3) for peer, key in best.items()},
        "aegen_speed_to": {
            peer: round(statistics.median(b / a for a, b in zip(ours, times[key], strict=True)), 3)
            for peer, key in best.items()
        },
        "chunks": {peer: size for peer, size in best.values() if size},
        "peak_gflops": round(2 * peak / 1e9, 1),
        "share_of_peak": round(cost * n / peak / medians["aegen", 0], 3),
    }


def sharing(name: str, seconds: float) -> dict[str, Any]:
    """Four callers of one model that decode many latents each, beside one after the other: the gain."""
    model = aegen.load(name, threads=1)
    latents = model.draw(SHARED, seed=0)

    def decode(_: int) -> np.ndarray:
        return model.decode(latents, dtype="uint8")

    expected = decode(0)
    with ThreadPoolExecutor(CALLERS) as pool:
        calls: list[Call] = [
            lambda: [decode(0) for _ in range(CALLERS)],
            lambda: list(pool.map(decode, range(CALLERS))),
        ]
        alone, together = interleaved(calls, seconds)
        same = all(np.array_equal(one, expected) for one in pool.map(decode, range(CALLERS)))
    gain = statistics.median(a / b for a, b in zip(alone, together, strict=True))
    return {"model": name, "callers": CALLERS, "cores": allowed_threads(), "gain": round(gain, 2), "same": same}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["mnist-ae", "mnist"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 1024, 65_536])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="for one line of a table")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name, encode, threads, n in itertools.product(options.models, (True, False), options.threads, options.batches):
        found.append(measure(name, encode, n, threads, options.seconds))
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    names = list(dict.fromkeys(peer for row in found for peer in row["microseconds"]))
    print("| model | method | threads | batch |", " | ".join(names), "| of peak |")
    print("| --- | --- | ---: | ---: |", " | ".join("---:" for _ in names), "| ---: |")
    for row in found:
        cells = [
            f"{row['microseconds'][peer]:.2f} ({row['aegen_speed_to'][peer]:.2f})"
            if peer in row["microseconds"]
            else ""
            for peer in names
        ]
        print(f"| {row['model']} | {row['method']} | {row['threads']} | {row['batch']:,} | {' | '.join(cells)} "
              f"| {row['share_of_peak']:.0%} |")  # fmt: skip
    print("\n| model | method | threads | batch | images a second | of onnxruntime's time |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    verbs: list[dict[str, Any]] = []
    for name, threads in itertools.product(options.models, options.threads):
        for speed in speeds(find(name), threads=threads, batches=options.batches, seconds=options.seconds):
            verbs.append({"model": name, "threads": threads, **dataclasses.asdict(speed)})
            print(f"| {name} | {speed.method} | {threads} | {speed.batch:,} | {speed.images_per_second:,.0f} "
                  f"| {speed.overhead:.2f} |", flush=True)  # fmt: skip
    print("\n| model | callers that share it | cores | gain | same images |")
    print("| --- | ---: | ---: | ---: | --- |")
    shared = [sharing(name, options.seconds) for name in options.models]
    for row in shared:
        print(f"| {' | '.join(map(str, row.values()))} |")
    if options.json:
        options.json.write_text(json.dumps({"peers": found, "methods": verbs, "sharing": shared}, indent=1))


if __name__ == "__main__":
    main()
