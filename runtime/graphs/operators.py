"""Two lists of ONNX operators: those that the exporter emits, and those that the runtime accepts.

The runtime accepts operators of the standard domain, except control flow, random operators, and operators such as
NonZero, whose output sizes depend on the values of their inputs. An operator is accepted if it has a shape rule, a
function that computes its outputs' shapes.
"""

from . import arithmetic, layouts
from .shapes import Rule

_EMITTED = """
    Add Cast Conv DequantizeLinear Div Gather Gemm LayerNormalization MatMul MaxPool
    Mul Pad QuantizeLinear Relu Reshape Sigmoid Slice Split Sub Tanh Transpose
"""
EMITTED = frozenset(_EMITTED.split())
CONTROL_FLOW = frozenset(("If", "Loop", "Scan", "SequenceMap"))
RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)

_RULES: dict[Rule, str] = {
    arithmetic.same_shape: """
        Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh CumSum
        DequantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax IsInf IsNaN LRN
        LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not
        QuantizeLinear Reciprocal Relu ReverseSequence Round ScatterElements ScatterND Selu Shrink
        Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Trilu
    """,
    arithmetic.normalization: "BatchNormalization GroupNormalization InstanceNormalization LayerNormalization",
    arithmetic.identity: "Identity",
    arithmetic.dropout: "Dropout",
    arithmetic.einsum: "Einsum",
    arithmetic.grid_sample: "GridSample",
    arithmetic.cast: "Cast",
    arithmetic.broadcast: """
        Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
        LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor
    """,
    arithmetic.matmul: "MatMul MatMulInteger QLinearMatMul",
    arithmetic.gemm: "Gemm",
    arithmetic.conv: "Conv ConvInteger ConvTranspose QLinearConv",
    arithmetic.pool: "AveragePool LpPool MaxPool",
    arithmetic.global_pool: "GlobalAveragePool GlobalLpPool GlobalMaxPool",
    layouts.reduce: """
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare
    """,
    layouts.arg_reduce: "ArgMax ArgMin",
    layouts.reshape: "Reshape",
    layouts.flatten: "Flatten",
    layouts.squeeze: "Squeeze",
    layouts.unsqueeze: "Unsqueeze",
    layouts.transpose: "Transpose",
    layouts.concat: "Concat",
    layouts.split: "Split",
    layouts.slices: "Slice",
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
    layouts.arange: "Range",
    layouts.one_hot: "OneHot",
    layouts.top_k: "TopK",
}
RULES: dict[str, Rule] = {name: rule for rule, names in _RULES.items() for name in names.split()}
ACCEPTED = frozenset(RULES)
