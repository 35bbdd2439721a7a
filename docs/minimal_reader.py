"""A reader of aegen artifacts that does not use aegen. It was written from artifact-format.md, as an example to port.

    python docs/minimal_reader.py artifacts/mnist 16 --seed 0 --prior flow --output samples.npy

Only numpy and onnxruntime are needed. Simplicity comes before speed here: random words are computed one at a time.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

MASK = 2**64 - 1
NORMALS, UNIFORMS, STRATA = 0, 1, 2  # numbers of the three streams
BLOCK = 1000  # stratified numbers in a block


def word(seed: int, stream: int, index: int) -> int:
    """The random 64-bit word at an index of a stream: an output of Philox4x64-10."""
    counter, key = index // 4, (seed, stream)
    words = [counter >> 64 * i & MASK for i in range(4)]
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [second >> 64 ^ words[1] ^ key[0], second & MASK, first >> 64 ^ words[3] ^ key[1], first & MASK]
        key = (key[0] + 0x9E3779B97F4A7C15 & MASK, key[1] + 0xBB67AE8584CAA73B & MASK)
    return words[index % 4]


def normals(seed: int, i: int, d: int) -> np.ndarray:
    """The d standard normals at index i, float32 (d,)."""
    count, values = math.ceil(d / 2), []
    for index in range(i * count, (i + 1) * count):
        high, low = divmod(word(seed, NORMALS, index), 2**32)
        radius = math.sqrt(-2 * math.log((high + 0.5) / 2**32))
        angle = 2 * math.pi * (low + 0.5) / 2**32
        values += [radius * math.cos(angle), radius * math.sin(angle)]
    return np.array(values[:d], np.float32)


def uniform(seed: int, i: int) -> float:
    """The uniform number at index i, in [0, 1)."""
    return (word(seed, UNIFORMS, i) >> 11) / 2**53


def stratified(seed: int, i: int) -> float:
    """The stratified uniform number at index i, in [0, 1): each block has one number in each of BLOCK intervals."""
    value = word(seed, STRATA, i)
    first = i - i % BLOCK
    rank = sum(word(seed, STRATA, index) < value for index in range(first, first + BLOCK))
    return (rank + (value % 2**32 + 0.5) / 2**32) / BLOCK


def choose(w: np.ndarray, u: float) -> int:
    """The index that the uniform number u chooses, with probabilities proportional to the weights w (k,)."""
    cumulative = np.cumsum(w.astype(np.float64))
    return int(sum(cumulative[:-1] <= u * cumulative[-1]))


class Reader:
    """An open artifact. Every file is compared with its hash."""

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        if self.manifest["format"] != 2:
            raise ValueError(f"found format {self.manifest['format']}, expected 2")
        self.contents = {name: (folder / name).read_bytes() for name in self.manifest["files"]}
        for name, content in self.contents.items():
            if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]["sha256"]:
                raise ValueError(f"{name} is damaged")
        self.statistics = dict(np.load(folder / "latents.npz", allow_pickle=False))

    def run(self, graph: str, **inputs: np.ndarray) -> np.ndarray:
        """The first output of a graph."""
        session = onnxruntime.InferenceSession(self.contents[graph], providers=["CPUExecutionProvider"])
        output: np.ndarray = session.run(None, inputs)[0]
        return output

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 (n, H, W) or (n, H, W, 3) -> latents, float32 (n, d)."""
        low, high = self.manifest["image"]["range"]
        tensor = np.float32(images) / np.float32(255) * np.float32(high - low) + np.float32(low)
        tensor = tensor[:, None] if images.ndim == 3 else tensor.transpose(0, 3, 1, 2)
        return self.run("encoder.onnx", image=np.ascontiguousarray(tensor))

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Latents, float32 (n, d) -> images, float32 (n, H, W) or (n, H, W, 3) in [0, 1]."""
        low, high = self.manifest["image"]["range"]
        tensor = (self.run("decoder.onnx", latent=latents) - np.float32(low)) / np.float32(high - low)
        images: np.ndarray = np.clip(tensor, 0, 1)
        return images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)

    def latents(self, prior: str, seed: int, n: int, class_index: int | None, temperature: float) -> np.ndarray:
        """The first n latents of a seed's sequence, float32 (n, d). class_index: None for all classes."""
        if prior not in self.manifest["learned_priors"]:
            make = getattr(self, prior)
            return np.stack([make(seed, i, class_index, np.float32(temperature)) for i in range(n)])
        graph = self.manifest["learned_priors"][prior]["graph"]
        (noise_dim,) = (one["shape"][1] for one in self.manifest["graphs"][graph]["inputs"] if one["name"] == "noise")
        noise = np.stack([normals(seed, i, noise_dim) for i in range(n)])
        inputs = {"noise": np.float32(temperature) * noise}
        if self.manifest["labels"]:
            fractions = self.statistics["class_fractions"]
            chosen = (
                [choose(fractions, stratified(seed, i)) for i in range(n)] if class_index is None else [class_index] * n
            )
            inputs["label"] = np.array(chosen, np.int64)
        return self.run(graph, **inputs)

    def of(self, name: str, c: int | None) -> np.ndarray:
        """Return an array of the statistics: of all images if c is None, otherwise of the class with index c."""
        return self.statistics[name] if c is None else self.statistics[f"class_{name}"][c]

    def standard(self, seed: int, i: int, c: int | None, temperature: np.float32) -> np.ndarray:
        """The latent at index i under N(0, I); this prior has no classes."""
        return temperature * normals(seed, i, self.manifest["latent_dim"])

    def diagonal(self, seed: int, i: int, c: int | None, temperature: np.float32) -> np.ndarray:
        """The latent at index i under a Gaussian with independent dimensions."""
        noise = normals(seed, i, self.manifest["latent_dim"])
        return self.of("mean", c) + temperature * (self.of("std", c) * noise)

    def gaussian(self, seed: int, i: int, c: int | None, temperature: np.float32) -> np.ndarray:
        """The latent at index i under a Gaussian with a full covariance matrix."""
        noise = normals(seed, i, self.manifest["latent_dim"])
        return self.of("mean", c) + temperature * (self.of("factor", c) @ noise)

    def gmm(self, seed: int, i: int, c: int | None, temperature: np.float32) -> np.ndarray:
        """The latent at index i under a mixture of Gaussians."""
        k = choose(self.of("gmm_weights", c), uniform(seed, i))
        noise = normals(seed, i, self.manifest["latent_dim"])
        return self.of("gmm_means", c)[k] + temperature * (self.of("gmm_factors", c)[k] @ noise)

    def kde(self, seed: int, i: int, c: int | None, temperature: np.float32) -> np.ndarray:
        """The latent at index i under a kernel density."""
        centres = self.statistics["kde_latents"]
        if c is not None:
            centres = centres[self.statistics["kde_classes"] == c]
        chosen = min(int(uniform(seed, i) * len(centres)), len(centres) - 1)
        centre = self.statistics["kde_mean"] + self.statistics["kde_scale"] * np.float32(centres[chosen])
        noise = normals(seed, i, self.manifest["latent_dim"])
        return centre + temperature * self.of("kde_bandwidth", c) * noise


def main() -> None:
    """Sample images of an artifact and write them to an `.npy` file."""
    parser = argparse.ArgumentParser(description="Sample images of an artifact without aegen.")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prior")
    parser.add_argument("--class-index", type=int)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--output", default="samples.npy")
    chosen = parser.parse_args()
    reader = Reader(chosen.artifact)
    prior = chosen.prior or reader.manifest["default_prior"]
    temperature = reader.manifest["default_temperature"] if chosen.temperature is None else chosen.temperature
    latents = reader.latents(prior, chosen.seed, chosen.n, chosen.class_index, temperature)
    np.save(chosen.output, reader.decode(latents))


if __name__ == "__main__":
    main()
