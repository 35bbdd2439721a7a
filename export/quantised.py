"""Quantisation of fully connected networks to 8 bits, for a quarter of the size and faster matrix products.

The scales of activations are fixed at export, from real images and latents. With scales chosen for each batch, the
result for an image would depend on the other images in its batch. Weights use only 7 of their 8 bits, because sums of
products of two full 8-bit numbers overflow on processors without special instructions.
"""

import contextlib
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from ..runtime.session import open_session
from ..runtime.workers import slices
from .calibration import Inputs
from .graphs import checked_bytes, strip

BATCH_SIZE = 250  # number of rows that onnxruntime computes at once
PRODUCTS = ("Gemm", "MatMul")


def all_quantised(
    graphs: dict[str, bytes],
    calibration: Mapping[str, Inputs],
    held_out: Mapping[str, Inputs],
    min_weights: Mapping[str, int],
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Quantise some graphs. Returns all graphs, quantised or not, and the errors of the quantised graphs.

    All mappings have file names as keys. graphs: ONNX files. calibration: inputs of each graph to quantise, which set
    its scales. held_out: other inputs of each graph to quantise. min_weights: for graphs in which only large matrix
    products are quantised, the minimum number of weights of a product. The error of a graph is the root mean square
    change of its first output for its held-out inputs.
    """
    in_8_bits = {file: quantised(graphs[file], rows, min_weights.get(file)) for file, rows in calibration.items()}
    errors = {file: _rms_difference(graphs[file], in_8_bits[file], rows) for file, rows in held_out.items()}
    return graphs | in_8_bits, errors


def quantised(content: bytes, inputs: Inputs, min_weights: int | None = None) -> bytes:
    """Quantise an ONNX file with float32 weights to 8 bits. Inputs and outputs keep their dtypes.

    inputs: calibration inputs. The values that an activation takes for these inputs set its range; later values outside
    that range are clipped. min_weights: if given, only the matrix products with at least this many weights are
    quantised, and all other operators stay in float32.
    Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, 2018.
    """
    model = onnx.load_from_string(content)
    with tempfile.TemporaryDirectory() as folder, _no_warnings():
        file = Path(folder) / "quantised.onnx"
        quantize_static(
            model,
            file,
            _CalibrationRows(inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=None if min_weights is None else list(PRODUCTS),
            nodes_to_exclude=_small_products(model.graph, min_weights or 0),
        )
        result = onnx.load(file)
    result.ir_version = model.ir_version
    strip(result)
    return checked_bytes(result)


def _small_products(graph: onnx.GraphProto, min_weights: int) -> list[str]:
    """Names of the nodes that multiply by fewer than `min_weights` weights. Nodes without a name get one."""
    sizes = {weight.name: math.prod(weight.dims) for weight in graph.initializer if len(weight.dims) > 1}
    small = []
    for index, node in enumerate(graph.node):
        if node.op_type in PRODUCTS and max(sizes.get(name, 0) for name in node.input) < min_weights:
            node.name = node.name or f"product_{index}"
            small.append(node.name)
    return small


class _CalibrationRows(CalibrationDataReader):  # type: ignore[misc]
    """Gives onnxruntime the calibration inputs in batches."""

    def __init__(self, inputs: Inputs) -> None:
        self.batches = _batches(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, arrays by name of the input, or None after the last batch."""
        return next(self.batches, None)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide the warning that a graph was not optimised before quantisation.

    Such an optimisation is not needed, because onnxruntime optimises the graph whenever it opens the file.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _batches(inputs: Inputs) -> Iterator[dict[str, np.ndarray]]:
    """Cut the inputs of a graph into batches of BATCH_SIZE rows."""
    rows = len(next(iter(inputs.values())))
    return ({name: array[part] for name, array in inputs.items()} for part in slices(rows, BATCH_SIZE))


def _rms_difference(content: bytes, other: bytes, inputs: Inputs) -> float:
    """Root mean square difference between the first outputs of two ONNX files for the same inputs."""
    results = []
    for graph in (content, other):
        session = open_session(graph, "a graph")
        results.append(np.concatenate([session.run(None, batch)[0] for batch in _batches(inputs)]))
    return float(np.sqrt(np.mean((results[0] - results[1]).astype(np.float64) ** 2)))
