"""Makes small ONNX files for tests of the graph check."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def values(name, array):
    """Make an ONNX tensor with this name. array: its values, of any shape."""
    return numpy_helper.from_array(np.asarray(array), name)


def model_of(nodes, *constants, inputs=("latent", ["batch", 3]), output=("image", ["batch", 1, 6, 5]), **more) -> bytes:
    """Make an ONNX file with one float32 input and one float32 output.

    constants: named tensors, such as weights. inputs, output: (name, shape) of the input and of the output.
    """
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(inputs[0], FLOAT, inputs[1])],
        [helper.make_tensor_value_info(output[0], FLOAT, output[1])],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, **more)
    return model.SerializeToString()


def decoder(*before, constants=()) -> bytes:
    """Make a decoder from latents (batch, 3) to images (batch, 1, 6, 5): a linear layer and a sigmoid.

    before: operators that compute `x`, the input of the linear layer, from `latent`. constants: named tensors that
    these operators use.
    """
    nodes = [
        *before,
        helper.make_node("Gemm", ["x", "weight"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["image"]),
    ]
    weight = values("weight", np.ones((3, 30), np.float32))
    return model_of(nodes, weight, values("shape", np.array([-1, 1, 6, 5])), *constants)


def external(tensor):
    """Make a tensor refer to an external file for its values, a file that does not exist. Returns the tensor."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="no-such-file.bin")
    return tensor
