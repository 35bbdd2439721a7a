"""Makes small ONNX files for tests of the graph check."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def values(name, array):
    """Make an ONNX tensor with a name. array: values of any shape."""
    return numpy_helper.from_array(np.asarray(array), name)


def model_of(nodes, *constants, inputs=("latent", ["batch", 3]), output=("image", ["batch", 1, 6, 5]), **more) -> bytes:
    """Make an ONNX file with one float32 input and one float32 output.

    constants: named tensors. inputs, output: (name, shape).
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

    before: operators before the linear layer; the last of them has the output `x`. constants: named tensors.
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
    """Change a tensor so that its values are in another file, which does not exist."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="no-such-file.bin")
    return tensor
