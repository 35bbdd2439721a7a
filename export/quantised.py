"""Quantisation of fully connected networks to 8 bits, for a quarter of the size and faster matrix products.

The scales of activations are fixed at export, from real images and latents. With scales chosen for each batch, the
result for an image would depend on the other images in its batch. Weights use only 7 of their 8 bits, because sums of
products of two full 8-bit numbers overflow on processors without special instructions.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from ..runtime.session import open_session
from ..runtime.workers import slices
from .graphs import checked_bytes, strip

BATCH_SIZE = 250  # number of rows that onnxruntime computes at once


def all_quantised(
    graphs: dict[str, bytes], calibration: dict[str, np.ndarray], held_out: dict[str, np.ndarray]
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Quantise some graphs. Returns all graphs, quantised or not, and the errors of the quantised graphs.

    All dictionaries have file names as keys. graphs: ONNX files. calibration: inputs float32 (n, ...) of each graph to
    quantise, which set its scales. held_out: other inputs float32 (m, ...) of each graph to quantise. The error of a
    graph is the root mean square change of its first output for its held-out inputs.
    """
    in_8_bits = {file: quantised(graphs[file], rows) for file, rows in calibration.items()}
    errors = {file: _rms_difference(graphs[file], in_8_bits[file], rows) for file, rows in held_out.items()}
    return graphs | in_8_bits, errors


def quantised(content: bytes, rows: np.ndarray) -> bytes:
    """Quantise to 8 bits the matrix products of an ONNX file that has one input. Inputs and outputs stay float32.

    rows: calibration inputs, float32 (n, ...). The values that an activation takes for these inputs set its range;
    later values outside that range are clipped.
    Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, 2018.
    """
    model = onnx.load_from_string(content)
    with tempfile.TemporaryDirectory() as folder, _no_warnings():
        file = Path(folder) / "quantised.onnx"
        quantize_static(
            model,
            file,
            _CalibrationRows(model.graph.input[0].name, rows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        result = onnx.load(file)
    result.ir_version = model.ir_version
    strip(result)
    return checked_bytes(result)


class _CalibrationRows(CalibrationDataReader):  # type: ignore[misc]
    """Gives onnxruntime the calibration inputs, float32 (n, ...), in batches. name: the name of the graph's input."""

    def __init__(self, name: str, rows: np.ndarray) -> None:
        self.batches = iter([{name: rows[part]} for part in slices(len(rows), BATCH_SIZE)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch as {name of the input: rows}, or None after the last batch."""
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


def _rms_difference(content: bytes, other: bytes, rows: np.ndarray) -> float:
    """Root mean square difference between the first outputs of two ONNX files. rows: their input, float32 (n, ...)."""
    results = []
    for graph in (content, other):
        session = open_session(graph, "a graph")
        name = session.get_inputs()[0].name
        parts = slices(len(rows), BATCH_SIZE)
        results.append(np.concatenate([session.run(None, {name: rows[part]})[0] for part in parts]))
    return float(np.sqrt(np.mean((results[0] - results[1]).astype(np.float64) ** 2)))
