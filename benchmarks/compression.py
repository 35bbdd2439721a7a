"""Compare latents with image codecs at low rates, by bytes per image and PSNR, on 100 test images of a data set.

The codecs compress the images as one sheet of 10 x 10 tiles, so that a hundred images share one header. PNG and WebP
are also used without loss. WebP, JPEG and AVIF are used at their lowest rate, at the quality whose rate is nearest to
that of the latents of the first model in 8 bits, and at a higher rate. Bytes are those of the whole file, for latents
an `.npz` as `aegen encode --bits` writes it. The column "alone" is the mean size of the same images as files of one
image each.

Prints JSON, or Markdown with `--format markdown`; `--sheet FILE.png` writes an image of all results.

    python benchmarks/compression.py --data mnist --format markdown --sheet compression.png
"""

import argparse
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import aegen
import numpy as np
from aegen.data.datasets import load
from aegen.evaluation.similarity import peak_signal_to_noise, squared_errors
from aegen.images.latents import read_latents, write_quantised_latents
from aegen.images.quantisation import fitted_quantisation
from aegen.images.writing import write_images
from PIL import Image

COLUMNS, COUNT = 10, 100
LOW_QUALITIES = range(40)  # quality settings to try, to find the lowest rate and the rate nearest to that of latents
HIGHER_QUALITY = 40  # quality setting for the result at a higher rate
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {"format": "PNG", "optimize": True},
    "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
}
LOSSY: dict[str, dict[str, Any]] = {
    "WebP": {"format": "WEBP", "method": 6},
    "JPEG": {"format": "JPEG", "optimize": True},
    "AVIF": {"format": "AVIF", "speed": 6},
}


@dataclass(frozen=True)
class Result:
    """The result of one way to store the images.

    bytes_per_image: bytes per image if all images are stored in one file. bytes_alone: mean bytes of a file of one
    image; None for latents. psnr: in decibels. images: the decoded images, uint8 (100, H, W).
    """

    method: str
    setting: str
    bytes_per_image: float
    bytes_alone: float | None
    psnr: float
    images: np.ndarray


def main() -> None:
    """Measure all methods, print the table, and write an image of all results if --sheet is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="data set of grey images, a name or a path")
    parser.add_argument("--models", nargs="+", default=["mnist", "mnist-fast", "mnist-ae"])
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4], help="bits of a number in a latent")
    parser.add_argument("--format", choices=["json", "markdown"], default="json")
    parser.add_argument("--sheet", help="image to write")
    options = parser.parse_args()
    images = load(options.data).test.images[:COUNT]
    latents = [latent_result(name, bits, images) for name in options.models for bits in options.bits]
    codecs = [coded(images, name, "lossless", keywords) for name, keywords in LOSSLESS.items()]
    for name, keywords in LOSSY.items():
        codecs += lossy_results(images, name, keywords, latents[0].bytes_per_image)
    results = sorted([*codecs, *latents], key=lambda result: -result.bytes_per_image)
    if options.format == "markdown":
        print(markdown(results))
    else:
        print(json.dumps([{**asdict(result), "images": len(images)} for result in results]))
    if options.sheet:
        write_sheet(options.sheet, images, results)


def latent_result(model: str, bits: int, images: np.ndarray) -> Result:
    """Store images (n, H, W) as quantised latents of a model, and decode the file."""
    loaded = aegen.load(model)
    latents = loaded.encode(images)
    quantisation = fitted_quantisation([latents], bits)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "latents.npz"
        write_quantised_latents(str(file), [quantisation.packed(latents)], len(images), quantisation)
        size, decoded = file.stat().st_size, loaded.decode(read_latents(file).latents, dtype="uint8")
    return Result(f"latents of {model}", f"{bits} bits", size / len(images), None, psnr(images, decoded), decoded)


def lossy_results(images: np.ndarray, codec: str, keywords: dict[str, Any], rate: float) -> Iterator[Result]:
    """A codec's results at the rate nearest to `rate` bytes per image, at its lowest rate, and at a higher rate."""
    sizes = {quality: len(encoded(sheet(images), {**keywords, "quality": quality})) for quality in LOW_QUALITIES}
    lowest = min(sizes, key=sizes.__getitem__)
    nearest = min(sizes, key=lambda quality: (abs(sizes[quality] / len(images) - rate), quality))
    for quality, rate_name in {HIGHER_QUALITY: "higher", nearest: "nearest", lowest: "lowest"}.items():
        yield coded(images, codec, f"quality {quality}, {rate_name} rate", {**keywords, "quality": quality})


def coded(images: np.ndarray, codec: str, setting: str, keywords: dict[str, Any]) -> Result:
    """Compress images (n, H, W) as one sheet and as single files, and decode the sheet."""
    content = encoded(sheet(images), keywords)
    with Image.open(io.BytesIO(content)) as image:
        decoded = tiles(np.asarray(image.convert("L")), images.shape)
    alone = np.mean([len(encoded(image, keywords)) for image in images])
    return Result(codec, setting, len(content) / len(images), float(alone), psnr(images, decoded), decoded)


def encoded(image: np.ndarray, keywords: dict[str, Any]) -> bytes:
    """The bytes of an image file of a grey image, uint8 (H, W)."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, **keywords)
    return stream.getvalue()


def sheet(images: np.ndarray) -> np.ndarray:
    """One image (10 H, 10 W) that shows the images (100, H, W) row by row, without gaps."""
    n, height, width = images.shape
    return images.reshape(-1, COLUMNS, height, width).swapaxes(1, 2).reshape(n // COLUMNS * height, COLUMNS * width)


def tiles(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `sheet`: the images of the given shape (n, H, W)."""
    _, height, width = shape
    return image.reshape(-1, height, COLUMNS, width).swapaxes(1, 2).reshape(shape)


def psnr(images: np.ndarray, decoded: np.ndarray) -> float:
    """The PSNR in decibels of decoded images, over all pixels."""
    return peak_signal_to_noise(float(squared_errors(images, decoded).mean()))


def quality_text(result: Result) -> str:
    """The PSNR of a result as text, which says so if the decoded images are exact."""
    return "no error" if result.psnr >= peak_signal_to_noise(0) else f"{result.psnr:.1f} dB"


def markdown(results: list[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| method | setting | bytes an image | alone | PSNR |", "| --- | --- | ---: | ---: | ---: |"]
    for each in results:
        alone = "-" if each.bytes_alone is None else f"{each.bytes_alone:.0f}"
        cells = (each.method, each.setting, f"{each.bytes_per_image:.1f}", alone, quality_text(each))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_sheet(output: str, images: np.ndarray, results: list[Result]) -> None:
    """Write an image whose rows show the first ten images: the originals, then the result of each method."""
    rows = [(f"original\n{images[0].size} bytes", images)]
    for each in results:
        if each.psnr < peak_signal_to_noise(0):
            name = each.method.removeprefix("latents of ")
            rows.append((f"{name}\n{each.bytes_per_image:.0f} bytes\n{quality_text(each)}", each.images))
    cells = np.concatenate([shown[:COLUMNS] for _, shown in rows])
    titles = tuple(title for title, _ in rows)
    write_images(output, [cells], len(cells), columns=COLUMNS, row_titles=titles)


if __name__ == "__main__":
    main()
