"""Weights stored in half precision: files of half the size, computed with in single precision as before."""

import copy
import itertools
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..runtime.errors import ExecutionError

SINGLE, HALF = "fp32", "fp16"
SMALLEST = 1024  # numbers in a tensor: smaller ones weigh nothing, and biases and norms stay as they are

Module = TypeVar("Module", bound=nn.Module)


def rounded(network: Module) -> Module:
    """A copy of a network, its norms folded into its convolutions, whose large weights are the nearest halves.

    The error is 2^-11 of a weight at most. The exporter folds norms anyway, and what it made of halves would be none.

    Raises ExecutionError for a weight beyond the range of a half.
    """
    halves = copy.deepcopy(network)
    for part in halves.modules():
        if isinstance(part, nn.Sequential):
            _fold_norms(part)
    with torch.no_grad():
        for name, weight in halves.named_parameters():
            if weight.numel() >= SMALLEST:
                weight.copy_(weight.half())
                if not torch.isfinite(weight).all():
                    raise ExecutionError(f"weights {name}", found="a weight above 65,504", expected="precision fp32")
    return halves


def _fold_norms(layers: nn.Sequential) -> None:
    for place, (layer, following) in enumerate(itertools.pairwise(list(layers))):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            layers[place], layers[place + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()


def stored_as_halves(model: bytes) -> bytes:
    """An ONNX file that holds every large weight which is a half as one; onnxruntime widens them when it opens it.

    Nothing is rounded here: the graph computes what it computed before, to the last bit.
    """
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        wide = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = wide.astype(np.float16)
        if wide.size < SMALLEST or not np.array_equal(half, wide):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(loaded, full_check=True)
    content: bytes = loaded.SerializeToString(deterministic=True)
    return content
