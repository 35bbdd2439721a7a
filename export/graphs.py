"""Export of torch networks as ONNX files with a dynamic batch axis. Local paths are removed from the files."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from google.protobuf.message import Message
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..runtime import manifest
from ..runtime.artifact import DECODER, ENCODER
from ..runtime.errors import ExecutionError
from ..runtime.graphs.check import operators_of
from ..runtime.graphs.operators import EMITTED
from ..runtime.pixels import Shape
from ..train.interrupts import uninterrupted
from ..train.networks import EncoderDecoder, Variational
from .conversion_errors import conversion_error
from .pixel_shuffle import replace_depth_to_space

OPSET = 18
IR_VERSION = 8  # version of the ONNX file format; old runtimes and runtimes for browsers cannot read newer ones
EXAMPLE_ROWS = 2  # batch size of the example inputs; torch.export would treat a batch size of 1 as a constant


@dataclass(frozen=True)
class TorchGraph:
    """A torch module that becomes one ONNX file.

    file: the name of the ONNX file. inputs: an example tensor with EXAMPLE_ROWS rows for each input, by name, in the
    order of the module's arguments. outputs: the names of the module's outputs. num_classes: the number of classes if
    the module has an input `label`, else 0. operators: the ONNX operators that the file may have.
    """

    file: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    num_classes: int = 0
    operators: frozenset[str] = EMITTED


def encoder(network: EncoderDecoder, shape: Shape) -> TorchGraph:
    """The encoder: `image` float32 [batch, C, H, W] -> `latent` float32 [batch, d].

    The latent of a VAE is the mean of q(z|x), and a second output `logvar`, of the same shape, is its log variance.
    """
    image = {"image": torch.zeros(EXAMPLE_ROWS, *shape)}
    if isinstance(network, Variational):
        return TorchGraph(ENCODER, _Function(network, network.posterior), image, ("latent", "logvar"))
    return TorchGraph(ENCODER, _Function(network, network.encode), image, ("latent",))


def decoder(network: EncoderDecoder, latent_dim: int) -> TorchGraph:
    """The decoder, with its output activation: `latent` float32 [batch, d] -> `image` float32 [batch, C, H, W]."""
    latent = {"latent": torch.zeros(EXAMPLE_ROWS, latent_dim)}
    return TorchGraph(DECODER, _Function(network, network.decode), latent, ("image",))


class _Function(nn.Module):
    """A module that calls one method of a network. It is needed because torch exports only modules, not methods."""

    def __init__(self, network: nn.Module, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network = network
        self.function = function

    def forward(self, tensor: Tensor) -> Any:
        """The method's result for an image (n, C, H, W) or a latent (n, d)."""
        return self.function(tensor)


def onnx_bytes(graph: TorchGraph) -> bytes:
    """Export a module as an ONNX file with a dynamic first axis `batch`, and return the bytes of the file.

    Raises InputError if torch's exporter cannot express the module, and ExecutionError if its file has another opset
    than OPSET, or an operator that is not in `graph.operators`.
    """
    # Ctrl-C is delayed, because torch would report it as another error if it came during torch's lazy imports.
    with uninterrupted(), _quiet():
        try:
            program: Any = torch.onnx.export(
                graph.module.eval(),
                tuple(graph.inputs.values()),
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},) * len(graph.inputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise conversion_error(graph.file, error) from error
    model: onnx.ModelProto = program.model_proto
    opset = {imported.domain: imported.version for imported in model.opset_import}.get("")
    if opset != OPSET:
        raise ExecutionError("the exporter of torch", found=f"opset {opset}", expected=f"opset {OPSET}")
    model.ir_version = IR_VERSION
    strip(model)
    replace_depth_to_space(model)
    content = checked_bytes(model)
    other = operators_of(content) - graph.operators
    if other:
        found, expected = (
            f"operators {', '.join(sorted(other))}",
            "operators of the list in runtime/graphs/operators.py",
        )
        raise ExecutionError(f"{graph.file} as torch exports it", found=found, expected=expected)
    return content


def checked_bytes(model: onnx.ModelProto) -> bytes:
    """Check a model and serialise it to the bytes of an ONNX file; equal models give equal bytes.

    Before the check, entries of `value_info` that name no tensor, or repeat a name, are removed from the model. Raises
    onnx's errors if the model is invalid.
    """
    graph = model.graph
    names = {name for node in graph.node for name in node.output} | {weight.name for weight in graph.initializer}
    described: dict[str, onnx.ValueInfoProto] = {}
    for value in graph.value_info:
        if value.name in names:
            described.setdefault(value.name, value)
    del graph.value_info[:]
    graph.value_info.extend(described.values())
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def macs(graph: TorchGraph) -> int:
    """Number of multiply-accumulates in a module's matrix products and convolutions, for one row of its input."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        graph.module(*graph.inputs.values())
    return int(counter.get_total_flops()) // 2 // EXAMPLE_ROWS


def signature(content: bytes) -> manifest.Graph:
    """Names, dtypes and shapes of an ONNX file's inputs and outputs, as the manifest records them."""
    graph = onnx.load_from_string(content).graph
    return manifest.Graph(tuple(map(_tensor, graph.input)), tuple(map(_tensor, graph.output)))


def strip(message: Message) -> None:
    """Remove, in place, the exporter's notes on where nodes come from, such as source lines and local paths."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for one in value if not isinstance(value, Message) else (value,):
                strip(one)


def _tensor(value: onnx.ValueInfoProto) -> manifest.Tensor:
    """Name, dtype and shape of one input or output of an ONNX file, as the manifest records them."""
    kind = value.type.tensor_type
    shape = tuple(axis.dim_param or axis.dim_value for axis in kind.shape.dim)
    return manifest.Tensor(value.name, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's log, warnings and printed output, which a user cannot act on. Exceptions are not hidden."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
