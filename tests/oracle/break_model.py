# SPDX-License-Identifier: Apache-2.0
"""A BERT that computes what it did before, but that plain INT8 breaks.

usage: break_model.py MODEL OUT [--every N] [--factor F]
Every N-th channel of the values of attention is multiplied by F, and the output projection divides by it again. Rows of
such channels leave the others few of the 256 steps. Made to see `incise quantize --require` recover (docs/quality.md).
"""
import argparse
import re
import shutil
from pathlib import Path

import numpy as np
import openvino as ov

VALUE, OUTPUT = r"attention\.self\.value/.*MatMul$", r"attention\.output\.dense/.*MatMul$"


def multiply(node, index, factors):
    """Multiplies the constant that is input `index` of the node."""
    data = node.input_value(index).get_node().get_data() * factors
    node.input(index).replace_source_output(ov.opset8.constant(data.astype(np.float32)).output(0))


def bias_of(matmul):
    """The Add behind a MatMul, and which of its inputs is the constant."""
    add = next(iter(matmul.output(0).get_target_inputs())).get_node()
    constant = [i for i in (0, 1) if add.input_value(i).get_node().get_type_name() == "Constant"]
    if add.get_type_name() != "Add" or len(constant) != 1:
        raise SystemExit(f"{matmul.get_friendly_name()}: no bias behind it")
    return add, constant[0]


def break_attention(model, every, factor):
    """Number of layers that were changed."""
    matmuls = [node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"]
    values = [node for node in matmuls if re.search(VALUE, node.get_friendly_name())]
    outputs = [node for node in matmuls if re.search(OUTPUT, node.get_friendly_name())]
    for value, output in zip(values, outputs, strict=True):
        width = value.input_value(1).get_shape()[0]  # weights are [out, in]
        factors = np.where(np.arange(width) % every == 3 % every, factor, 1.0)
        multiply(value, 1, factors[:, None])
        multiply(*bias_of(value), factors)
        multiply(output, 1, 1 / factors)
    return len(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of an IR with float weights, as `incise convert` writes it")
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--factor", type=float, default=100)
    arguments = parser.parse_args()
    model = ov.Core().read_model(arguments.model / "openvino_model.xml")
    layers = break_attention(model, arguments.every, arguments.factor)
    if layers == 0:
        raise SystemExit(f"{arguments.model}: no attention of a BERT in it")
    shutil.copytree(arguments.model, arguments.out, ignore=shutil.ignore_patterns("openvino_model.*"))
    ov.save_model(model, arguments.out / "openvino_model.xml", compress_to_fp16=False)
    print(f"{arguments.out}: {layers} layers changed")


if __name__ == "__main__":
    main()
