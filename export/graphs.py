"""Networks in torch -> ONNX files that run anywhere: one file each, a free batch axis, no trace of this machine."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import torch
from google.protobuf.message import Message
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..runtime import manifest
from ..runtime.artifact import DECODER, ENCODER, PRIOR
from ..runtime.errors import ExecutionError
from ..runtime.graphs.check import operators_of
from ..runtime.graphs.operators import EMITTED
from ..runtime.pixels import Shape
from ..train.interrupts import uninterrupted
from ..train.networks import EncoderDecoder, Variational
from .unrolled import UnrolledFlow

OPSET = 18
IR_VERSION = 8  # the newest that older and web runtimes read
EXAMPLES = 2  # torch.export takes an axis of one as a constant


class _Function(nn.Module):
    """A method of a network as a module of its own, for the exporter takes modules only."""

    def __init__(self, network: nn.Module, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network = network
        self.function = function

    def forward(self, tensor: Tensor) -> Any:
        return self.function(tensor)


def encoder_graph(network: EncoderDecoder, shape: Shape) -> bytes:
    """`image` float32 [batch, C, H, W] -> `latent` float32 [batch, d]; of a VAE the mean of q(z|x), and `logvar`."""
    example = torch.zeros(EXAMPLES, *shape)
    if isinstance(network, Variational):
        return graph(_Function(network, network.posterior), {"image": example}, "latent", "logvar")
    return graph(_Function(network, network.encode), {"image": example}, "latent")


def decoder_graph(network: EncoderDecoder, latent_dim: int) -> bytes:
    """`latent` float32 [batch, d] -> `image` float32 [batch, C, H, W], activation inside."""
    return graph(_Function(network, network.decode), {"latent": torch.zeros(EXAMPLES, latent_dim)}, "image")


def prior_graph(prior: UnrolledFlow) -> bytes:
    """`noise` float32 [batch, d], and `label` int64 [batch] where there are labels -> `latent` float32 [batch, d].

    label: place in the artifact's list of labels.
    """
    return graph(prior, prior_inputs(prior), "latent")


def prior_inputs(prior: UnrolledFlow) -> dict[str, Tensor]:
    """An example of what a flow is given."""
    labels = {"label": torch.zeros(EXAMPLES, dtype=torch.int64)} if prior.flow.labels else {}
    return {"noise": torch.zeros(EXAMPLES, len(prior.flow.mean)), **labels}


def costs(network: EncoderDecoder, prior: UnrolledFlow | None, shape: Shape, latent_dim: int) -> dict[str, int]:
    """MACs of one image or code in each graph, by file name."""
    counted = {
        ENCODER: macs(network.encode, torch.zeros(EXAMPLES, *shape)),
        DECODER: macs(network.decode, torch.zeros(EXAMPLES, latent_dim)),
    }
    return counted | ({} if prior is None else {PRIOR: macs(prior, *prior_inputs(prior).values())})


def macs(function: Callable[..., Any], *example: Tensor) -> int:
    """MACs of the matrix products and convolutions for one row of the example, which has EXAMPLES rows."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*example)
    return int(counter.get_total_flops()) // 2 // EXAMPLES


def signature(model: bytes) -> manifest.Graph:
    """The inputs and outputs of an ONNX file, as its manifest states them."""
    loaded = onnx.load_from_string(model).graph
    return manifest.Graph(tuple(map(_tensor, loaded.input)), tuple(map(_tensor, loaded.output)))


def graph(module: nn.Module, given: dict[str, Tensor], *results: str) -> bytes:
    """A module as an ONNX file with a free first axis. results: the names of its outputs.

    given: an example of each input, with EXAMPLES rows, by name. Raises ExecutionError when the exporter does not give
    the opset asked for.
    """
    with uninterrupted(), _quiet():  # torch takes a Ctrl-C among its lazy imports for an error of its own
        program: Any = torch.onnx.export(
            module.eval(),
            tuple(given.values()),
            input_names=list(given),
            output_names=list(results),
            dynamic_shapes=({0: torch.export.Dim("batch")},) * len(given),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    found = {imported.domain: imported.version for imported in model.opset_import}.get("")
    if found != OPSET:
        raise ExecutionError("the exporter of torch", found=f"opset {found}", expected=f"opset {OPSET}")
    model.ir_version = IR_VERSION
    strip(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    other = operators_of(content) - EMITTED
    if other:
        found, expected = ", ".join(sorted(other)), "operators of the list in runtime/graphs/operators.py"
        raise ExecutionError("the exporter of torch", found=found, expected=expected)
    return content


def strip(message: Message) -> None:
    """Take out what the exporter notes about where a node came from: source lines and paths of this machine."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for one in value if not isinstance(value, Message) else (value,):
                strip(one)


def _tensor(value: onnx.ValueInfoProto) -> manifest.Tensor:
    kind = value.type.tensor_type
    shape = tuple(axis.dim_param or axis.dim_value for axis in kind.shape.dim)
    return manifest.Tensor(value.name, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter's chatter, which tells a user nothing that they can act on; its errors still come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
