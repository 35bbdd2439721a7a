"""Reports for tests: a model of 64x64 colour images, a labelled data set, and a parser of the page."""

import base64
import hashlib
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from aegen.runtime.metadata import ImageSpec
from aegen.runtime.pixels import to_tensor
from onnx import helper
from onnx_files import model_of, values
from onnxruntime import InferenceSession
from PIL import Image

SIDE, LATENT_DIM = 64, 4
TINY = Path(__file__).parent / "tiny"
VOID = {"img", "meta", "link", "br"}  # HTML elements that have no end tag


def colour_model(folder: Path) -> Path:
    """Make an artifact of 64x64 colour images, without labels and without a learned prior, in a new folder.

    The artifact is that of the tiny colour model with other networks. They are linear, and a latent holds the weights
    of four colour waves.
    """
    shutil.copytree(TINY / "colour", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    y, x = np.mgrid[:SIDE, :SIDE] * np.pi / SIDE
    waves = np.stack([np.cos(x), np.cos(y), np.cos(2 * x), np.cos(x) * np.cos(y)])
    colours = np.array([[1, 0.2, -0.5], [-0.5, 0.4, 1], [0.2, 1, -0.2], [0.6, -1, 0.6]])
    weight = (colours[:, :, None, None] * waves[:, None]).reshape(LATENT_DIM, -1).astype(np.float32)
    axes = ["batch", 3, SIDE, SIDE]
    encoder = model_of(
        [helper.make_node("Reshape", ["image", "shape"], ["x"]), helper.make_node("Gemm", ["x", "weight"], ["latent"])],
        values("shape", np.array([-1, weight.shape[1]])),
        values("weight", np.ascontiguousarray(weight.T / np.square(weight).sum(1))),
        inputs=("image", axes),
        output=("latent", ["batch", LATENT_DIM]),
    )
    decoder = model_of(
        [
            helper.make_node("Gemm", ["latent", "weight"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["x"]),
            helper.make_node("Tanh", ["x"], ["image"]),
        ],
        values("weight", weight / 6),
        values("shape", np.array([-1, 3, SIDE, SIDE])),
        inputs=("latent", ["batch", LATENT_DIM]),
        output=("image", axes),
    )
    images = np.random.default_rng(0).integers(0, 256, (manifest["golden_pairs"], SIDE, SIDE, 3), np.uint8)
    tensor = to_tensor(images, ImageSpec((3, SIDE, SIDE), (-1.0, 1.0)))
    (latent,) = InferenceSession(encoder).run(None, {"image": tensor})
    (image,) = InferenceSession(decoder).run(None, {"latent": latent})
    golden = io.BytesIO()
    arrays = {"images": images, "encoder.latent": latent, "decoder.latent": latent, "decoder.image": image}
    np.savez_compressed(golden, **arrays)
    manifest["name"] = "waves"
    manifest["image"]["shape"] = [3, SIDE, SIDE]
    manifest["graphs"]["encoder.onnx"]["inputs"][0]["shape"] = axes
    manifest["graphs"]["decoder.onnx"]["outputs"][0]["shape"] = axes
    manifest["operators"] = {"encoder.onnx": ["Gemm", "Reshape"], "decoder.onnx": ["Gemm", "Reshape", "Tanh"]}
    for name, content in (("encoder.onnx", encoder), ("decoder.onnx", decoder), ("golden.npz", golden.getvalue())):
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class Section:
    """A section of a parsed page. images: the attributes of each image. tables: caption, head and rows of each."""

    def __init__(self) -> None:
        self.heading, self.text, self.images, self.drawings, self.captions, self.absent = "", "", [], [], [], []
        self.tables: list[tuple[str, list[str], list[list[str]]]] = []


class Page(HTMLParser):
    """A parsed page. Fails if an element is not closed by its own end tag.

    sections: by id, in order; the section "" holds everything outside of sections. headings: level and text. addresses:
    all values of href and src. tags: the names of all elements.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections, self.headings, self.addresses, self.tags = {"": Section()}, [], [], set()
        self._open, self._current = [], self.sections[""]
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.addresses += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag not in VOID:
            self._open.append((tag, attributes.get("class", "")))
        section = self._current
        if tag == "section":
            self._current = self.sections[attributes["id"]] = Section()
        elif tag in ("h1", "h2", "h3"):
            self.headings.append([int(tag[1]), ""])
        elif tag == "img":
            section.images.append(attributes)
        elif tag == "div" and attributes.get("role") == "img":
            section.drawings.append(attributes["aria-label"])
        elif tag == "table":
            section.tables.append(["", [], []])
        elif tag == "tr" and self._within("tbody"):
            section.tables[-1][2].append([])
        elif tag in ("th", "td"):
            (section.tables[-1][2][-1] if self._within("tbody") else section.tables[-1][1]).append("")
        elif tag == "figcaption":
            section.captions.append("")
        elif tag == "p" and attributes.get("class") == "absent":
            section.absent.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag
        if tag == "section":
            self._current = self.sections[""]

    def handle_data(self, data):
        section = self._current
        if self._within("style") or self._within("svg"):
            return
        section.text += data
        if self._open and self._open[-1][0] in ("h1", "h2", "h3"):
            self.headings[-1][1] += data
        if self._within("caption"):
            section.tables[-1][0] += data
        elif self._within("th") or self._within("td"):
            (section.tables[-1][2][-1] if self._within("tbody") else section.tables[-1][1])[-1] += data
        elif self._within("figcaption"):
            section.captions[-1] += data
        elif ("p", "absent") in self._open:
            section.absent[-1] += data

    def _within(self, tag: str) -> bool:
        return any(name == tag for name, _ in self._open)


def pixels(image: dict[str, str]) -> np.ndarray:
    """The pixels of an image of a page, uint8 (H, W) or (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].removeprefix("data:image/png;base64,")))))
