#!/usr/bin/env bash
# IREE compiles ONNX's DepthToSpace in mode CRD (PixelShuffle) to wrong values unless output channels and block size agree.
#
# Versions: iree-base-compiler and iree-base-runtime 3.13.0, onnx 1.23.2, onnxruntime 1.32.0, Python 3.11.
# Seen: on a valid graph of this one operator (block size 2, opset 18), the result has the right shape, nothing is
#   reported, and the values differ from onnxruntime and from the ONNX reference evaluator wherever there are 1, 3, 4 or
#   8 output channels; with 2 output channels they agree. Mode DCR agrees everywhere, and so does CRD when it is written
#   as Reshape, Transpose, Reshape.
# Why it matters: torch exports nn.PixelShuffle as exactly this operator and mode.
# Fails when any of this changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet iree-base-compiler==3.13.0 iree-base-runtime==3.13.0 onnx==1.23.2 onnxruntime==1.32.0
cd "$work"
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

import iree.runtime
import numpy as np
import onnx
import onnxruntime
from iree.compiler import tools
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

BLOCK, HEIGHT, WIDTH = 2, 3, 5


def graph(spelling, channels):
    """x (4, 4 channels, 3, 5) -> y (4, channels, 6, 10)."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, channels * BLOCK**2, HEIGHT, WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, channels, BLOCK * HEIGHT, BLOCK * WIDTH])
    if spelling == "rewritten":
        split = numpy_helper.from_array(np.array([-1, channels, BLOCK, BLOCK, HEIGHT, WIDTH]), "split")
        merge = numpy_helper.from_array(np.array([-1, channels, BLOCK * HEIGHT, BLOCK * WIDTH]), "merge")
        nodes = [
            helper.make_node("Reshape", ["x", "split"], ["blocks"]),
            helper.make_node("Transpose", ["blocks"], ["interleaved"], perm=[0, 1, 4, 2, 5, 3]),
            helper.make_node("Reshape", ["interleaved", "merge"], ["y"]),
        ]
        constants = [split, merge]
    else:
        nodes = [helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=BLOCK, mode=spelling)]
        constants = []
    body = helper.make_graph(nodes, "shuffle", [x], [y], constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def by_iree(model, x):
    onnx.save(model, "model.onnx")
    subprocess.check_call([sys.executable, "-m", "iree.compiler.tools.import_onnx", "model.onnx", "-o", "model.mlir"])
    options = {"target_backends": ["llvm-cpu"], "input_type": "onnx"}
    compiled = tools.compile_file("model.mlir", extra_args=["--iree-llvmcpu-target-cpu=generic"], **options)
    context = iree.runtime.SystemContext(config=iree.runtime.Config("local-sync"))
    context.add_vm_module(iree.runtime.VmModule.copy_buffer(context.instance, compiled))
    return np.asarray(context.modules.module["shuffle"](x))


wrong = set()
for spelling in ("CRD", "DCR", "rewritten"):
    for channels in (1, 2, 3, 4, 8):
        model = graph(spelling, channels)
        x = np.random.default_rng(0).standard_normal((4, channels * BLOCK**2, HEIGHT, WIDTH), dtype=np.float32)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": x})[0]
        assert np.array_equal(expected, ReferenceEvaluator(model).run(None, {"x": x})[0])
        found = by_iree(model, x)
        assert found.shape == expected.shape
        difference = float(np.abs(found - expected).max())
        print(f"{spelling:<9} {channels} output channels: largest difference {difference:.3g}")
        if difference > 0:
            wrong.add((spelling, channels))
assert wrong == {("CRD", 1), ("CRD", 3), ("CRD", 4), ("CRD", 8)}, wrong
print("as described")
PYTHON
