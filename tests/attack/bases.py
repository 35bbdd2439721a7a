"""What mutations begin with: small artifacts, image files, arrays and IDX files, all made or read when a run begins."""

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
BOMB_MB = 700  # of zeros that inflate from less than one


class Artifact:
    """A manifest and the bytes of the other files. Those that trials share are not changed: they take a `copy`."""

    def __init__(self, manifest, files):
        self.manifest, self.files = manifest, files

    def copy(self):
        """One that may be changed."""
        return Artifact(pickle.loads(pickle.dumps(self.manifest)), dict(self.files))  # quicker than deepcopy

    def seal(self, *names):
        """Make sizes and hashes of files anew, by default of all that the manifest lists."""
        for name in names or self.files:
            content = self.files[name]
            self.manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def write(self, folder, manifest=None):
        """Write it into an empty folder. manifest: bytes to write in place of its own."""
        folder.mkdir(exist_ok=True)
        text = json.dumps(self.manifest).encode("utf-8", "surrogatepass") if manifest is None else manifest
        (folder / "manifest.json").write_bytes(text)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def artifacts():
    """The tiny grey and colour artifacts, and a variational one with labels and a learned prior."""
    found = {name: read_artifact(TINY / name) for name in ("grey", "colour")}
    return {**found, "flow": with_flow(found["grey"])}


def read_artifact(folder):
    """An artifact of a folder; the card and the preview are short, for speed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    artifact = Artifact(manifest, {name: (folder / name).read_bytes() for name in manifest["files"]})
    artifact.files |= {name: b"-" for name in ("README.md", "preview.png") if name in artifact.files}
    artifact.seal()
    return artifact


def with_flow(base):
    """A labelled artifact with log variances, statistics of classes and a learned prior, an affine map a class."""
    artifact = base.copy()
    manifest, d = artifact.manifest, base.manifest["latent_dim"]
    arrays = load_npz(artifact.files["latents.npz"])
    bandwidth, kept = arrays["kde_bandwidth"], len(arrays["kde_latents"])
    for name in ("mean", "std", "factor", "gmm_weights", "gmm_means", "gmm_factors"):
        arrays[f"class_{name}"] = np.stack([arrays[name]] * 2)
    arrays["class_kde_bandwidth"] = np.stack([bandwidth] * 2)
    arrays |= {
        "labels": np.array(LABELS),
        "class_fractions": np.float32([0.25, 0.75]),
        "kde_classes": np.arange(kept) % 2,
    }
    set_arrays(artifact, "latents.npz", arrays)
    shift, scale = np.float32([[0] * d, [1] * d]), np.eye(d, dtype=np.float32) * 0.5
    nodes = [
        helper.make_node("Gather", ["shift", "label"], ["moved"]),
        helper.make_node("MatMul", ["noise", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "moved"], ["latent"]),
    ]
    free = {"noise": (TensorProto.FLOAT, ["batch", d]), "label": (TensorProto.INT64, ["batch"])}
    graph = helper.make_graph(
        nodes,
        "prior",
        [helper.make_tensor_value_info(name, *given) for name, given in free.items()],
        [helper.make_tensor_value_info("latent", *free["noise"])],
        [numpy_helper.from_array(shift, "shift"), numpy_helper.from_array(scale, "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    artifact.files["prior.onnx"] = model.SerializeToString()
    encoder = onnx.load_from_string(artifact.files["encoder.onnx"])
    encoder.graph.node.append(helper.make_node("Neg", ["latent"], ["logvar"]))
    encoder.graph.output.append(helper.make_tensor_value_info("logvar", *free["noise"]))
    artifact.files["encoder.onnx"] = encoder.SerializeToString()
    golden, random = load_npz(artifact.files["golden.npz"]), np.random.default_rng(0)
    noise, label = (
        random.standard_normal((manifest["golden_pairs"], d), np.float32),
        np.arange(len(golden["latent"])) % 2,
    )
    golden |= {"logvar": -golden["latent"], "noise": noise, "label": label, "drawn": noise @ scale + shift[label]}
    artifact.files["golden.npz"] = save_npz(golden)
    rows = {"name": "noise", "dtype": "float32", "shape": ["batch", d]}
    given = [rows, {"name": "label", "dtype": "int64", "shape": ["batch"]}]
    manifest["graphs"]["prior.onnx"] = {"inputs": given, "outputs": [{**rows, "name": "latent"}]}
    manifest["graphs"]["encoder.onnx"]["outputs"].append({**rows, "name": "logvar"})
    manifest |= {
        "name": "flow",
        "kind": "vae",
        "labels": LABELS,
        "class_names": ["left", "right"],
        "default_prior": "flow",
    }
    manifest["priors"].append("flow")
    manifest["log_likelihood"]["flow"] = 6.0
    artifact.seal()
    return artifact


def set_arrays(artifact, name, arrays):
    """Give an artifact other statistics, and declare them."""
    artifact.files[name] = save_npz(arrays)
    artifact.manifest["latents"] = [
        {"name": key, "dtype": str(array.dtype), "shape": list(array.shape)} for key, array in arrays.items()
    ]


def load_npz(content):
    """The arrays of an `.npz` that is trusted."""
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)


def save_npz(arrays, save=np.savez):
    """The bytes of an `.npz`."""
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def save_npy(array):
    """The bytes of an `.npy`."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def image_files():
    """Bytes of image files of many modes and forms, by a name that tells their suffix."""
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
        turned = Image.Exif()
        turned[0x0112] = 6
        files[f"{tag}-turned.jpg"] = _saved(modes["RGB"], "JPEG", exif=turned)
        files[f"{tag}-grey.jpg"] = _saved(modes["L"], "JPEG")
        files[f"{tag}-steps.jpg"] = _saved(modes["RGB"], "JPEG", progressive=True)
        files[f"{tag}-cmyk.jpg"] = _saved(colour.convert("CMYK"), "JPEG")
        for mode in ("RGB", "L", "P", "1"):
            files[f"{tag}-{mode}.bmp"] = _saved(modes[mode], "BMP")
        files[f"{tag}-lossy.webp"] = _saved(modes["RGB"], "WEBP")
        files[f"{tag}-whole.webp"] = _saved(modes["RGBA"], "WEBP", lossless=True)
    return files


def _saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def idx(array, *, magic=None):
    """The bytes of an IDX file of a uint8 array."""
    header = struct.pack(">HBB", 0, 8, array.ndim) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def squeezed(content):
    """Gzip, the same every time."""
    return gzip.compress(content, 1, mtime=0)


def zeros(head=b""):
    """BOMB_MB of zeros after a head as raw deflate, and the size of both."""
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = press.compress(head) + press.flush(zlib.Z_FULL_FLUSH)
    block = press.compress(bytes(1 << 20)) + press.flush(zlib.Z_FULL_FLUSH)  # alike each time it comes
    return start + block * BOMB_MB + press.flush(), len(head) + (BOMB_MB << 20)
