"""Two lists of ONNX operators: those that the exporter emits, and those that the runtime accepts.

The runtime accepts the standard domain without control flow and random operators, and without those whose results have
a size that only a run can tell. An operator is accepted by having a rule that tells the shapes of its results.
"""

from . import layouts, shapes
from .shapes import Rule

_EMITTED = """
    Add Cast Conv DepthToSpace DequantizeLinear Div Gather Gemm LayerNormalization MatMul MaxPool
    Mul QuantizeLinear Relu Reshape Sigmoid SpaceToDepth Split Sub Tanh Transpose
"""
EMITTED = frozenset(_EMITTED.split())
CONTROL_FLOW = frozenset(("If", "Loop", "Scan", "SequenceMap"))
RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)

_RULES: dict[Rule, str] = {
    shapes.same: """
        Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh CumSum
        DequantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax IsInf IsNaN LRN
        LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not
        QuantizeLinear Reciprocal Relu ReverseSequence Round ScatterElements ScatterND Selu Shrink
        Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Trilu
    """,
    shapes.normalised: "BatchNormalization GroupNormalization InstanceNormalization LayerNormalization",
    shapes.identity: "Identity",
    shapes.dropout: "Dropout",
    layouts.einsum: "Einsum",
    layouts.grid_sample: "GridSample",
    shapes.cast: "Cast",
    shapes.broadcast: """
        Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
        LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor
    """,
    shapes.matmul: "MatMul MatMulInteger QLinearMatMul",
    shapes.gemm: "Gemm",
    shapes.conv: "Conv ConvInteger ConvTranspose QLinearConv",
    shapes.pool: "AveragePool LpPool MaxPool",
    shapes.pool_all: "GlobalAveragePool GlobalLpPool GlobalMaxPool",
    layouts.reduced: """
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare
    """,
    layouts.arg_reduced: "ArgMax ArgMin",
    layouts.reshape: "Reshape",
    layouts.flatten: "Flatten",
    layouts.squeeze: "Squeeze",
    layouts.unsqueeze: "Unsqueeze",
    layouts.transpose: "Transpose",
    layouts.concat: "Concat",
    layouts.split: "Split",
    layouts.sliced: "Slice",
    layouts.gather: "Gather",
    layouts.gather_elements: "GatherElements",
    layouts.gather_nd: "GatherND",
    layouts.expand: "Expand",
    layouts.tile: "Tile",
    layouts.pad: "Pad",
    layouts.resize: "Resize",
    layouts.depth_to_space: "DepthToSpace",
    layouts.space_to_depth: "SpaceToDepth",
    layouts.shape_of: "Shape",
    layouts.size_of: "Size",
    layouts.constant: "Constant",
    layouts.constant_of_shape: "ConstantOfShape",
    layouts.counted: "Range",
    layouts.one_hot: "OneHot",
    layouts.top_k: "TopK",
}
RULES: dict[str, Rule] = {name: rule for rule, names in _RULES.items() for name in names.split()}
ACCEPTED = frozenset(RULES)
