"""Store weights in half precision (float16). Files have half the size, and graphs still compute in single precision."""

import copy
import itertools
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..runtime.errors import ExecutionError
from .graphs import checked_bytes

MIN_HALF_SIZE = 1024  # tensors with fewer values, such as biases, stay float32, as they take little space
SMALLEST_NORMAL = torch.finfo(torch.float16).smallest_normal

Module = TypeVar("Module", bound=nn.Module)


def rounded(network: Module) -> Module:
    """A copy of a network whose large weight tensors are rounded to float16 values. Their dtype stays float32.

    The relative error of a weight is at most 2^-11; weights with absolute values below the smallest normal float16
    become 0. Batch norms are folded into convolutions before rounding: otherwise the exporter would fold them later,
    and the folded weights would not be float16 values. Raises ExecutionError for a weight beyond the range of float16.
    """
    halves = copy.deepcopy(network)
    fold_norms(halves)
    with torch.no_grad():
        for name, weight in halves.named_parameters():
            if weight.numel() >= MIN_HALF_SIZE:
                weight.copy_(nearest_halves(weight))
                if not torch.isfinite(weight).all():
                    raise ExecutionError(f"weights {name}", found="a weight above 65,504", expected="precision fp32")
    return halves


def nearest_halves(weight: Tensor) -> Tensor:
    """Weights of any shape, each rounded to the nearest float16 value. The dtype of the result is float32.

    Subnormal float16 values become 0. Some inference engines treat them as 0 and others do not, so the engines would
    otherwise give different results.
    """
    halves = weight.half().float()
    return torch.where(halves.abs() < SMALLEST_NORMAL, torch.zeros_like(halves), halves)


def fold_norms(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place."""
    for part in network.modules():
        if isinstance(part, nn.Sequential):
            for i, (layer, following) in enumerate(itertools.pairwise(list(part))):
                if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                    part[i], part[i + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()


def stored_as_halves(content: bytes) -> bytes:
    """Change an ONNX file so that it stores large weight tensors as float16. Returns the new file.

    A tensor is changed only if float16 can represent all its values exactly. A Cast node converts it back to float32,
    so the graph computes the same bits as before. The dtypes and shapes of the float16 weight and of the Cast node's
    float32 output are added to `value_info`, for inference engines without shape inference.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        single = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = single.astype(np.float16)
        if single.size < MIN_HALF_SIZE or not np.array_equal(half, single):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
        for value, kind in ((weight.name, TensorProto.FLOAT16), (name, TensorProto.FLOAT)):
            graph.value_info.append(helper.make_tensor_value_info(value, kind, half.shape))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return checked_bytes(model)
