# SPDX-License-Identifier: Apache-2.0
"""Reads an IR with our reader, writes it with our writer, and lets OpenVINO judge the copy.

usage: ir_roundtrip.py IR_COPY [MODEL...]
IR_COPY: the program tests/oracle/ir_copy.c. MODEL: a folder with openvino_model.xml; without any, small models made
here that use every operation of src/graph/ops.def. The copy must give OpenVINO the same bits, names, shapes, layouts
and rt_info, and a copy of the copy must be the same files. Prints a line per model and `N passed, N failed`.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset1, opset2, opset7, opset12, opset15
from openvino import opset13 as op

CPU_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def const(values, dtype=np.int64):
    return op.constant(np.array(values, dtype))


def f32(values):
    return const(values, np.float32)


def packed(element_type, shape, random):
    """A 4-bit constant."""
    data = random.integers(0, 256, int(np.prod(shape)) // 2, dtype=np.uint8)
    return op.constant(ov.Tensor(data, shape, element_type))


def elementwise(x, ids):
    same = op.equal(ids, ids)
    return [op.add(x, f32(1.5)), op.subtract(x, x), op.multiply(x, f32([2.0])), op.divide(x, f32(2)),
            op.power(x, f32(2)),
            op.minimum(x, f32(0)), op.maximum(x, f32(0)), op.not_equal(ids, ids), op.greater(ids, const(3)),
            op.greater_equal(ids, const(3)), op.less(ids, const(3)), op.less_equal(ids, const(3)),
            op.logical_and(same, same), op.logical_or(same, same), op.logical_xor(same, same), op.logical_not(same),
            op.bitwise_and(ids, ids), op.bitwise_or(ids, ids), op.bitwise_not(ids), op.select(same, ids, const(7)),
            op.abs(x), op.negative(x), op.sqrt(op.abs(x)), op.exp(x), op.log(op.abs(x)), op.erf(x), op.sin(x),
            op.cos(x),
            op.tanh(x), op.sigmoid(x), op.relu(x), op.gelu(x, "tanh"), op.gelu(x, "erf"), opset2.gelu(x), op.swish(x),
            op.swish(x, f32(1.5)), op.clamp(x, -1.25, 3e38), op.convert(x, "f16"),
            op.fake_quantize(x, f32(-1), f32(1), f32(-1), f32(1), 255)]


def algebra(x, ids):
    return [op.matmul(x, x, False, True), op.matmul(x, f32(np.eye(8)), False, False),
            op.scaled_dot_product_attention(x, x, x, causal=True), op.mvn(x, const([3]), True, 1e-12, "INSIDE_SQRT"),
            op.softmax(x, -1), opset1.softmax(x, 3), op.normalize_l2(x, const([3]), 1e-12, "add"),
            op.reduce_mean(x, const([3]), True), op.reduce_sum(x, const([1, 3]), False),
            op.reduce_prod(ids, const([0]), False),
            op.reduce_max(x, const([3]), True), op.reduce_min(x, const([3]), True), op.reduce_l2(x, const([3]), True),
            op.cum_sum(ids, const(1), True, False)]


def movement(x, ids):
    unit = op.unsqueeze(x, const([0]))
    pads = const([0, 0, 0, 1])
    return [op.shape_of(x, "i32"), opset1.shape_of(x), op.reshape(x, const([0, -1]), True),
            op.reshape(x, const([-1, 8]), False), op.transpose(x, const([0, 2, 1, 3])), op.squeeze(unit, const([0])),
            opset15.squeeze(unit, const([0]), False), op.concat([x, x], -1), op.split(x, const(3), 2).output(0),
            op.variadic_split(x, const(3), const([3, 5])).output(1),
            op.slice(x, const([1]), const([7]), const([2]), const([3])),
            op.strided_slice(x, const([0, 0]), const([1, 1]), const([1, 1]), [0, 1], [1, 0], [0, 0], [0, 0], [0, 0]),
            op.gather(x, const([0, 2]), const(3)), opset7.gather(x, const([0]), const(3)),
            opset1.gather(x, const([0]), const(3)),
            op.broadcast(f32([1.0]), const([2, 2]), broadcast_spec="BIDIRECTIONAL"),
            opset1.broadcast(f32([1.0]), const([2, 2])),
            op.tile(x, const([1, 1, 1, 2])), op.pad(x, pads, pads, "constant", f32(0)),
            opset1.pad(x, pads, pads, "edge"),
            opset12.pad(x, pads, pads, "reflect"), op.range(const(0), const(5), const(1), "i64")]


def make_model(build):
    x = op.parameter(ov.PartialShape([-1, ov.Dimension(0, 10), ov.Dimension(2, -1), 8]), ov.Type.f32, name="x")
    ids = op.parameter([2, 3], ov.Type.i64, name="ids")
    x.output(0).set_names({"x", "comma, name", "back\\slash"})
    ids.output(0).set_names({"ids"})
    x.set_layout(ov.Layout("N...C"))
    model = ov.Model([op.result(node) for node in build(x, ids)], [x, ids], 'name <&> "quoted"')
    model.set_rt_info("line 1\nline 2", ["incise", "note"])
    model.set_rt_info("value", ["a key", "1 is no name"])
    return model


def make_compressed(random):
    """Weights as NNCF writes them, at every alignment: u8 with zero points, i4 in groups, u4, f16; a tied table."""
    ids = op.parameter([-1, -1], ov.Type.i64, name="ids")
    table = op.constant(random.integers(0, 256, (11, 16), dtype=np.uint8))
    zero = op.convert(op.constant(random.integers(0, 256, (11, 1), dtype=np.uint8)), "f16")
    scale = op.constant(random.standard_normal((11, 1)).astype(np.float16))
    table = op.convert(op.multiply(op.subtract(op.convert(table, "f16"), zero), scale), "f32")
    hidden = op.gather(table, ids, const(0))
    for element_type in (ov.Type.i4, ov.Type.u4):
        weight = op.convert(packed(element_type, [16, 2, 8], random), "f16")
        scale = op.constant(random.standard_normal((16, 2, 1)).astype(np.float16))
        weight = op.reshape(op.multiply(weight, scale), const([16, 16]), False)
        product = op.matmul(hidden, op.convert(weight, "f32"), False, True)
        hidden = op.add(product, f32(random.standard_normal((1, 1, 16))))
    logits = op.matmul(hidden, table, False, True)
    return ov.Model([op.result(logits), op.result(hidden)], [ids], "compressed")


def make_models(work):
    random = np.random.Generator(np.random.PCG64(1))
    models = {build.__name__: (make_model(build), False) for build in (elementwise, algebra, movement)}
    models["compressed"] = (make_compressed(random), False)
    x = op.parameter([-1, 3], ov.Type.f32, name="x")
    models["no-weights"] = (ov.Model([op.result(op.relu(x)), op.result(x)], [x], "no weights"), False)
    y = op.parameter([-1, 33], ov.Type.f32, name="y")
    weight = f32(random.standard_normal((5, 33)))
    models["saved-f16"] = (ov.Model([op.result(op.matmul(y, weight, False, True))], [y], "f16"), True)
    for name, (model, compress) in models.items():
        ov.save_model(model, work / name / "openvino_model.xml", compress_to_fp16=compress)
    return [work / name for name in models]


def make_input(port, random):
    sizes = {1: [2], 2: [2, 3]}.get(len(port.partial_shape), [2, 3, 4, 8])
    shape = [dim.get_length() if dim.is_static else size for dim, size in zip(port.partial_shape, sizes)]
    if port.element_type == ov.Type.f32:
        return random.standard_normal(shape).astype(np.float32)
    high = 2 if "mask" in port.any_name or "type" in port.any_name else 10
    return random.integers(1 if "mask" in port.any_name else 0, high, shape).astype(np.int64)


def describe_ports(ports):
    return [(sorted(port.names), str(port.partial_shape), str(port.element_type),
             str(ov.layout_helpers.get_layout(port)))
            for port in ports]


def plain(info):
    """rt_info as nested dictionaries of texts."""
    value = getattr(info, "value", info)
    return {key: plain(item) for key, item in value.items()} if hasattr(value, "items") else str(value)


def check(program, folder, work):
    copies = [work / "1", work / "2"]
    for source, copy in zip([folder, copies[0]], copies):
        done = subprocess.run([program, source, copy], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr.strip()
        dumps = done.stdout if copy == copies[0] else (dumps, done.stdout)
    assert dumps[0] == dumps[1], "the copy reads as another graph"
    for name in ("openvino_model.xml", "openvino_model.bin"):
        paths = [copy / name for copy in copies]
        assert paths[0].exists() == paths[1].exists(), name
        assert not paths[0].exists() or paths[0].read_bytes() == paths[1].read_bytes(), f"a second copy differs: {name}"
    core = ov.Core()
    old, new = (core.read_model(path / "openvino_model.xml") for path in (folder, copies[0]))
    assert describe_ports(old.inputs) == describe_ports(new.inputs), "inputs differ"
    assert describe_ports(old.outputs) == describe_ports(new.outputs), "outputs differ"
    assert plain(old.rt_info) == plain(new.rt_info), "rt_info differs"
    random = np.random.Generator(np.random.PCG64(2))
    inputs = [make_input(port, random) for port in old.inputs]
    results = [core.compile_model(model, "CPU", CPU_OPTIONS)(inputs) for model in (old, new)]
    for index in range(len(old.outputs)):
        theirs, ours = results[0][index], results[1][index]
        assert theirs.dtype == ours.dtype and theirs.tobytes() == ours.tobytes(), f"output {index} differs"
    return f"{len(old.get_ops())} ops, {len(old.outputs)} outputs"


def main():
    program = str(Path(sys.argv[1]).resolve())
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="incise-ir-") as work:
        folders = [Path(name) for name in sys.argv[2:]] or make_models(Path(work))
        for folder in folders:
            with tempfile.TemporaryDirectory(prefix="incise-ir-") as copies:
                try:
                    print(f"ok    ir {folder.name}: {check(program, folder, Path(copies))}", flush=True)
                    passed += 1
                except (AssertionError, RuntimeError) as error:
                    print(f"FAIL  ir {folder.name}: {error}", flush=True)
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
