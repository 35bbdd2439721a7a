"""Quantisation of fully connected networks to 8 bits: a quarter of the size, and faster matrix products.

The scales are fixed at export, from the activations of real images and latents. The result for an image therefore does
not depend on its batch; with scales chosen for each batch it would. Weights use 7 of their 8 bits, because sums of
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

BATCH_SIZE = 250  # rows in one run of onnxruntime


def all_quantised(
    graphs: dict[str, bytes], calibration: dict[str, np.ndarray], held_out: dict[str, np.ndarray]
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Quantise the graphs that have calibration rows. Returns all graphs, and the errors of the quantised ones.

    All dictionaries have file names as keys. graphs: ONNX files. calibration, held_out: input rows of each graph to
    quantise, float32 (n, ...). An error is the root mean square change of the first output on the held-out rows.
    """
    in_8_bits = {file: quantised(graphs[file], rows) for file, rows in calibration.items()}
    errors = {file: _rms_difference(graphs[file], in_8_bits[file], rows) for file, rows in held_out.items()}
    return graphs | in_8_bits, errors


def quantised(content: bytes, rows: np.ndarray) -> bytes:
    """Quantise the matrix products of an ONNX file with one input to 8 bits; input and output stay float32.

    rows: calibration rows of the input, float32 (n, ...). They set the range of every activation; values outside it
    are clipped.
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
    """An iterator over the calibration rows of an input, float32 (n, ...), in batches."""

    def __init__(self, name: str, rows: np.ndarray) -> None:
        self.batches = iter([{name: rows[part]} for part in slices(len(rows), BATCH_SIZE)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, or None after the last."""
        return next(self.batches, None)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide the warning that a graph was not optimised first: onnxruntime optimises it whenever it opens the file."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _rms_difference(content: bytes, other: bytes, rows: np.ndarray) -> float:
    """Root mean square difference of the first outputs of two graphs. rows: their input, float32 (n, ...)."""
    results = []
    for graph in (content, other):
        session = open_session(graph, "a graph")
        name = session.get_inputs()[0].name
        parts = slices(len(rows), BATCH_SIZE)
        results.append(np.concatenate([session.run(None, {name: rows[part]})[0] for part in parts]))
    return float(np.sqrt(np.mean((results[0] - results[1]).astype(np.float64) ** 2)))
