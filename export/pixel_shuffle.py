"""Express pixel shuffles in ONNX files by basic operators, so that every inference engine gives the same result."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


def replace_depth_to_space(model: onnx.ModelProto) -> None:
    """Replace every DepthToSpace in mode CRD, which is torch's PixelShuffle, by Reshape, Transpose and Reshape.

    Some inference engines compute mode CRD wrongly or not at all. The model is changed in place; its results stay
    exactly the same. (n, b*b*C, H, W) -> (n, C, b, b, H, W) -> (n, C, H, b, W, b) -> (n, C, b*H, b*W) for block size b.
    """
    shapes = _shapes(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"")
        if node.op_type == "DepthToSpace" and mode == b"CRD":
            nodes += _shuffle_nodes(model.graph, node, shapes[node.input[0]])
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _shuffle_nodes(
    graph: onnx.GraphProto, node: onnx.NodeProto, shape: tuple[str | int, ...]
) -> tuple[onnx.NodeProto, ...]:
    """The three nodes that replace a DepthToSpace node. shape: the shape of that node's input, (batch, b*b*C, H, W).

    The shapes that the new nodes need are added to the graph.
    """
    batch, channels, height, width = shape
    block = helper.get_node_attr_value(node, "blocksize")
    result = node.output[0]
    split = (channels // block**2, block, block, height, width)
    swapped = (channels // block**2, height, block, width, block)
    joined = (channels // block**2, height * block, width * block)
    for name, sizes in ((f"{result}/split_shape", split), (f"{result}/shape", joined)):
        graph.initializer.append(numpy_helper.from_array(np.array([-1, *sizes], np.int64), name))
    for name, sizes in ((f"{result}/split", split), (f"{result}/swapped", swapped)):
        graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *sizes]))
    return (
        helper.make_node("Reshape", [node.input[0], f"{result}/split_shape"], [f"{result}/split"]),
        helper.make_node("Transpose", [f"{result}/split"], [f"{result}/swapped"], perm=[0, 1, 4, 2, 5, 3]),
        helper.make_node("Reshape", [f"{result}/swapped", f"{result}/shape"], [result]),
    )


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[str | int, ...]]:
    """The shapes of all tensors for which onnx can infer them, by name of the tensor."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: tuple(axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
