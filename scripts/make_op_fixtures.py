#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/ops: every file op with inputs, attributes and what OpenVINO's CPU plugin makes of them.

usage: make_op_fixtures.py OUT_FOLDER     (needs openvino; run scripts/make-fixtures)

cases.txt, one item per line:
    case NAME
    op TYPE OPSET OUTPUTS
    attr NAME VALUE
    in parameter|constant TYPE DIMS OFFSET     DIMS: 2,3 or - for a scalar; OFFSET: bytes into cases.bin
    out TYPE DIMS OFFSET
Where the implementation that OpenVINO folds constants with disagrees with the plugin, the script says so on stderr:
those are the places where OpenVINO itself is of two minds. The cases marked `folded` record the folded result, which
is what the documentation of the op says.
"""
import os
import sys

import numpy as np
import openvino as ov
from openvino.utils.node_factory import NodeFactory

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "LP_TRANSFORMS_MODE": "NO"}
TYPES = {"float32": "f32", "float16": "f16", "float64": "f64", "int64": "i64", "int32": "i32", "int16": "i16",
         "int8": "i8", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "bool": "boolean"}
IR_NAMES = {"Relu": "ReLU", "Softmax": "SoftMax"}
rng = np.random.default_rng(1)


class Packed:
    """A 4-bit or bf16 constant, which numpy has no type for."""
    def __init__(self, type_name, shape, values):
        self.type_name, self.shape, self.values = type_name, shape, values

    def node(self):
        return ov.op.Constant(getattr(ov.Type, self.type_name), ov.Shape(self.shape), self.values)

    def tobytes(self):
        if self.type_name == "bf16":
            return (np.array(self.values, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        v = [int(x) & 15 for x in self.values] + [0]
        return bytes(v[i] | v[i + 1] << 4 for i in range(0, len(v) - 1, 2))


def f(*shape, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(np.float32)


def i(*shape, low=-9, high=10, dtype=np.int64):
    return rng.integers(low, high, shape).astype(dtype)


def b(*shape):
    return rng.integers(0, 2, shape).astype(bool)


def ids(*values, dtype=np.int64):
    return np.array(values, dtype)


def n(value, dtype=np.int64):
    return np.array(value, dtype)


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(v) for v in value)
    return repr(value) if isinstance(value, float) else str(value)


class Writer:
    def __init__(self):
        self.lines, self.data, self.count, self.skipped = [], bytearray(), 0, []
        self.core = ov.Core()

    def tensor(self, head, value):
        name = value.type_name if isinstance(value, Packed) else TYPES[str(value.dtype)]
        self.data += b"\0" * (-len(self.data) % 8)
        dims = ",".join(str(d) for d in value.shape) or "-"
        self.lines.append(f"{head} {name} {dims} {len(self.data)}")
        self.data += value.tobytes()

    def build(self, op, opset, inputs, attrs, constant):
        parameters, nodes, feeds = [], [], []
        for k, value in enumerate(inputs):
            if isinstance(value, Packed):
                nodes.append(value.node())
            elif k in constant:
                nodes.append(ov.op.Constant(value))
            else:
                nodes.append(ov.op.Parameter(ov.Type(value.dtype), ov.PartialShape(list(value.shape))))
                parameters.append(nodes[-1])
                feeds.append(value)
        node = NodeFactory(opset).create(op, [x.output(0) for x in nodes], attrs)
        results = [ov.op.Result(node.output(k)) for k in range(node.get_output_size())]
        return ov.Model(results, parameters, "case"), feeds

    def reference(self, model, feeds):
        outputs = [ov.Tensor(o.get_element_type(), ov.Shape([])) for o in model.outputs]
        try:
            if not model.evaluate(outputs, [ov.Tensor(x) for x in feeds]):
                return None
        except RuntimeError:  # this op has no reference implementation
            return None
        return [np.array(t.data) for t in outputs]

    def case(self, name, op, opset, inputs, attrs=None, constant=(), folded=False):
        attrs = attrs or {}
        model, feeds = self.build(op, opset, inputs, attrs, constant)
        compiled = self.core.compile_model(model, "CPU", CONFIG)
        got = compiled(feeds)
        outputs = [np.array(got[k]) for k in range(len(compiled.outputs))]
        reference = self.reference(model, feeds)
        if reference and any(x.shape != y.shape or not np.allclose(x, y, 1e-5, 1e-6, True)
                             for x, y in zip(outputs, reference)):
            print(f"{name}: plugin {[x.ravel()[:8] for x in outputs]}, constant folding "
                  f"{[x.ravel()[:8] for x in reference]}", file=sys.stderr)
        if folded:
            outputs = reference
        self.count += 1
        self.lines += [f"case {name}", f"op {IR_NAMES.get(op, op)} {opset} {len(outputs)}"]
        self.lines += [f"attr {key} {text(value)}" for key, value in attrs.items() if text(value) != ""]
        for k, value in enumerate(inputs):
            self.tensor("in constant" if k in constant or isinstance(value, Packed) else "in parameter", value)
        for value in outputs:
            self.tensor("out", value)

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "cases.txt"), "w", newline="\n") as file:
            file.write(f"# OpenVINO {ov.__version__.split('-')[0]}, CPU, {CONFIG}\n" + "\n".join(self.lines) + "\n")
        with open(os.path.join(folder, "cases.bin"), "wb") as file:
            file.write(self.data)


def elementwise(w):
    for op in "Add Subtract Multiply Divide Minimum Maximum".split():
        w.case(f"{op}-same", op, "opset1", [f(2, 3, 5), f(2, 3, 5, low=0.5)])
        w.case(f"{op}-rows", op, "opset1", [f(2, 3, 5), f(5, low=0.5)])
        w.case(f"{op}-both", op, "opset1", [f(3, 1, 4), f(2, 1, 5, 1, low=0.5)])
        w.case(f"{op}-scalar", op, "opset1", [f(), f(4, 3, low=0.5)])
        w.case(f"{op}-i32", op, "opset1", [i(4, 3, low=0, dtype=np.int32), i(3, low=1, high=6, dtype=np.int32)])
        w.case(f"{op}-i64", op, "opset1", [i(3, 4, low=0), i(3, 1, low=1, high=5)])
    w.case("Add-none", "Add", "opset1", [f(3, 2), f(3, 2)], {"auto_broadcast": "none"})
    w.case("Divide-floor", "Divide", "opset1",
           [ids(7, -7, 7, -7, 6, 0, -1, -6), ids(2, 2, -2, -2, 3, 5, 9, 3)], folded=True)
    w.case("Divide-truncate", "Divide", "opset1",
           [ids(7, -7, 7, -7, 6, 0, -1, -6), ids(2, 2, -2, -2, 3, 5, 9, 3)], {"m_pythondiv": False})
    w.case("Divide-zero", "Divide", "opset1", [np.float32([1, -1, 0, 4]), np.float32([0, 0, 2, -0.0])])
    w.case("Power", "Power", "opset1", [f(3, 4, low=0.1), f(4)])
    w.case("Power-square", "Power", "opset1", [f(3, 4), n(2.0, np.float32)], constant=(1,))
    w.case("Power-odd", "Power", "opset1", [f(3, 4), n(3.0, np.float32)])
    w.case("Power-i32", "Power", "opset1", [i(3, 4, dtype=np.int32), ids(0, 1, 2, 3, dtype=np.int32)])
    w.case("Power-negative", "Power", "opset1",
           [ids(2, 1, -1, -1, dtype=np.int32), ids(-1, -2, -3, -4, dtype=np.int32)])
    for op in "Equal NotEqual Greater GreaterEqual Less LessEqual".split():
        x = f(3, 4)
        y = np.where(rng.random((3, 4)) < 0.5, x, f(3, 4))
        w.case(f"{op}-f32", op, "opset1", [x, y])
        w.case(f"{op}-rows", op, "opset1", [i(2, 1, 4, high=3, low=0), i(3, 1, high=3, low=0)])
    w.case("Equal-boolean", "Equal", "opset1", [b(3, 4), b(4)])
    for op in "LogicalAnd LogicalOr LogicalXor".split():
        opset = "opset2" if op == "LogicalXor" else "opset1"  # as OpenVINO writes them
        w.case(f"{op}", op, opset, [b(4, 5), b(5)])
        w.case(f"{op}-both", op, opset, [b(4, 1, 5), b(3, 1)])
    w.case("LogicalNot", "LogicalNot", "opset1", [b(3, 7)])
    for op in "BitwiseAnd BitwiseOr".split():
        w.case(f"{op}-boolean", op, "opset13", [b(1, 1, 4, 5), b(2, 1, 1, 5)])
        w.case(f"{op}-i32", op, "opset13", [i(4, 5, dtype=np.int32), i(5, dtype=np.int32)])
        w.case(f"{op}-u8", op, "opset13",
               [i(4, 5, low=0, high=256, dtype=np.uint8), i(1, low=0, high=256, dtype=np.uint8)])
    w.case("BitwiseNot-boolean", "BitwiseNot", "opset13", [b(9)])
    w.case("BitwiseNot-i32", "BitwiseNot", "opset13", [i(9, dtype=np.int32)])
    w.case("BitwiseNot-u8", "BitwiseNot", "opset13", [i(9, low=0, high=256, dtype=np.uint8)])
    w.case("Select", "Select", "opset1", [b(3, 4), f(3, 4), f(3, 4)])
    w.case("Select-broadcast", "Select", "opset1", [b(2, 1, 4), f(3, 1), f()])
    w.case("Select-i64", "Select", "opset1", [b(2, 3), i(2, 3), i(3)])
    w.case("Select-u8", "Select", "opset1", [b(2, 3), i(1, 3, low=0, dtype=np.uint8), i(2, 1, low=0, dtype=np.uint8)])


def unary(w):
    ranges = {"Sqrt": (0, 9), "Log": (0.01, 9), "Exp": (-20, 20), "Sin": (-20, 20), "Cos": (-20, 20)}
    for op in "Abs Negative Sqrt Exp Log Erf Sin Cos Tanh Sigmoid Relu".split():
        low, high = ranges.get(op, (-5, 5))
        w.case(op, op, "opset1", [f(5, 9, low=low, high=high)])
    w.case("Abs-i32", "Abs", "opset1", [i(9, dtype=np.int32)])
    w.case("Negative-i32", "Negative", "opset1", [i(9, dtype=np.int32)])
    w.case("Relu-i32", "Relu", "opset1", [i(9, dtype=np.int32)])
    w.case("Tanh-wide", "Tanh", "opset1", [f(40, low=-20, high=20)])
    for mode in ("ERF", "TANH"):
        w.case(f"Gelu-{mode}", "Gelu", "opset7", [f(5, 9, low=-6, high=6)], {"approximation_mode": mode})
    w.case("Gelu-opset2", "Gelu", "opset2", [f(5, 9, low=-6, high=6)])
    w.case("Swish", "Swish", "opset4", [f(5, 9, low=-6, high=6)])
    w.case("Swish-beta", "Swish", "opset4", [f(5, 9, low=-6, high=6), n(1.7, np.float32)], constant=(1,))
    w.case("Clamp", "Clamp", "opset1", [f(5, 9)], {"min": -0.5, "max": 1.25})
    w.case("Clamp-i32", "Clamp", "opset1", [i(20, dtype=np.int32)], {"min": -2.5, "max": 3.5})
    fractions = np.float32([0.0, -0.0, 0.4, 0.5, 1.5, -0.5, -1.5, 2.7, -2.7, 100.9, -100.9])
    for to in "i32 i64 i8 boolean f32".split():
        w.case(f"Convert-f32-{to}", "Convert", "opset1", [fractions], {"destination_type": to})
    w.case("Convert-f32-u8", "Convert", "opset1", [np.abs(fractions)], {"destination_type": "u8"})
    for source in (np.int64, np.int32, np.int8):
        for to in "f32 i32 i64 boolean".split():
            w.case(f"Convert-{TYPES[np.dtype(source).name]}-{to}", "Convert", "opset1",
                   [i(9, low=-100, high=100, dtype=source)], {"destination_type": to})
    w.case("Convert-i32-u8-wraps", "Convert", "opset1", [ids(-1, 256, 255, 1000, -300, dtype=np.int32)],
           {"destination_type": "u8"})
    w.case("Convert-i32-i8-wraps", "Convert", "opset1", [ids(-1, 128, 255, 1000, -300, dtype=np.int32)],
           {"destination_type": "i8"})
    w.case("Convert-u8-f32", "Convert", "opset1", [i(9, low=0, high=256, dtype=np.uint8)], {"destination_type": "f32"})
    w.case("Convert-boolean-f32", "Convert", "opset1", [b(9)], {"destination_type": "f32"})
    w.case("Convert-boolean-i64", "Convert", "opset1", [b(9)], {"destination_type": "i64"})
    w.case("Convert-f16-f32", "Convert", "opset1", [f(9).astype(np.float16)], {"destination_type": "f32"}, (0,))
    w.case("Convert-f64-f32", "Convert", "opset1", [f(9).astype(np.float64)], {"destination_type": "f32"}, (0,))
    w.case("Convert-u4-f32", "Convert", "opset1", [Packed("u4", [3, 5], list(range(15)))], {"destination_type": "f32"})
    w.case("Convert-i4-f32", "Convert", "opset1", [Packed("i4", [3, 5], list(range(-8, 7)))],
           {"destination_type": "f32"})
    w.case("Convert-bf16-f32", "Convert", "opset1", [Packed("bf16", [4], [1.0, -2.5, 0.15625, 3.0])],
           {"destination_type": "f32"})
    def c(value):
        return np.array(value, np.float32)
    w.case("FakeQuantize-tensor", "FakeQuantize", "opset1",
           [f(4, 30, low=-3, high=3), c(-2.1), c(2.05), c(-2.1), c(2.05)], {"levels": 256}, (1, 2, 3, 4))
    w.case("FakeQuantize-rescale", "FakeQuantize", "opset1",
           [f(4, 30, low=-3, high=3), c(-2.1), c(2.05), c(-1), c(3)], {"levels": 16}, (1, 2, 3, 4))
    w.case("FakeQuantize-channel", "FakeQuantize", "opset1",
           [f(3, 10), f(3, 1, low=-2, high=-1), f(3, 1, low=1, high=2),
            f(3, 1, low=-2, high=-1), f(3, 1, low=1, high=2)],
           {"levels": 255}, (1, 2, 3, 4))
    w.case("FakeQuantize-swapped", "FakeQuantize", "opset1",
           [f(20), c(1), c(-1), c(-1), c(1)], {"levels": 256}, (2, 3, 4))
    w.case("FakeQuantize-ties", "FakeQuantize", "opset1",
           [c([0.5, 1.5, 2.5, 3.5, 254.5]), c(0), c(255), c(0), c(255)], {"levels": 256}, (1, 2, 3, 4))
    w.case("FakeQuantize-mixed", "FakeQuantize", "opset1",
           [f(2, 3, 10), c([[-1.5]]), c([[1.5]]), f(1, 10, low=-2, high=-1), f(1, 10, low=1, high=2)],
           {"levels": 256}, (1, 2, 3, 4))


def linear(w):
    def matmul(name, a, b, ta=False, tb=False):
        w.case(f"MatMul-{name}", "MatMul", "opset1", [a, b], {"transpose_a": ta, "transpose_b": tb})
    matmul("plain", f(5, 7), f(7, 11))
    matmul("b", f(5, 7), f(11, 7), tb=True)
    matmul("a", f(7, 5), f(7, 11), ta=True)
    matmul("ab", f(7, 5), f(11, 7), True, True)
    matmul("batch", f(2, 3, 4, 5), f(2, 3, 5, 6))
    matmul("batch-broadcast", f(2, 1, 4, 5), f(3, 5, 6))
    matmul("batch-b", f(2, 3, 4, 5), f(1, 3, 6, 5), tb=True)
    matmul("weights", f(2, 3, 20), f(9, 20), tb=True)
    matmul("vector-left", f(5), f(2, 5, 3))
    matmul("vector-right", f(2, 4, 5), f(5))
    matmul("vectors", f(5), f(5))
    matmul("column", f(4, 1), f(1, 3))

    def sdpa(name, *inputs, causal=False):
        w.case(f"SDPA-{name}", "ScaledDotProductAttention", "opset13", list(inputs), {"causal": causal})
    q, k, v = f(2, 3, 4, 8), f(2, 3, 6, 8), f(2, 3, 6, 8)
    sdpa("plain", q, k, v)
    sdpa("float-mask", q, k, v, f(2, 1, 4, 6))
    sdpa("mask-2d", q, k, v, f(4, 6))
    sdpa("mask-row", q, k, v, f(2, 1, 1, 6))
    some = rng.integers(0, 2, (2, 1, 4, 6)).astype(bool)
    some[..., 0] = True
    sdpa("boolean-mask", q, k, v, some)
    sdpa("scale", q, k, v, f(2, 1, 4, 6), n(0.3, np.float32))
    sdpa("causal", q, f(2, 3, 4, 8), f(2, 3, 4, 8), causal=True)
    sdpa("causal-wide", q, k, v, causal=True)
    sdpa("causal-scale", q, k, v, n(0.0, np.float32), n(0.3, np.float32), causal=True)
    sdpa("causal-hides-mask", q, k, v, f(2, 1, 4, 6), causal=True)  # the mask is not read
    sdpa("rank-3", f(2, 4, 8), f(2, 6, 8), f(2, 6, 8))
    sdpa("widths", f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 6))

    for mode in ("inside_sqrt", "outside_sqrt"):
        for axes in ([-1], [1, 2]):
            w.case(f"MVN-{mode}-{len(axes)}", "MVN", "opset6", [f(2, 3, 16), ids(*axes)],
                   {"eps": 0.01, "eps_mode": mode, "normalize_variance": True}, (1,))
    w.case("MVN-mean", "MVN", "opset6", [f(3, 16), ids(1)],
           {"eps": 1e-5, "eps_mode": "inside_sqrt", "normalize_variance": False}, (1,))
    for axis in (-1, 0, 1):
        w.case(f"Softmax8-{axis}", "Softmax", "opset8", [f(3, 4, 5, low=-4, high=4)], {"axis": axis})
    w.case("Softmax8-hidden", "Softmax", "opset8", [np.float32([[0, 1, -65504, 2], [-np.inf, 1, 2, -np.inf]])],
           {"axis": 1})
    for axis in (0, 2):
        w.case(f"Softmax1-{axis}", "Softmax", "opset1", [f(3, 4, 5, low=-4, high=4)], {"axis": axis})
    for mode in ("add", "max"):
        for axes in ([1], [0, 2], [-1]):
            w.case(f"NormalizeL2-{mode}-{len(axes)}{axes[0]}", "NormalizeL2", "opset1", [f(2, 3, 4), ids(*axes)],
                   {"eps": 0.1, "eps_mode": mode}, (1,))
    for op in "ReduceMean ReduceSum ReduceProd ReduceMax ReduceMin ReduceL2".split():
        opset = "opset4" if op == "ReduceL2" else "opset1"
        for keep in (False, True):
            w.case(f"{op}-last-{keep}", op, opset, [f(2, 3, 7), ids(-1)], {"keep_dims": keep}, (1,))
        w.case(f"{op}-two", op, opset, [f(2, 3, 4), ids(0, 2)], {"keep_dims": False}, (1,))
        w.case(f"{op}-all", op, opset, [f(2, 3, 4), ids(0, 1, 2)], {"keep_dims": False}, (1,))
        w.case(f"{op}-scalar-axis", op, opset, [f(3, 4), n(0)], {"keep_dims": True}, (1,))
        w.case(f"{op}-empty", op, opset, [f(2, 0), ids(1)], {"keep_dims": False}, (1,))
        if op != "ReduceL2":
            w.case(f"{op}-i32", op, opset, [i(3, 5, low=1, high=6, dtype=np.int32), ids(1)], {"keep_dims": False}, (1,))
    w.case("ReduceMean-negative", "ReduceMean", "opset1", [ids(-3, -4, dtype=np.int32), ids(0)],
           {"keep_dims": False}, (1,))
    for exclusive in (False, True):
        for reverse in (False, True):
            w.case(f"CumSum-{exclusive}-{reverse}", "CumSum", "opset3", [f(2, 5, 3), n(1)],
                   {"exclusive": exclusive, "reverse": reverse}, (1,))
    w.case("CumSum-i64", "CumSum", "opset3", [i(3, 6), n(-1)], {"exclusive": False, "reverse": False}, (1,))


def movement(w):
    x = f(2, 3, 4)
    w.case("ShapeOf-i64", "ShapeOf", "opset3", [x], {"output_type": "i64"})
    w.case("ShapeOf-i32", "ShapeOf", "opset3", [x], {"output_type": "i32"})
    w.case("ShapeOf-opset1", "ShapeOf", "opset1", [x])
    w.case("Reshape", "Reshape", "opset1", [x, ids(4, -1)], {"special_zero": False}, (1,))
    w.case("Reshape-zero", "Reshape", "opset1", [x, ids(0, -1, 2)], {"special_zero": True}, (1,))
    w.case("Reshape-i32", "Reshape", "opset1", [i(2, 3, dtype=np.int32), ids(6)], {"special_zero": True}, (1,))
    w.case("Transpose", "Transpose", "opset1", [f(2, 3, 4, 5), ids(0, 2, 1, 3)], constant=(1,))
    w.case("Transpose-last", "Transpose", "opset1", [x, ids(2, 0, 1)], constant=(1,))
    w.case("Transpose-reverse", "Transpose", "opset1", [x, np.zeros(0, np.int64)], constant=(1,))
    w.case("Transpose-boolean", "Transpose", "opset1", [b(3, 4), ids(1, 0)], constant=(1,))
    w.case("Squeeze", "Squeeze", "opset1", [f(1, 3, 1, 4), ids(0, 2)], constant=(1,))
    w.case("Squeeze-all", "Squeeze", "opset1", [f(1, 3, 1, 4)], constant=(0,))
    w.case("Squeeze15", "Squeeze", "opset15", [f(1, 3, 1, 4), ids(-2)], {"allow_axis_skip": False}, (1,))
    w.case("Squeeze15-skip", "Squeeze", "opset15", [f(1, 3, 1, 4), ids(0, 1)], {"allow_axis_skip": True}, (0, 1))
    w.case("Unsqueeze", "Unsqueeze", "opset1", [f(3, 4), ids(0, 2)], constant=(1,))
    w.case("Unsqueeze-negative", "Unsqueeze", "opset1", [f(3, 4), ids(-1)], constant=(1,))
    w.case("Concat", "Concat", "opset1", [f(2, 3, 2), f(2, 1, 2), f(2, 4, 2)], {"axis": 1})
    w.case("Concat-last", "Concat", "opset1", [f(2, 3), f(2, 3)], {"axis": -1})
    w.case("Concat-i64", "Concat", "opset1", [ids(1), ids(2, 3), ids(4)], {"axis": 0})
    w.case("Split", "Split", "opset1", [f(2, 6, 3), n(1)], {"num_splits": 3}, (1,))
    w.case("Split-last", "Split", "opset1", [f(2, 6), n(-1)], {"num_splits": 2}, (1,))
    w.case("VariadicSplit", "VariadicSplit", "opset1", [f(2, 7, 3), n(1), ids(2, 4, 1)], constant=(1, 2))
    w.case("VariadicSplit-rest", "VariadicSplit", "opset1", [f(7, 2), n(0), ids(3, -1)], constant=(1, 2))

    def cut(name, data, start, stop, step, axes=None):
        inputs = [data, ids(*start), ids(*stop), ids(*step)] + ([ids(*axes)] if axes else [])
        w.case(f"Slice-{name}", "Slice", "opset8", inputs, constant=(1, 2, 3, 4))
    cut("plain", f(4, 6), [1], [3], [1])
    cut("axes", f(4, 6, 3), [2, 0], [5, 2], [1, 1], [1, -1])
    cut("negative", f(4, 6), [-3], [-1], [1], [1])
    cut("open", f(4, 6), [2], [2147483647], [1], [-1])
    cut("step", f(4, 9), [1], [9], [3], [1])
    cut("back", f(4, 9), [-1], [-2147483648], [-2], [1])
    cut("back-part", f(4, 9), [7], [1], [-3], [1])
    cut("i64", i(9), [2], [7], [2], [0])

    def strided(name, data, first, last, strides, **masks):
        attrs = {f"{key}_mask": masks.get(key, [0] * (len(first) if key in ("begin", "end") else 0))
                 for key in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")}
        w.case(f"StridedSlice-{name}", "StridedSlice", "opset1",
               [data, ids(*first), ids(*last), ids(*strides)], attrs, (1, 2, 3))
    strided("plain", f(4, 6), [1, 2], [3, 5], [1, 1])
    strided("masks", f(4, 6), [1, 2], [3, 5], [1, 1], begin=[1, 0], end=[0, 1])
    strided("steps", f(4, 9), [0, 8], [4, 0], [2, -3])
    strided("back", f(9), [0], [0], [-1], begin=[1], end=[1])
    strided("shrink", f(4, 6, 3), [2, 1], [3, 5], [1, 2], shrink_axis=[1, 0])
    strided("shrink-negative", f(4, 6), [0, -1], [0, 0], [1, 1], begin=[1, 0], end=[1, 0], shrink_axis=[0, 1])
    strided("new-axis", f(4, 6), [0, 1, 2], [0, 3, 5], [1, 1, 1], new_axis=[1, 0, 0])
    strided("ellipsis", f(2, 3, 4, 5), [0, 1], [0, 4], [1, 1], begin=[0, 0], end=[0, 0], ellipsis=[1, 0])
    strided("ellipsis-middle", f(2, 3, 4, 5), [1, 0, 1], [2, 0, 4], [1, 1, 2], ellipsis=[0, 1, 0])
    strided("ellipsis-new", f(3, 4), [0, 0], [0, 0], [1, 1], begin=[1, 1], end=[1, 1], ellipsis=[1, 0], new_axis=[0, 1])
    strided("short", f(4, 6, 2), [1], [3], [1])

    def gather(name, opset, data, indices, axis, **attrs):
        w.case(f"Gather-{name}", "Gather", opset, [data, indices, n(axis)], attrs, (2,))
    gather("rows", "opset8", f(7, 5), ids(3, 0, 6, 3), 0, batch_dims=0)
    gather("matrix", "opset8", f(7, 5), ids(3, -1, 6, -7).reshape(2, 2), 0, batch_dims=0)
    gather("last", "opset8", f(2, 3, 5), ids(4, 1), -1, batch_dims=0)
    gather("scalar", "opset8", ids(5, 6, 7), n(2), 0, batch_dims=0)
    gather("batch", "opset8", f(2, 5, 3), i(2, 4, low=-5, high=5), 1, batch_dims=1)
    gather("batch-2", "opset8", f(2, 3, 5), i(2, 3, 4, low=0, high=5), 2, batch_dims=-1)
    gather("batch-outer", "opset8", f(2, 3, 5), i(2, 4, low=0, high=5), 2, batch_dims=1)
    gather("i32", "opset8", i(6, 2, dtype=np.int32), ids(1, 5, dtype=np.int32), 0, batch_dims=0)
    gather("opset7", "opset7", f(2, 5, 3), i(2, 4, low=0, high=5), 1, batch_dims=1)
    gather("opset1", "opset1", f(7, 5), ids(3, 0, 6), 0)

    def broadcast(name, opset, data, target, mode, axes=None):
        inputs = [data, ids(*target)] + ([ids(*axes)] if axes else [])
        w.case(f"Broadcast-{name}", "Broadcast", opset, inputs, {"mode": mode}, (1, 2))
    broadcast("numpy", "opset3", f(3, 1), [2, 3, 4], "numpy")
    broadcast("scalar", "opset3", f(), [2, 3], "numpy")
    broadcast("bidirectional", "opset3", f(3, 1, 4), [2, 1, 5, 1], "bidirectional")
    broadcast("bidirectional-short", "opset3", f(2, 3, 4), [3, 1], "bidirectional")
    broadcast("explicit", "opset3", f(3, 4), [3, 2, 4], "explicit", [0, 2])
    broadcast("boolean", "opset3", b(1, 4), [3, 4], "numpy")
    broadcast("opset1", "opset1", f(3, 1), [2, 3, 4], "numpy")
    broadcast("opset1-explicit", "opset1", f(3), [3, 2], "explicit", [0])
    w.case("Tile", "Tile", "opset1", [f(2, 3), ids(2, 2)], constant=(1,))
    w.case("Tile-longer", "Tile", "opset1", [f(2, 3), ids(2, 1, 3)], constant=(1,))
    w.case("Tile-shorter", "Tile", "opset1", [f(2, 2, 3), ids(2)], constant=(1,))
    for mode in "constant edge reflect symmetric".split():
        w.case(f"Pad-{mode}", "Pad", "opset1", [f(3, 4), ids(2, 1), ids(1, 2)], {"pad_mode": mode}, (1, 2))
    w.case("Pad-value", "Pad", "opset1", [f(3, 4), ids(0, 1), ids(1, 0), n(7.5, np.float32)],
           {"pad_mode": "constant"}, (1, 2, 3))
    w.case("Pad-i32", "Pad", "opset1", [i(3, dtype=np.int32), ids(1), ids(2), n(-1, np.int32)],
           {"pad_mode": "constant"}, (1, 2, 3))
    w.case("Pad12-negative", "Pad", "opset12", [f(4, 5), ids(-1, 1), ids(1, -2)], {"pad_mode": "constant"}, (1, 2))
    w.case("Pad12-edge", "Pad", "opset12", [f(3, 4), ids(1, 0), ids(0, 1)], {"pad_mode": "edge"}, (1, 2))

    def span(name, start, stop, step, to, dtype):
        w.case(f"Range-{name}", "Range", "opset4", [n(start, dtype), n(stop, dtype), n(step, dtype)],
               {"output_type": to})
    span("i64", 2, 11, 3, "i64", np.int64)
    span("back", 5, -3, -2, "i32", np.int32)
    span("f32", 0.5, 3.1, 0.7, "f32", np.float32)
    span("i64-f32", 0, 6, 1, "f32", np.int64)
    span("f32-i64", 0.0, 6.0, 2.0, "i64", np.float32)


def main():
    w = Writer()
    for part in (elementwise, unary, linear, movement):
        part(w)
    w.write(sys.argv[1])
    print(f"{w.count} cases, {len(w.data)} bytes of tensors", file=sys.stderr)


main()
