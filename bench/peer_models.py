#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the models that the rivals of peers.py run, each with the rival's own tools.

usage: peer_models.py KIND SOURCE OUT [TOKENIZER TEXTS]    (needs the venv of scripts/venv --peers)
  ov-int8-weights  IR -> IR: nncf.compress_weights INT8_ASYM, activations quantized at run time
  ov-int8          IR -> IR: nncf.quantize for transformers (SmoothQuant) calibrated on TEXTS
  onnx-zeros       ONNX OUT given -> the same file with the zeros of the IR SOURCE in its MatMul weights
  onnx-dynamic     ONNX -> ONNX: onnxruntime quantize_dynamic, per channel
  onnx-static      ONNX -> ONNX: onnxruntime quantize_static calibrated on TEXTS, in the QLinearMatMul form that
                   DeepSparse runs on integers (of QuantizeLinear pairs it makes float); attention products stay float
  onnx-attention   the same with attention products
  onnx-mixed       the same as onnx-attention, with the FFN's second MatMul in float: MiniLM needs that for a cosine
                   above 0.99
"""
import os
import sys

import numpy as np

CALIBRATION_TEXTS = 200
MAX_LENGTH = 256


def calibration(tokenizer, texts):
    """One batch a text: [1, length]."""
    from tokenizers import Tokenizer

    from engines import padded_inputs
    encoder = Tokenizer.from_file(tokenizer)
    encoder.no_padding()
    encoder.enable_truncation(MAX_LENGTH)
    with open(texts, encoding="utf-8") as lines:
        for _, line in zip(range(CALIBRATION_TEXTS), lines):
            yield padded_inputs([encoder.encode(line.rstrip("\n")).ids])


def read_ir(folder):
    import openvino as ov
    return ov.Core().read_model(os.path.join(folder, "openvino_model.xml"))


def save_ir(model, folder):
    import openvino as ov
    os.makedirs(folder)
    ov.save_model(model, os.path.join(folder, "openvino_model.xml"), compress_to_fp16=False)


def ov_int8_weights(source, out):
    import nncf
    save_ir(nncf.compress_weights(read_ir(source), mode=nncf.CompressWeightsMode.INT8_ASYM), out)


def ov_int8(source, out, tokenizer, texts):
    import nncf
    model = read_ir(source)
    names = [port.get_any_name() for port in model.inputs]
    samples = [{name: inputs[name] for name in names} for inputs in calibration(tokenizer, texts)]
    save_ir(nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER,
                          subset_size=len(samples)), out)


def matmul_weights(model):
    """Initializers [in, out] that a MatMul multiplies with."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    return [known[node.input[1]] for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in known]


def onnx_zeros(source, out):
    """Finds each weight by its shape and values: pruning sets blocks to zero and changes nothing else."""
    import onnx
    from onnx import numpy_helper
    pruned = [op.data for op in read_ir(source).get_ops() if op.get_type_name() == "Constant" and op.data.ndim == 2]
    model = onnx.load(out)
    for tensor in matmul_weights(model):
        weight = numpy_helper.to_array(tensor).T
        (match,) = [p for p in pruned
                    if p.shape == weight.shape and p.any() and np.array_equal(p[p != 0], weight[p != 0])]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(match.T), tensor.name))
    onnx.save(model, out)


def onnx_dynamic(source, out):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(source, out, weight_type=QuantType.QInt8, per_channel=True)


def onnx_static(source, out, tokenizer, texts, attention=False, exclude=()):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    names = [port.name for port in onnx.load(source).graph.input]

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.samples = ({name: inputs[name] for name in names} for inputs in calibration(tokenizer, texts))

        def get_next(self):
            return next(self.samples, None)

    quantize_static(source, out, Reader(), quant_format=QuantFormat.QOperator, op_types_to_quantize=["MatMul"],
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=list(exclude),
                    extra_options={"MatMulConstBOnly": not attention})


def onnx_attention(source, out, tokenizer, texts):
    onnx_static(source, out, tokenizer, texts, attention=True)


def onnx_mixed(source, out, tokenizer, texts):
    import onnx
    seconds = [node.name for node in onnx.load(source).graph.node
               if node.name.endswith("/output/dense/MatMul") and "attention" not in node.name]
    onnx_static(source, out, tokenizer, texts, attention=True, exclude=seconds)


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
