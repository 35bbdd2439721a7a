"""Random changes of ONNX files: of the graph, by means of the package onnx, or of the raw bytes."""

import struct

import mutators
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

STANDARD = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
SIZES = (0, 1, 2, 3, 7, 1000, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -2, -(2**63))
FLOATS = (0.0, -1.0, 1e38, -1e38, 1e-38, float("nan"), float("inf"), float("-inf"))
UNARY = (
    "Identity", "Relu", "Exp", "Log", "Sqrt", "Neg", "Reciprocal", "Sigmoid", "Tan", "Softmax", "Hardmax", "NonZero",
    "Unique", "Size", "Shape", "Flatten", "Squeeze", "Transpose", "GlobalAveragePool", "LpNormalization", "ReduceMax",
    "ReduceSum", "Not", "IsNaN", "Det", "Trilu",
)  # fmt: skip
ATTRIBUTES = (
    "axis", "axes", "to", "alpha", "transA", "transB", "group", "kernel_shape", "strides", "pads", "dilations",
    "epsilon", "perm", "mode", "x",
)  # fmt: skip
INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def mutated(random, content):
    """Return the bytes of an ONNX file with some random changes. content: the bytes before the changes."""
    kind = random.randrange(10)
    if kind == 0:
        return mutators.changed(random, content)
    if kind == 1:
        return _wire(random, content)
    model = onnx.load_from_string(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(CHANGES)(random, model)
    try:
        return model.SerializeToString()
    except ValueError:  # protobuf cannot write a string field that is not UTF-8, so make no change
        return content


def _wire(random, content):
    """Make one random change to the raw bytes, such as repeated or unknown fields, long integers, or a wrong header."""
    return random.choice(
        (
            lambda: content + content,
            lambda: content + mutators.truncated(random, content),
            lambda: mutators.truncated(random, content),
            lambda: content + b"\x3a\x02\x0a\x00",  # appends a second `graph` field
            lambda: b"\x3a" + b"\xff" * 9 + b"\x01" + content,
            lambda: content + b"\xfa\x3f\x03abc",  # appends an unknown field
            lambda: content + b"\x0b\x0c",  # appends an empty protobuf group
            lambda: content + b"\x08" + b"\x80" * 9 + b"\x01",
            lambda: b"ORTM" + content,
            lambda: b"\x20\x00\x00\x00ORTM" + content,
            lambda: b"",
            lambda: content.replace(b"batch", b"bat\xff\xfe"),
            lambda: content.replace(b"latent", b"latenz"),
            lambda: content.replace(b"float", b"double"),
        )
    )()


def _initializer(random, model):
    return (
        random.choice(model.graph.initializer) if model.graph.initializer else model.graph.initializer.add(name="lone")
    )


def _node(random, model):
    return random.choice(model.graph.node) if model.graph.node else model.graph.node.add(op_type="Identity")


def other_operator(random, model):
    """Turn a random operator into another standard operator. Sometimes remove its attributes or change its domain."""
    node = _node(random, model)
    node.op_type = random.choice(STANDARD)
    if random.random() < 0.3:
        del node.attribute[:]
    if random.random() < 0.2:
        node.domain = random.choice(("ai.onnx.ml", "com.microsoft", "ai.onnx", "x", "ai.onnx.training"))


def removed_node(random, model):
    """Remove a random operator, and rarely all operators."""
    nodes = model.graph.node
    if nodes:
        del nodes[random.randrange(len(nodes))]
    if random.random() < 0.05:
        del nodes[:]


def repeated_node(random, model):
    """Add a copy of a random operator, sometimes with new output names. Sometimes shuffle the order of operators."""
    copy = model.graph.node.add()
    copy.CopyFrom(_node(random, model))
    if random.random() < 0.5:
        copy.output[:] = [f"{name}_again" for name in copy.output]
    if random.random() < 0.5:
        nodes = list(model.graph.node)
        random.shuffle(nodes)
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def other_wires(random, model):
    """Rename an input or output of a random operator, or add one. An empty name means that the input is left out."""
    node = _node(random, model)
    side = random.choice((node.input, node.output))
    names = [name for other in model.graph.node for name in (*other.input, *other.output)] + ["", "nothing", "x" * 300]
    if side and random.random() < 0.7:
        side[random.randrange(len(side))] = random.choice(names)
    else:
        side.append(random.choice(names))


def inserted_operator(random, model):
    """Insert a random operator before an output of the graph. Its input, the former output, is renamed `inside`."""
    if not model.graph.output:
        return
    name = random.choice([output.name for output in model.graph.output])
    for node in model.graph.node:
        node.output[:] = ["inside" if output == name else output for output in node.output]
    node = random.choice(INSERTED)(random, model, name)
    model.graph.node.append(node)


def _constant(model, value, dtype=np.int64):
    name = f"constant{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
    return name


def _inner(name="result"):
    value = helper.make_tensor_value_info(name, FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["inside"], [name])], "inner", [], [value])


def _loop(random, model, out):
    """Make a Loop operator that runs its body once. out: the name of its output."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["inside"], ["result"])],
        "body",
        [helper.make_tensor_value_info("pass", INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, [])],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("result", FLOAT, None),
        ],
    )
    return helper.make_node("Loop", [_constant(model, 1), _constant(model, True, bool)], [out], body=body)


def _choice(random, model, out):
    return helper.make_node(
        "If", [_constant(model, True, bool)], [out], then_branch=_inner("a"), else_branch=_inner("b")
    )


def _random(random, model, out):
    op = random.choice(("RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout"))
    return helper.make_node(op, ["inside"], [out])


def _unary(random, model, out):
    return helper.make_node(random.choice(UNARY), ["inside"], [out])


def _scaled(random, model, out):
    op, factor = random.choice(("Mul", "Add", "Sub", "Div", "Pow", "Max", "Mod")), random.choice((*FLOATS, 300.0, 1.0))
    return helper.make_node(op, ["inside", _constant(model, factor, np.float32)], [out])


def _grown(random, model, out):
    """Make an operator such as Tile whose output size is set by a constant, which may be huge or negative."""
    size = random.choice((1, 2, 2**16, 2**20, 2**33, -1))
    rank = random.choice((1, 2, 3, 4))
    op = random.choice(("Tile", "Expand", "Reshape", "Pad", "Resize", "ConstantOfShape", "Range", "OneHot"))
    sizes = [random.choice((1, 1, size)) for _ in range(rank)]
    inputs = {
        "Pad": ["inside", _constant(model, sizes * 2)],
        "Resize": ["inside", "", "", _constant(model, sizes)],
        "ConstantOfShape": [_constant(model, sizes)],
        "Range": [_constant(model, 0), _constant(model, size), _constant(model, random.choice((1, 0, -1)))],
        "OneHot": ["inside", _constant(model, size), _constant(model, [0, 1])],
    }
    return helper.make_node(op, inputs.get(op, ["inside", _constant(model, sizes)]), [out])


def _picked(random, model, out):
    """Make an operator such as Gather that selects values by index. The indices may be out of range."""
    op = random.choice(("Gather", "GatherElements", "GatherND", "Slice", "TopK", "Compress", "Split", "CumSum"))
    values = [random.choice(SIZES) for _ in range(random.choice((1, 1, 2)))]
    more = [_constant(model, values)] * (2 if op == "Slice" else 1)
    return helper.make_node(op, ["inside", *more], [out])


def _cast(random, model, out):
    return helper.make_node("Cast", ["inside"], [out], to=random.choice((*range(1, 24), 99)))


def _einsum(random, model, out):
    equation = random.choice(("ij->ji", "ij->i", "ij,ij->ij", "...->...", "ij->ijk", "x" * 300))
    return helper.make_node("Einsum", ["inside"], [out], equation=equation)


INSERTED = (_loop, _choice, _random, _unary, _unary, _scaled, _scaled, _grown, _grown, _picked, _cast, _einsum)


def other_attribute(random, model):
    """Change, remove or add an attribute of a random operator."""
    node = _node(random, model)
    if not node.attribute or random.random() < 0.15:
        name = random.choice(ATTRIBUTES)
        value = random.choice((1, -1, 2**40, 0.5, "text", [1, 2], [0.5], b"\xff", _inner(), TensorProto()))
        node.attribute.append(helper.make_attribute(name, value))
        return
    attribute = random.choice(node.attribute)
    kind = random.randrange(6)
    if kind == 0:
        node.attribute.remove(attribute)
    elif kind == 1:
        attribute.i = random.choice(SIZES)
    elif kind == 2:
        attribute.f = random.choice(FLOATS)
    elif kind == 3:
        attribute.type = random.choice(list(AttributeProto.AttributeType.values()))
    elif kind == 4:
        attribute.ints[:] = [random.choice(SIZES) for _ in range(random.choice((0, 1, 2, 4, 40)))]
    else:
        attribute.s = random.choice((b"", b"\xff\xfe", b"SAME_UPPER", b"x" * 300))


def other_tensor(random, model):
    """Change the shape, dtype, length, values or name of a random initializer (a tensor stored in the file)."""
    tensor = _initializer(random, model)
    kind = random.randrange(7)
    if kind == 0:
        tensor.dims[:] = [random.choice(SIZES) for _ in range(random.choice((0, 1, 2, 3, 20)))]
    elif kind == 1:
        tensor.data_type = random.randrange(31)
    elif kind == 2:
        tensor.raw_data = mutators.truncated(random, tensor.raw_data or b"\0" * 8)
    elif kind == 3 and len(tensor.raw_data) >= 4:
        at = 4 * random.randrange(len(tensor.raw_data) // 4)
        tensor.raw_data = tensor.raw_data[:at] + struct.pack("<f", random.choice(FLOATS)) + tensor.raw_data[at + 4 :]
    elif kind == 4:
        tensor.float_data.extend([random.choice(FLOATS)] * random.choice((1, 3, 100)))
    elif kind == 5:
        tensor.dims[:] = list(tensor.dims)[::-1]
    else:
        tensor.name = random.choice((*(other.name for other in model.graph.initializer), "other", ""))


def external_data(random, model):
    """Declare that the values of a random initializer are stored in another file, which does not exist."""
    tensor = _initializer(random, model)
    if random.random() < 0.8:
        tensor.data_location = TensorProto.EXTERNAL
    if random.random() < 0.8:
        tensor.ClearField("raw_data")
    location = random.choice(("missing.bin", "/nowhere/missing.bin", "../missing.bin", "", "x" * 300))
    for key, value in (
        ("location", location),
        ("offset", random.choice(("0", "-1", "x"))),
        ("length", str(random.choice(SIZES))),
    ):
        if random.random() < 0.8:
            tensor.external_data.add(key=key, value=value)
    if random.random() < 0.3:  # use the tensor in an attribute too, which a check of initializers alone would miss
        node = model.graph.node.add(op_type="Constant", output=["elsewhere"])
        node.attribute.append(helper.make_attribute("value", tensor))


def other_signature(random, model):
    """Change, repeat or remove the declared name, dtype or shape of an input, output or intermediate tensor."""
    side = random.choice((model.graph.input, model.graph.output, model.graph.value_info))
    declared = random.choice(side) if side else side.add(name=random.choice(("lone", "latent", "weight")))
    kind = random.randrange(7)
    shape = declared.type.tensor_type.shape
    if kind == 0 and shape.dim:
        shape.dim[random.randrange(len(shape.dim))].dim_value = random.choice(SIZES)
    elif kind == 1 and shape.dim:
        shape.dim[random.randrange(len(shape.dim))].dim_param = random.choice(("n", "", "x" * 300))
    elif kind == 2:
        declared.type.tensor_type.elem_type = random.randrange(31)
    elif kind == 3:
        declared.name = random.choice(("latent", "image", "other", "", "x" * 300))
    elif kind == 4:
        side.add().CopyFrom(declared)
    elif kind == 5:
        side.remove(declared)
    else:
        random.choice((declared.type.tensor_type.ClearField, declared.type.sequence_type.ClearField))("elem_type")
        shape.dim.add().dim_value = random.choice(SIZES)


def other_model(random, model):
    """Change a random field of the model outside its operators and stored tensors.

    The field is a version, operator domain, function, onnxruntime setting, training information, sparse tensor or name.
    """
    kind = random.randrange(9)
    if kind == 0:
        model.ir_version = random.choice((0, 1, 3, 9, 10, 11, 13, 99, 2**40))
    elif kind == 1 and model.opset_import:
        model.opset_import[0].version = random.choice((0, 1, 6, 7, 12, 13, 16, 17, 19, 21, 22, 25, 99, 2**40, -1))
    elif kind == 2:
        model.opset_import.add(
            domain=random.choice(("", "ai.onnx.ml", "com.microsoft", "x")), version=random.choice((1, 18))
        )
    elif kind == 3:
        del model.opset_import[:]
    elif kind == 4:
        function = model.functions.add(name=random.choice(("Relu", "Mine")), domain=random.choice(("", "x")))
        function.opset_import.add(domain="", version=18)
    elif kind == 5:
        settings = ("ort_config", '{"session_options": {"intra_op_num_threads": 64, "inter_op_num_threads": 64}}')
        model.metadata_props.add(key=random.choice((settings[0], "x" * 300)), value=settings[1])
    elif kind == 6:
        model.training_info.add().algorithm.name = "algorithm"
    elif kind == 7:
        sparse = model.graph.sparse_initializer.add()
        sparse.values.name = random.choice(("lone", "latent"))
        sparse.dims[:] = [random.choice(SIZES)]
    else:
        model.graph.doc_string = "x" * mutators.LONG
        model.graph.name = random.choice(("", "\n", "x" * 300))


CHANGES = (
    other_operator, other_operator, removed_node, repeated_node, other_wires, inserted_operator, inserted_operator,
    inserted_operator, other_attribute, other_attribute, other_tensor, other_tensor, external_data, other_signature,
    other_model,
)  # fmt: skip
