"""The valid inputs that the fuzzer mutates: small artifacts, image files, arrays and IDX files."""

import gzip
import hashlib
import io
import json
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

TINY = Path(__file__).parents[1] / "tiny"
LABELS = [3, 4]
BOMB_MB = 700  # MB of zeros in a decompression bomb; they take less than 1 MB when compressed


class Artifact:
    """An artifact in memory: its manifest, and the bytes of its other files by name. Trials mutate copies."""

    def __init__(self, manifest, files):
        self.manifest, self.files = manifest, files

    def copy(self):
        """Return a copy, which a trial may change without changing the original."""
        return Artifact(pickle.loads(pickle.dumps(self.manifest)), dict(self.files))  # faster than deepcopy

    def seal(self, *names):
        """Write sizes and hashes of the named files, by default of all files, into the manifest."""
        for name in names or self.files:
            content = self.files[name]
            self.manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def write(self, folder, manifest=None):
        """Write the artifact into an empty folder. manifest: bytes of `manifest.json`, by default its own manifest."""
        folder.mkdir(exist_ok=True)
        text = json.dumps(self.manifest).encode("utf-8", "surrogatepass") if manifest is None else manifest
        (folder / "manifest.json").write_bytes(text)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def artifacts():
    """Return three artifacts by name.

    "grey" and "colour" are read from tests/tiny; "flow" is made from "grey", as a VAE with class labels and a learned
    prior.
    """
    tiny = {name: read_artifact(TINY / name) for name in ("grey", "colour")}
    return {**tiny, "flow": with_flow(tiny["grey"])}


def read_artifact(folder):
    """Read an artifact from a folder. For speed, its model card and preview are replaced by one byte each."""
    manifest = json.loads((folder / "manifest.json").read_text())
    artifact = Artifact(manifest, {name: (folder / name).read_bytes() for name in manifest["files"]})
    artifact.files |= {name: b"-" for name in ("README.md", "preview.png") if name in artifact.files}
    artifact.seal()
    return artifact


def with_flow(base):
    """Return a changed copy of an artifact: a VAE with class labels, whose learned prior is an affine map of noise.

    The prior's noise has one dimension more than a latent, so that a confusion of the two sizes is noticed.
    """
    artifact = base.copy()
    manifest, d = artifact.manifest, base.manifest["latent_dim"]
    width = d + 1  # dimension of the noise that the prior takes
    _add_class_statistics(artifact)
    golden, random = load_npz(artifact.files["golden.npz"]), np.random.default_rng(0)
    pairs = manifest["golden_pairs"]
    shift, matrix = np.float32([[0] * d, [1] * d]), np.eye(width, d, dtype=np.float32) * 0.5
    noise, label = random.standard_normal((pairs, width), np.float32), np.arange(pairs) % 2
    artifact.files["prior.onnx"] = _affine_prior(shift, matrix)
    artifact.files["encoder.onnx"] = _with_log_variances(artifact.files["encoder.onnx"], d)
    golden |= {
        "encoder.logvar": -golden["encoder.latent"],
        "prior.noise": noise,
        "prior.label": label,
        "prior.latent": noise @ matrix + shift[label],
    }
    artifact.files["golden.npz"] = save_npz(golden)
    latent = {"name": "latent", "dtype": "float32", "shape": ["batch", d]}
    label_input = {"name": "label", "dtype": "int64", "shape": ["batch"]}
    inputs = [{**latent, "name": "noise", "shape": ["batch", width]}, label_input]
    manifest["graphs"]["prior.onnx"] = {"inputs": inputs, "outputs": [latent]}
    manifest["graphs"]["encoder.onnx"]["outputs"].append({**latent, "name": "logvar"})
    manifest["operators"]["prior.onnx"] = ["Add", "Gather", "MatMul"]
    manifest["operators"]["encoder.onnx"] = sorted({*manifest["operators"]["encoder.onnx"], "Neg"})
    manifest["learned_priors"]["flow"] = {"graph": "prior.onnx", "evaluations": 1}
    manifest |= {
        "name": "flow",
        "kind": "vae",
        "labels": LABELS,
        "class_names": ["left", "right"],
        "default_prior": "flow",
    }
    manifest["priors"].append("flow")
    artifact.seal()
    return artifact


def _add_class_statistics(artifact):
    """Add latent statistics of two classes to an artifact. Both are copies of the statistics of all latents."""
    arrays = load_npz(artifact.files["latents.npz"])
    for name in ("mean", "std", "factor", "gmm_weights", "gmm_means", "gmm_factors", "kde_bandwidth"):
        arrays[f"class_{name}"] = np.stack([arrays[name]] * 2)
    arrays |= {
        "labels": np.array(LABELS),
        "class_fractions": np.float32([0.25, 0.75]),
        "kde_classes": np.arange(len(arrays["kde_latents"])) % 2,
    }
    set_arrays(artifact, "latents.npz", arrays)


def _affine_prior(shift, matrix):
    """Return the bytes of an ONNX graph that computes latents: latent = noise @ matrix + shift[label].

    noise: (batch, width). label: class indices (batch,). latent: (batch, d). shift: float32 (classes, d). matrix:
    float32 (width, d). width is the dimension of the noise, and d that of a latent.
    """
    width, d = matrix.shape
    nodes = [
        helper.make_node("Gather", ["shift", "label"], ["shifts"]),
        helper.make_node("MatMul", ["noise", "matrix"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shifts"], ["latent"]),
    ]
    graph = helper.make_graph(
        nodes,
        "prior",
        [
            helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["batch", width]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["batch", d])],
        [numpy_helper.from_array(shift, "shift"), numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _with_log_variances(content, latent_dim):
    """Return the bytes of an encoder with a new output `logvar`, the negated latents. content: the encoder's bytes."""
    encoder = onnx.load_from_string(content)
    encoder.graph.node.append(helper.make_node("Neg", ["latent"], ["logvar"]))
    encoder.graph.output.append(helper.make_tensor_value_info("logvar", TensorProto.FLOAT, ["batch", latent_dim]))
    return encoder.SerializeToString()


def set_arrays(artifact, name, arrays):
    """Store arrays as the latent statistics of an artifact, and list them in its manifest.

    name: name of the `.npz` file that holds them. arrays: arrays of any shapes, by name.
    """
    artifact.files[name] = save_npz(arrays)
    artifact.manifest["latents"] = [
        {"name": key, "dtype": str(array.dtype), "shape": list(array.shape)} for key, array in arrays.items()
    ]


def load_npz(content):
    """Return the arrays of an `.npz` file by name. content: the bytes of a valid file."""
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)


def save_npz(arrays, save=np.savez):
    """Return the bytes of an `.npz` file. arrays: any shapes, by name. save: np.savez or np.savez_compressed."""
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def save_npy(array):
    """Return the bytes of an `.npy` file that holds an array of any shape."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def image_files():
    """Make valid image files of many colour modes and file formats, and return their bytes by file name."""
    random = np.random.default_rng(0)
    files = {}
    for tag, (height, width) in {"s": (6, 5), "c": (4, 6), "l": (40, 33)}.items():
        colour = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        modes = {mode: colour.convert(mode) for mode in ("L", "RGB", "RGBA", "LA", "P", "1")}
        deep = Image.fromarray(random.integers(0, 65536, (height, width), np.uint16))
        for mode, image in modes.items():
            files[f"{tag}-{mode}.png"] = _saved(image, "PNG")
        files[f"{tag}-16.png"] = _saved(deep, "PNG")
        files[f"{tag}-key.png"] = _saved(modes["P"], "PNG", transparency=3)
        rotated = Image.Exif()
        rotated[0x0112] = 6  # EXIF orientation 6 stands for a rotation by 90 degrees
        files[f"{tag}-rotated.jpg"] = _saved(modes["RGB"], "JPEG", exif=rotated)
        files[f"{tag}-grey.jpg"] = _saved(modes["L"], "JPEG")
        files[f"{tag}-progressive.jpg"] = _saved(modes["RGB"], "JPEG", progressive=True)
        files[f"{tag}-cmyk.jpg"] = _saved(colour.convert("CMYK"), "JPEG")
        for mode in ("RGB", "L", "P", "1"):
            files[f"{tag}-{mode}.bmp"] = _saved(modes[mode], "BMP")
        files[f"{tag}-lossy.webp"] = _saved(modes["RGB"], "WEBP")
        files[f"{tag}-lossless.webp"] = _saved(modes["RGBA"], "WEBP", lossless=True)
    return files


def _saved(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def idx(array, *, magic=None):
    """Return the bytes of an IDX file. array: uint8, any shape. magic: the first four bytes, by default valid ones."""
    header = struct.pack(">HBB", 0, 8, array.ndim) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def gzipped(content):
    """Compress with gzip, without a timestamp, so that equal content gives equal bytes."""
    return gzip.compress(content, 1, mtime=0)


def zeros(head=b""):
    """Make a decompression bomb: `head` and then BOMB_MB megabytes of zeros, compressed.

    Returns the raw deflate stream, and the size in bytes that it inflates to.
    """
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = press.compress(head) + press.flush(zlib.Z_FULL_FLUSH)
    block = press.compress(bytes(1 << 20)) + press.flush(zlib.Z_FULL_FLUSH)  # 1 MB of zeros, repeated below
    return start + block * BOMB_MB + press.flush(), len(head) + (BOMB_MB << 20)
