"""An ONNX graph is refused before onnxruntime opens it, unless its operators are accepted and its cost is bounded."""

import numpy as np
import onnx
import pytest
from aegen.runtime.artifact import SHIPPED, Artifact
from aegen.runtime.errors import ArtifactError, ExecutionError
from aegen.runtime.graphs.check import check_graph, operators_of
from aegen.runtime.graphs.operators import ACCEPTED, CONTROL_FLOW, EMITTED, RANDOM
from aegen.runtime.manifest import Graph, Tensor
from onnx import TensorProto, helper, numpy_helper
from onnx_files import decoder, external, model_of, values

SIGNATURE = Graph((Tensor("latent", "float32", ("batch", 3)),), (Tensor("image", "float32", ("batch", 1, 6, 5)),))
FLOAT = TensorProto.FLOAT


def refused(content: bytes, words: str) -> None:
    """Assert that the graph check refuses a decoder with a message that matches the pattern `words`.

    content: the bytes of the decoder's ONNX file.
    """
    with pytest.raises(ArtifactError, match=words):
        check_graph(content, "decoder.onnx", SIGNATURE)


def body(*, outputs):
    """Make the graph of one branch of an If operator. outputs: name of the only output, a copy of `latent`."""
    return helper.make_graph([helper.make_node("Identity", ["latent"], [outputs])], "body", [], [
        helper.make_tensor_value_info(outputs, FLOAT, ["batch", 3])
    ])  # fmt: skip


def test_a_plain_decoder_is_accepted_and_its_cost_is_known():
    cost = check_graph(decoder(helper.make_node("Relu", ["latent"], ["x"])), "decoder.onnx", SIGNATURE)
    assert (cost.values, cost.macs) == (3 + 30 + 30 + 30, 90)


def test_external_data_in_an_attribute_is_refused_too():
    constant = helper.make_node("Constant", [], ["bias"], value=values("bias", np.ones(3, np.float32)))
    external(constant.attribute[0].t)
    refused(decoder(constant, helper.make_node("Add", ["latent", "bias"], ["x"])), "external data")


def test_a_session_itself_finds_no_external_data_beside_the_working_folder(tmp_path, monkeypatch):
    from aegen.runtime.session import open_session

    monkeypatch.chdir(tmp_path)
    weight = np.ones(3, np.float32)
    (tmp_path / "weight.bin").write_bytes(weight.tobytes())
    tensor = values("bias", weight)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weight.bin"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    content = decoder(helper.make_node("Add", ["latent", "bias"], ["x"]), constants=[tensor])
    with pytest.raises(ExecutionError, match="onnxruntime cannot load it"):
        open_session(content, "decoder.onnx")


def test_control_flow_is_refused():
    node = helper.make_node("If", ["yes"], ["x"], then_branch=body(outputs="a"), else_branch=body(outputs="b"))
    refused(decoder(node, constants=[values("yes", np.array(True))]), "control flow")


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_every_random_operator_is_refused_by_name(name):
    refused(decoder(helper.make_node(name, ["latent"], ["x"])), rf"operator {name} \(random\)")


@pytest.mark.parametrize("name", ["NonZero", "Unique", "Compress", "NonMaxSuppression", "StringNormalizer", "NoSuchOp"])
def test_an_operator_whose_output_size_depends_on_values_is_refused_by_name(name):
    refused(decoder(helper.make_node(name, ["latent"], ["x"])), f"operator {name}")


def test_other_domains_and_functions_are_refused():
    refused(decoder(helper.make_node("Relu", ["latent"], ["x"], domain="com.example")), "of domain com.example")
    function = helper.make_function(
        "example", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    refused(model_of([helper.make_node("Relu", ["latent"], ["image"])], functions=[function]), "functions of its own")


def test_a_declared_size_above_the_limit_is_refused():
    nodes = [helper.make_node("Expand", ["latent", "shape"], ["image"])]
    huge = [1 << 20, 1 << 20, 3]
    content = model_of(nodes, values("shape", np.array(huge)), output=("image", huge))
    signature = Graph(SIGNATURE.inputs, (Tensor("image", "float32", tuple(huge)),))
    with pytest.raises(ArtifactError):
        check_graph(content, "decoder.onnx", signature)


@pytest.mark.parametrize(
    ("name", "inputs", "constants"),
    [
        ("Expand", ["latent", "big"], [("big", np.array([1 << 30, 1, 3]))]),
        ("Tile", ["latent", "big"], [("big", np.array([1, 1 << 40]))]),
        ("ConstantOfShape", ["big"], [("big", np.array([1 << 20, 1 << 20]))]),
        ("Pad", ["latent", "big"], [("big", np.array([0, 0, 0, 1 << 40]))]),
        ("OneHot", ["indices", "big", "ends"], [
            ("indices", np.array([[1]])), ("big", np.array([1 << 40])), ("ends", np.array([0.0, 1.0], np.float32))
        ]),
        ("Range", ["zero", "big", "one"], [("zero", np.array(0)), ("big", np.array(1 << 62)), ("one", np.array(1))]),
        ("MatMul", ["column", "row"], [
            ("column", np.ones((1 << 14, 1), np.float32)), ("row", np.ones((1, 1 << 14), np.float32))
        ]),
    ],
)  # fmt: skip
def test_an_implied_size_above_the_limit_is_refused(name, inputs, constants):
    nodes = [helper.make_node(name, inputs, ["huge"]), helper.make_node("Relu", ["latent"], ["x"])]
    refused(
        decoder(*nodes, constants=[values(name, array) for name, array in constants]), f"operator {name}|for one row"
    )


def test_work_beyond_the_limit_is_refused_where_results_are_small():
    big = helper.make_node("ConstantOfShape", ["side"], ["square"])
    nodes = [big, *(helper.make_node("MatMul", ["square", "square"], [f"p{i}"]) for i in range(2))]
    constants = [values("side", np.array([4000, 4000]))]
    refused(decoder(*nodes, helper.make_node("Relu", ["latent"], ["x"]), constants=constants), "multiply-accumulates")


def test_results_that_grow_with_the_square_of_the_rows_are_refused():
    nodes = [
        helper.make_node("Transpose", ["latent"], ["transposed"], perm=[1, 0]),
        helper.make_node("MatMul", ["latent", "transposed"], ["square"]),
        helper.make_node("Relu", ["latent"], ["x"]),
    ]
    refused(decoder(*nodes), "for one row")


def test_a_size_that_shrinks_as_the_rows_grow_is_refused():
    nodes = [
        helper.make_node("Shape", ["latent"], ["sizes"]),
        helper.make_node("Div", ["million", "sizes"], ["fewer"]),
        helper.make_node("ConstantOfShape", ["fewer"], ["huge"]),
        helper.make_node("Relu", ["latent"], ["x"]),
    ]
    refused(decoder(*nodes, constants=[values("million", np.array([1 << 20, 1 << 20]))]), "operator ConstantOfShape")


def test_a_graph_whose_outputs_are_not_what_the_manifest_says_is_refused():
    refused(model_of([helper.make_node("Relu", ["latent"], ["image"])]), r"output image: found shape \(n, 3\)")
    wrong = model_of([helper.make_node("Relu", ["latent"], ["image"])], output=("image", ["batch", 3]))
    refused(wrong, "outputs: found image")


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.onnx")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_shipped_graphs_use_only_operators_that_the_exporter_emits_and_the_runtime_accepts(file):
    content = file.read_bytes()
    used = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert operators_of(content) == used
    assert used <= EMITTED <= ACCEPTED


def test_operators_are_accepted_random_or_control_flow_and_never_two_of_these():
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert standard >= ACCEPTED | RANDOM | CONTROL_FLOW
    assert not ACCEPTED & (RANDOM | CONTROL_FLOW)


@pytest.mark.parametrize("name", ["mnist", "mnist-fast", "mnist-vae"])
def test_the_cost_of_a_shipped_graph_is_the_one_in_its_manifest(name):
    artifact = Artifact.open(SHIPPED / name)
    for graph, macs in artifact.manifest.macs.items():
        assert check_graph(artifact.read(graph), graph, artifact.manifest.graphs[graph]).macs == macs


def field(number, content, *, wire=2, tag_bits=0) -> bytes:
    """Encode one protobuf field.

    number: the field's number. content: an integer if the wire type is 0, bytes if it is 2. wire: the wire type.
    tag_bits: bits to set in the tag above its 32 valid bits; some parsers ignore such bits.
    """

    def varint(value):
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    tag = varint(number << 3 | wire | tag_bits)
    return tag + (varint(content) if wire == 0 else varint(len(content)) + content)


def with_graph_field(extra: bytes) -> bytes:
    """Make the ONNX file of a valid decoder, and append the encoded protobuf field `extra` to its graph."""
    model = onnx.load_from_string(decoder(helper.make_node("Relu", ["latent"], ["x"])))
    graph = model.graph.SerializeToString() + extra
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph)


def constant_node(name, *attributes: bytes) -> bytes:
    """Encode a Constant operator as a protobuf field of a graph. name: its output. attributes: already encoded."""
    node = field(2, name) + field(4, b"Constant") + b"".join(field(5, attribute) for attribute in attributes)
    return field(1, node)


WEIGHT = numpy_helper.from_array(np.ones((2, 2), np.float32), "more").SerializeToString()


def test_a_decoder_with_a_hand_written_field_is_accepted():
    check_graph(with_graph_field(field(5, WEIGHT)), "decoder.onnx", SIGNATURE)
    five = field(1, b"value_int") + field(3, 5, wire=0) + field(20, 2, wire=0)
    check_graph(with_graph_field(constant_node(b"five", five)), "decoder.onnx", SIGNATURE)


@pytest.mark.parametrize(
    "extra",
    [
        field(5, WEIGHT, tag_bits=1 << 32),
        field(99, b"unknown"),
        field(5, 7, wire=0),
        field(5, WEIGHT) + field(5, WEIGHT),
        field(5, WEIGHT + field(9, b"\0" * 16)),
        field(5, WEIGHT + field(14, (1 << 32) + 1, wire=0)),
        field(5, WEIGHT.replace(b"more", b"mo\xffe")),
        field(5, b"".join(field(1, 1, wire=0) for _ in range(9)) + field(2, 1, wire=0) + field(8, b"deep")),
        constant_node(b"k", field(1, b"value_int") + field(3, 1, wire=0) + field(8, 5, wire=0) + field(20, 2, wire=0)),
        constant_node(b"k", field(1, b"value_int") + field(3, 1, wire=0)),
        constant_node(b"k", field(1, b"value_int") + field(3, 1, wire=0) + field(3, 2, wire=0) + field(20, 2, wire=0)),
        constant_node(b"k", *[field(1, b"value_int") + field(3, 1, wire=0) + field(20, 2, wire=0)] * 2),
        constant_node(b"k", field(1, b"value") + field(5, WEIGHT) + field(5, WEIGHT) + field(20, 4, wire=0)),
        constant_node(b"k", field(1, b"value_float") + field(2, 9, wire=0) + field(20, 1, wire=0)),
    ],
    ids=range(14),
)
def test_bytes_that_two_readers_could_understand_differently_are_refused(extra):
    refused(with_graph_field(extra), r"decoder\.onnx: ")


def with_value_info(*tensors) -> bytes:
    """Make a decoder whose value_info declares tensors of its graph. tensors: (name, dtype, shape) of each."""
    model = onnx.load_from_string(decoder(helper.make_node("Relu", ["latent"], ["x"])))
    model.graph.value_info.extend(helper.make_tensor_value_info(*tensor) for tensor in tensors)
    return model.SerializeToString()


def test_value_info_of_weights_and_results_is_accepted():
    content = with_value_info(("weight", FLOAT, [3, 30]), ("x", FLOAT, ["batch", 3]), ("flat", FLOAT, ["n", "k"]))
    check_graph(content, "decoder.onnx", SIGNATURE)


@pytest.mark.parametrize(
    "tensors",
    [
        [("weight", FLOAT, [3, 31])],
        [("weight", TensorProto.FLOAT16, [3, 30])],
        [("weight", FLOAT, [90])],
        [("weight", FLOAT, [3, 30])] * 2,
        [("x", FLOAT, [7, 3])],
        [("x", FLOAT, ["batch", 4])],
        [("nothing", FLOAT, [3])],
    ],
)
def test_value_info_that_contradicts_the_graph_is_refused(tensors):
    refused(with_value_info(*tensors), "value_info")


def test_pixel_shuffle_as_reshape_transpose_reshape_is_accepted_and_bounded():
    def shuffled(block):
        return model_of(
            [
                helper.make_node("Reshape", ["latent", "split"], ["blocks"]),
                helper.make_node("Transpose", ["blocks"], ["ordered"], perm=[0, 1, 4, 2, 5, 3]),
                helper.make_node("Reshape", ["ordered", "merged"], ["image"]),
            ],
            values("split", np.array([-1, 1, block, block, 3, 2])),
            values("merged", np.array([-1, 1, 3 * block, 2 * block])),
            inputs=("latent", ["batch", 24]),
            output=("image", ["batch", 1, 6, 4]),
        )

    signature = Graph((Tensor("latent", "float32", ("batch", 24)),), (Tensor("image", "float32", ("batch", 1, 6, 4)),))
    assert check_graph(shuffled(2), "decoder.onnx", signature).values == 3 * 24
    with pytest.raises(ArtifactError, match="output image: found shape"):
        check_graph(shuffled(1 << 40), "decoder.onnx", signature)


def test_noise_may_have_another_width_than_the_latent():
    nodes = [helper.make_node("Gemm", ["noise", "weight"], ["latent"])]
    content = model_of(
        nodes,
        values("weight", np.ones((7, 3), np.float32)),
        inputs=("noise", ["batch", 7]),
        output=("latent", ["batch", 3]),
    )
    signature = Graph((Tensor("noise", "float32", ("batch", 7)),), (Tensor("latent", "float32", ("batch", 3)),))
    assert check_graph(content, "prior.onnx", signature).macs == 21


def sized(*nodes, **constants) -> bytes:
    """Make a decoder that also makes a tensor with ConstantOfShape. The tensor `size` holds its shape.

    nodes: operators that compute `size` from `latent` and constants. constants: their arrays, by name.
    """
    filled = helper.make_node("ConstantOfShape", ["size"], ["filled"])
    after = helper.make_node("Relu", ["latent"], ["x"])
    return decoder(*nodes, filled, after, constants=[values(name, array) for name, array in constants.items()])


@pytest.mark.parametrize(
    "content",
    [
        sized(
            helper.make_node("Shape", ["latent"], ["n"], end=1),
            helper.make_node("Mul", ["n", "minus"], ["less"]),
            helper.make_node("Add", ["less", "many"], ["size"]),
            minus=np.array([-1]), many=np.array([1 << 30]),
        ),
        sized(
            helper.make_node("Cast", ["many"], ["narrow"], to=TensorProto.INT32),
            helper.make_node("Cast", ["narrow"], ["wide"], to=TensorProto.INT64),
            helper.make_node("Add", ["wide", "more"], ["size"]),
            many=np.array([-(1 << 32) + (1 << 20)]), more=np.array([(1 << 32) - (1 << 20) + 4]),
        ),
        sized(
            helper.make_node("Add", ["row", "column"], ["square"]),
            helper.make_node("Reshape", ["square", "nine"], ["size"]),
            row=np.array([4, 4, 4]), column=np.array([[0], [0], [0]]), nine=np.array([9]),
        ),
        sized(helper.make_node("Slice", ["latent", "far", "end"], ["hidden"]),
              far=np.array([1 << 40]), end=np.array([1 << 62]), size=np.array([1 << 14, 1 << 14])),
        sized(size=np.array([1 << 13, 1 << 13])),
    ],
    ids=["shrinks as rows grow", "wraps at 32 bits", "more values than are kept", "depends on rows", "too large"],
)  # fmt: skip
def test_sizes_that_could_be_inferred_wrongly_are_refused(content):
    refused(content, r"can be determined|for one row")


def test_the_workspace_of_a_transposed_convolution_counts():
    nodes = [
        helper.make_node("Reshape", ["latent", "image_shape"], ["one"]),
        helper.make_node("ConvTranspose", ["one", "kernel"], ["wide"]),
        helper.make_node("Relu", ["latent"], ["x"]),
    ]
    kernel = values("kernel", np.zeros((1, 1, 1 << 24, 1), np.float16).astype(np.float32))
    refused(decoder(*nodes, constants=[values("image_shape", np.array([-1, 1, 3, 1])), kernel]), "for one row")


def test_an_axis_that_a_graph_only_names_gets_the_size_that_the_graph_computes():
    nodes = [
        helper.make_node("Gemm", ["latent", "weight"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["image"]),
    ]
    constants = values("weight", np.ones((3, 30), np.float32)), values("shape", np.array([-1, 1, 6, 5]))
    check_graph(model_of(nodes, *constants, output=("image", ["batch", 1, "h", "w"])), "decoder.onnx", SIGNATURE)
    refused(model_of(nodes, *constants, output=("image", ["batch", 1, 5, "w"])), "outputs: found image")
