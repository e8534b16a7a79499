# SPDX-License-Identifier: Apache-2.0
"""The contestants of compare.py and peers.py behind one interface: Engine(model, threads, ...), bind(inputs), run(),
output(). `inputs` maps input_ids, attention_mask, token_type_ids and position_ids to int64 [batch, length]; an engine
takes those that its model has. Packages are imported when an engine is made, since no environment holds all of them.
"""
import ctypes as c
import os

import numpy as np

INT64 = 10  # INCISE_I64
LAST_HIDDEN = "last_hidden_state"


# `rest` of both: fields that a later library has and the init function sets.
class EngineOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("threads", c.c_int), ("isa", c.c_int), ("max_memory", c.c_size_t),
                ("pin_threads", c.c_int), ("allocate", c.c_void_p), ("release", c.c_void_p), ("user", c.c_void_p),
                ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int), ("rest", c.c_char * 64)]


class LoadOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("compute", c.c_int), ("reference", c.c_int), ("rest", c.c_char * 64)]


class Tensor(c.Structure):
    _fields_ = [("type", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * 8), ("data", c.c_void_p),
                ("bytes", c.c_size_t)]


class Port(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * 8)]


class Peak(c.Structure):
    _fields_ = [("kernel", c.c_char_p), ("one_thread", c.c_double), ("all_threads", c.c_double)]


class Work(c.Structure):
    _fields_ = [("limit", c.c_int), ("operations", c.c_double), ("done", c.c_double), ("bytes", c.c_double)]


LIMIT_READ = 3  # INCISE_LIMIT_READ; those before it are of arithmetic


class Incise:
    """`isa`: a number of enum incise_isa, -1 = all; `compute`: auto, float, int8 or int8-attention."""

    def __init__(self, model, threads, library, isa=-1, compute="auto", pin=1):
        self.lib = c.CDLL(library)
        options = EngineOptions()
        self.lib.incise_engine_options_init(c.byref(options))
        options.threads, options.isa, options.pin_threads = threads, isa, pin
        self.engine, self.model, self.session = c.c_void_p(), c.c_void_p(), c.c_void_p()
        self.check(self.lib.incise_engine_create(c.byref(options), c.byref(self.engine)))
        load = LoadOptions()
        self.lib.incise_load_options_init(c.byref(load))
        load.compute = ["auto", "float", "int8", "int8-attention"].index(compute)
        self.check(self.lib.incise_model_load(self.engine, model.encode(), c.byref(load), c.byref(self.model)))
        self.check(self.lib.incise_session_create(self.model, c.byref(self.session)))

    @staticmethod
    def check(status):
        if status != 0:
            raise RuntimeError(f"incise failed with status {status}")

    def bind(self, inputs):
        n = self.lib.incise_model_inputs(self.model)
        self.held = inputs  # the tensors below point into these arrays
        self.inputs = (Tensor * n)()
        self.outputs = (Tensor * self.lib.incise_model_outputs(self.model))()
        for i in range(n):
            port = Port()
            self.lib.incise_model_input(self.model, c.c_size_t(i), c.byref(port))
            array = inputs[port.name.decode()]
            self.inputs[i].type, self.inputs[i].rank = INT64, 2
            self.inputs[i].dims[0], self.inputs[i].dims[1] = array.shape
            self.inputs[i].data, self.inputs[i].bytes = array.ctypes.data, array.nbytes

    def run(self):
        self.check(self.lib.incise_session_run(self.session, self.inputs, c.c_size_t(len(self.inputs)), self.outputs,
                                               c.c_size_t(len(self.outputs))))

    def least_seconds(self, seconds=0.2):
        """Of the last run: time of its products at the peak of their arithmetic, which is measured now."""
        peaks = []
        for limit in range(LIMIT_READ):
            peak = Peak()
            self.check(self.lib.incise_engine_peak(self.engine, limit, c.c_double(seconds / LIMIT_READ), c.byref(peak)))
            peaks.append(peak.all_threads)
        work, least = Work(), 0.0
        for i in range(self.lib.incise_model_ops(self.model)):
            self.lib.incise_session_work(self.session, c.c_size_t(i), c.byref(work))
            least += work.done / peaks[work.limit] if work.limit < LIMIT_READ else 0.0
        return least

    def output(self):
        tensor = self.outputs[0]
        shape = [tensor.dims[i] for i in range(tensor.rank)]
        floats = c.cast(tensor.data, c.POINTER(c.c_float))
        return np.ctypeslib.as_array(floats, (int(np.prod(shape)),)).reshape(shape)


class OpenVINO:
    """`properties` beside the number of threads; the default computes in float32."""

    def __init__(self, model, threads, properties=None):
        import openvino as ov
        self.ov = ov
        if os.path.isdir(model):
            model = os.path.join(model, "openvino_model.xml")
        chosen = {"INFERENCE_PRECISION_HINT": "f32"} if properties is None else properties
        self.compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": str(threads),
                                                               "NUM_STREAMS": "1", **chosen})
        self.request = self.compiled.create_infer_request()

    def bind(self, inputs):
        for port in self.compiled.inputs:
            self.request.set_tensor(port, self.ov.Tensor(inputs[port.get_any_name()], shared_memory=True))

    def run(self):
        self.request.infer()

    def output(self):
        return self.request.get_output_tensor(0).data


class OnnxRuntime:
    def __init__(self, model, threads):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def bind(self, inputs):
        self.feeds = {port.name: inputs[port.name] for port in self.session.get_inputs()}

    def run(self):
        self.result = self.session.run([LAST_HIDDEN], self.feeds)[0]

    def output(self):
        return self.result


class DeepSparse:
    """Compiles for each shape that is bound: without static shapes it falls back to ONNX Runtime silently."""

    def __init__(self, model, threads):
        self.model, self.threads, self.engines = model, threads, {}

    def compile(self, shape):
        import tempfile

        import onnx
        from deepsparse import Engine
        model = onnx.load(self.model)
        for port in list(model.graph.input) + list(model.graph.output):
            for dim, size in zip(port.type.tensor_type.shape.dim, shape):
                dim.dim_value = size
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        return Engine(path, batch_size=shape[0], num_cores=self.threads), [port.name for port in model.graph.input]

    def bind(self, inputs):
        shape = inputs["input_ids"].shape
        if shape not in self.engines:
            self.engines[shape] = self.compile(shape)
        self.engine, names = self.engines[shape]
        self.feeds = [np.ascontiguousarray(inputs[name]) for name in names]

    def run(self):
        self.result = self.engine.run(self.feeds, val_inp=False)

    def output(self):
        return next(array for array in self.result if array.ndim == 3)


ENGINES = {"incise": Incise, "openvino": OpenVINO, "onnxruntime": OnnxRuntime, "deepsparse": DeepSparse}


def fixed_inputs(batch, length):
    """Ids inside every vocabulary, all tokens real."""
    shape = (batch, length)
    ids = (np.arange(batch * length, dtype=np.int64) * 7919 % 20000 + 1000).reshape(shape)
    return {"input_ids": ids, "attention_mask": np.ones(shape, np.int64), "token_type_ids": np.zeros(shape, np.int64),
            "position_ids": np.tile(np.arange(length, dtype=np.int64), (batch, 1))}


def padded_inputs(rows):
    """Lists of ids, padded to the longest."""
    length = max(len(row) for row in rows)
    inputs = {name: np.zeros((len(rows), length), np.int64)
              for name in ("input_ids", "attention_mask", "token_type_ids", "position_ids")}
    for i, row in enumerate(rows):
        inputs["input_ids"][i, :len(row)] = row
        inputs["attention_mask"][i, :len(row)] = 1
        inputs["position_ids"][i] = np.arange(length)
    return inputs


def mean_pooled(tokens, mask):
    """[batch, length, width] -> unit vectors [batch, width]."""
    weights = mask[..., None].astype(np.float32)
    vectors = np.where(weights > 0, tokens, 0).sum(1) / weights.sum(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
