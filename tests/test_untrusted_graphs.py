"""A malicious ONNX graph raises one AegenError, even if the manifest holds its right hash."""

from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime.artifact import DECODER, ENCODER
from aegen.runtime.errors import ArtifactError, ExecutionError
from onnx import helper
from onnx_files import decoder, external, model_of, values


@pytest.fixture
def tiny():
    return Path(__file__).parent / "tiny" / "grey"


def test_a_graph_with_external_data_is_refused_although_its_hash_matches(alter):
    weight = external(values("bias", np.ones(3, np.float32)))
    content = decoder(helper.make_node("Add", ["latent", "bias"], ["x"]), constants=[weight])
    with pytest.raises(ArtifactError, match=r"decoder\.onnx: tensor bias: found external data, expected values in the"):
        aegen.load(alter(DECODER, content)).sample(1)


def test_an_encoder_that_gives_one_column_is_not_broadcast_to_three(alter):
    nodes = [
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"]),
        helper.make_node("Flatten", ["image"], ["flat"]),
    ]
    content = model_of(
        [nodes[1], nodes[0], helper.make_node("Identity", ["mean"], ["latent"])],
        values("axes", np.array([1])),
        inputs=("image", ["batch", 1, 6, 5]),
        output=("latent", ["batch", "d"]),
    )
    with pytest.raises(ArtifactError, match=r"encoder\.onnx"):
        aegen.load(alter(ENCODER, content)).encode(np.zeros((4, 6, 5), np.uint8))


@pytest.mark.parametrize(
    ("factor", "found"), [(100.0, "values from"), (np.nan, "values from nan to nan"), (np.inf, "values from")]
)
def test_images_out_of_range_or_not_finite_are_an_error(alter, factor, found):
    nodes = [
        helper.make_node("Gemm", ["latent", "weight"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["image"]),
    ]
    weight = values("weight", np.full((3, 30), factor, np.float32))
    content = model_of(nodes, weight, values("shape", np.array([-1, 1, 6, 5])))
    model = aegen.load(alter(DECODER, content))
    for call in (lambda: model.decode(np.ones((2, 3))), lambda: model.decode(np.ones(3), dtype="uint8")):
        with pytest.raises(ExecutionError, match=rf"decoder\.onnx: image: found {found}"):
            call()


def test_images_a_rounding_error_out_of_range_are_clipped(alter):
    nodes = [
        helper.make_node("Gemm", ["latent", "weight"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["image"]),
    ]
    weight = values("weight", np.full((3, 30), 1 / 3, np.float32))
    model = aegen.load(alter(DECODER, model_of(nodes, weight, values("shape", np.array([-1, 1, 6, 5])))))
    assert model.decode(np.full(3, 1.0005)).max() == 1
    assert model.decode(np.full(3, -0.0005)).min() == 0
    assert model.decode(np.full(3, 1.0005), dtype="uint8").min() == 255


def test_latents_that_are_not_finite_are_an_error(alter):
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("Gemm", ["flat", "weight"], ["latent"])]
    weight = values("weight", np.full((30, 3), np.inf, np.float32))
    content = model_of(nodes, weight, inputs=("image", ["batch", 1, 6, 5]), output=("latent", ["batch", 3]))
    with pytest.raises(ExecutionError, match=r"encoder\.onnx: latent: found values that are not finite"):
        aegen.load(alter(ENCODER, content)).encode(np.full((4, 6, 5), 9, np.uint8))


def test_a_graph_that_onnxruntime_refuses_raises_one_error_and_prints_nothing(alter, capfd):
    # onnxruntime refuses this graph, because BitShift takes integers and the latent is float32.
    shifted = helper.make_node("BitShift", ["latent", "latent"], ["x"], direction="LEFT")
    with pytest.raises(ExecutionError, match=r"decoder\.onnx: onnxruntime"):
        aegen.load(alter(DECODER, decoder(shifted))).sample(1)
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails_raises_one_error_and_prints_nothing(alter, capfd):
    nodes = [helper.make_node("Gather", ["latent", "far"], ["x"], axis=1)]
    content = decoder(*nodes, constants=[values("far", np.array([0, 1, 7]))])
    with pytest.raises(ExecutionError, match=r"decoder\.onnx: onnxruntime failed"):
        aegen.load(alter(DECODER, content)).decode(np.zeros(3))
    assert capfd.readouterr() == ("", "")


def test_a_costly_graph_runs_fewer_rows_at_a_time_with_equal_results(alter, monkeypatch):
    from aegen.runtime import session

    model = aegen.load(alter())
    latents = model.sample_latents(50, seed=0)
    expected = model.decode(latents)
    monkeypatch.setattr(session, "MAX_RUN_VALUES", 1000)
    assert np.array_equal(aegen.load(alter()).decode(latents), expected)
