"""A graph is refused before onnxruntime sees it, unless it is a plain network of bounded size."""

import numpy as np
import onnx
import pytest
from aegen.runtime.artifact import SHIPPED, Artifact
from aegen.runtime.errors import ArtifactError, ExecutionError
from aegen.runtime.graphs.check import check_graph, operators_of
from aegen.runtime.graphs.operators import ACCEPTED, CONTROL_FLOW, EMITTED, RANDOM
from aegen.runtime.manifest import Graph, Tensor
from onnx import TensorProto, helper
from onnx_files import decoder, external, model_of, values

SIGNATURE = Graph((Tensor("latent", "float32", ("batch", 3)),), (Tensor("image", "float32", ("batch", 1, 6, 5)),))
FLOAT = TensorProto.FLOAT


def refused(content: bytes, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        check_graph(content, "decoder.onnx", SIGNATURE)


def body(*, outputs):
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
def test_an_operator_whose_size_only_a_run_can_tell_is_refused_by_name(name):
    refused(decoder(helper.make_node(name, ["latent"], ["x"])), f"operator {name}")


def test_other_domains_functions_and_sparse_numbers_are_refused():
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
        ("OneHot", ["places", "big", "ends"], [
            ("places", np.array([[1]])), ("big", np.array([1 << 40])), ("ends", np.array([0.0, 1.0], np.float32))
        ]),
        ("Range", ["zero", "big", "one"], [("zero", np.array(0)), ("big", np.array(1 << 62)), ("one", np.array(1))]),
        ("MatMul", ["column", "row"], [
            ("column", np.ones((1 << 14, 1), np.float32)), ("row", np.ones((1, 1 << 14), np.float32))
        ]),
    ],
)  # fmt: skip
def test_an_implied_size_above_the_limit_is_refused_before_a_session_is_opened(name, inputs, constants):
    nodes = [helper.make_node(name, inputs, ["huge"]), helper.make_node("Relu", ["latent"], ["x"])]
    refused(decoder(*nodes, constants=[values(*one) for one in constants]), f"operator {name}|of one row")


def test_work_beyond_the_limit_is_refused_where_results_are_small():
    big = helper.make_node("ConstantOfShape", ["side"], ["square"])
    nodes = [big, *(helper.make_node("MatMul", ["square", "square"], [f"p{i}"]) for i in range(2))]
    constants = [values("side", np.array([4000, 4000]))]
    refused(decoder(*nodes, helper.make_node("Relu", ["latent"], ["x"]), constants=constants), "multiply-accumulates")


def test_results_that_grow_with_the_square_of_the_rows_are_refused():
    nodes = [
        helper.make_node("Transpose", ["latent"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["latent", "turned"], ["square"]),
        helper.make_node("Relu", ["latent"], ["x"]),
    ]
    refused(decoder(*nodes), "of one row")


def test_a_size_that_shrinks_as_the_rows_grow_cannot_be_told():
    nodes = [
        helper.make_node("Shape", ["latent"], ["sizes"]),
        helper.make_node("Div", ["million", "sizes"], ["fewer"]),
        helper.make_node("ConstantOfShape", ["fewer"], ["huge"]),
        helper.make_node("Relu", ["latent"], ["x"]),
    ]
    refused(decoder(*nodes, constants=[values("million", np.array([1 << 20, 1 << 20]))]), "operator ConstantOfShape")


def test_a_graph_whose_outputs_are_not_what_the_manifest_says_is_refused():
    refused(model_of([helper.make_node("Relu", ["latent"], ["image"])]), r"output image: found shape \(n, 3\)")
    wrong = model_of([helper.make_node("Relu", ["latent"], ["picture"])], output=("picture", ["batch", 3]))
    refused(wrong, "outputs: found picture")


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.onnx")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_shipped_graphs_use_what_the_exporter_emits_and_what_the_runtime_accepts(file):
    content = file.read_bytes()
    used = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert operators_of(content) == used
    assert used <= EMITTED <= ACCEPTED


def test_every_operator_of_the_standard_domain_is_accepted_or_refused_on_purpose():
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert standard >= ACCEPTED | RANDOM | CONTROL_FLOW
    assert not ACCEPTED & (RANDOM | CONTROL_FLOW)


@pytest.mark.parametrize("name", ["mnist", "mnist-fast", "mnist-vae"])
def test_the_cost_of_a_graph_is_that_which_the_export_counted(name):
    artifact = Artifact.open(SHIPPED / name)
    for graph, macs in artifact.manifest.multiply_adds.items():
        assert check_graph(artifact.read(graph), graph, artifact.manifest.graphs[graph]).macs == macs
