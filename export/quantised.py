"""Fully connected networks in whole numbers of 8 bits: a quarter of the size, and quicker products.

Scales are fixed at export, from what real images and latents give. A image therefore never depends on its batch, as
it would if every batch set scales of its own. Weights have 7 of their 8 bits: products of two 8-bit numbers overflow
the sums of processors without special instructions.
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
from .graphs import strip

ROWS = 250  # of calibration in one run


class _Rows(CalibrationDataReader):  # type: ignore[misc]
    """An input's rows, a few at a time."""

    def __init__(self, name: str, rows: np.ndarray) -> None:
        self.parts = iter([{name: rows[part]} for part in slices(len(rows), ROWS)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next few, or None."""
        return next(self.parts, None)


def quantised(model: bytes, rows: np.ndarray) -> bytes:
    """An ONNX file of one input with its matrix products in 8 bits; what goes in and comes out is float32 as before.

    rows: of that input (n, ...), from which the range of every activation is taken; what lies beyond is cut off.

    Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, 2018.
    """
    loaded = onnx.load_from_string(model)
    with tempfile.TemporaryDirectory() as folder, _no_warnings():
        result = Path(folder) / "quantised.onnx"
        quantize_static(
            loaded,
            result,
            _Rows(loaded.graph.input[0].name, rows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        made = onnx.load(result)
    made.ir_version = loaded.ir_version
    strip(made)
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString(deterministic=True)
    return content


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Without the one of a step left out, which would only do what onnxruntime does when it opens the file."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def all_quantised(
    graphs: dict[str, bytes], seen: dict[str, np.ndarray], held_out: dict[str, np.ndarray]
) -> tuple[dict[str, bytes], dict[str, float]]:
    """ONNX files with those that there are rows of quantised, and how much that changes what they make of other rows.

    All are keyed by file name. seen, held_out: rows of each one's input. The changes are root mean squares, in units of
    a graph's first output.
    """
    made = {file: quantised(graphs[file], rows) for file, rows in seen.items()}
    errors = {file: _rms_difference(graphs[file], made[file], rows) for file, rows in held_out.items()}
    return graphs | made, errors


def _rms_difference(model: bytes, other: bytes, rows: np.ndarray) -> float:
    results = []
    for one in (model, other):
        session = open_session(one, "a graph")
        name = session.get_inputs()[0].name
        parts = slices(len(rows), ROWS)
        results.append(np.concatenate([session.run(None, {name: rows[part]})[0] for part in parts]))
    return float(np.sqrt(np.mean((results[0] - results[1]).astype(np.float64) ** 2)))
