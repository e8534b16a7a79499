#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of incise against OpenVINO f32 in one process, interleaved round by round.

usage: compare.py LIBINCISE BASE MODEL... [--batch 32] [--length 128] [--rounds 20] [--threads 2] [--isa N] [--compute auto]
BASE and MODELs are IR folders with [batch, length] inputs. OpenVINO (f32, same threads) runs BASE; incise runs all. Each
round runs every contestant once. Printed: median and best sequences per second, and the median of the per-round ratios to
OpenVINO and to incise on BASE. Needs the venv of scripts/venv (numpy, openvino).
"""
import argparse
import ctypes as c
import os
import statistics
import time

import numpy as np
import openvino as ov


class EngineOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("threads", c.c_int), ("isa", c.c_int), ("max_memory", c.c_size_t),
                ("pin_threads", c.c_int), ("allocate", c.c_void_p), ("release", c.c_void_p), ("user", c.c_void_p),
                ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int)]


class LoadOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("compute", c.c_int), ("reference", c.c_int)]


class Tensor(c.Structure):
    _fields_ = [("type", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * 8), ("data", c.c_void_p), ("bytes", c.c_size_t)]


class Port(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * 8)]


INT64 = 10  # INCISE_I64


class Incise:
    def __init__(self, library, model, threads, isa, compute, pin):
        self.lib = c.CDLL(library)
        options = EngineOptions()
        self.lib.incise_engine_options_init(c.byref(options))
        options.threads, options.isa, options.pin_threads = threads, isa, pin
        self.engine, self.model, self.session = c.c_void_p(), c.c_void_p(), c.c_void_p()
        self.check(self.lib.incise_engine_create(c.byref(options), c.byref(self.engine)))
        load = LoadOptions()
        self.lib.incise_load_options_init(c.byref(load))
        load.compute = ["auto", "float", "int8"].index(compute)
        self.check(self.lib.incise_model_load(self.engine, model.encode(), c.byref(load), c.byref(self.model)))
        self.check(self.lib.incise_session_create(self.model, c.byref(self.session)))

    @staticmethod
    def check(status):
        if status != 0:
            raise SystemExit(f"incise failed with status {status}")

    def bind(self, inputs):
        n = self.lib.incise_model_inputs(self.model)
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


class OpenVINO:
    def __init__(self, model, threads):
        self.compiled = ov.Core().compile_model(os.path.join(model, "openvino_model.xml"), "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1"})
        self.request = self.compiled.create_infer_request()

    def bind(self, inputs):
        for port in self.compiled.inputs:
            self.request.set_tensor(port, ov.Tensor(inputs[port.get_any_name()], shared_memory=True))

    def run(self):
        self.request.infer()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", type=int, default=-1)
    parser.add_argument("--compute", default="auto")
    parser.add_argument("--no-openvino", action="store_true")
    parser.add_argument("--scaling", action="store_true", help="run BASE with one thread, too")
    args = parser.parse_args()
    shape = (args.batch, args.length)
    ids = (np.arange(args.batch * args.length, dtype=np.int64) * 7919 % 20000 + 1000).reshape(shape)
    inputs = {"input_ids": ids, "attention_mask": np.ones(shape, np.int64), "token_type_ids": np.zeros(shape, np.int64),
              "position_ids": np.tile(np.arange(args.length, dtype=np.int64), (args.batch, 1))}
    runners = {} if args.no_openvino else {"OpenVINO f32": OpenVINO(args.models[0], args.threads)}
    for model in args.models:
        name = "incise " + os.path.basename(model.rstrip("/"))
        runners[name] = Incise(args.library, model, args.threads, args.isa, args.compute, 1)
    if args.scaling:
        runners["incise, one thread"] = Incise(args.library, args.models[0], 1, args.isa, args.compute, 0)
    for runner in runners.values():
        runner.bind(inputs)
        runner.run()
        runner.run()
    times = {name: [] for name in runners}
    for _ in range(args.rounds):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.run()
            times[name].append(time.perf_counter() - start)
    base = "incise " + os.path.basename(args.models[0].rstrip("/"))
    rival = next(iter(times))
    print(f"{args.batch}x{args.length}, {args.threads} threads, {args.rounds} interleaved rounds")
    print(f"{'':32}{'median/s':>10}{'best/s':>10}{'x ' + rival:>16}{'x ' + base:>32}")
    for name, own in times.items():
        against = [statistics.median(o / t for o, t in zip(times[other], own)) for other in (rival, base)]
        print(f"{name:32}{args.batch / statistics.median(own):10.1f}{args.batch / min(own):10.1f}{against[0]:16.2f}{against[1]:32.2f}")


if __name__ == "__main__":
    main()
