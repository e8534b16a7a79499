#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of incise against OpenVINO f32 in one process, interleaved round by round.

usage: compare.py LIBINCISE BASE MODEL... [--batch 32] [--length 128] [--rounds 20] [--threads 2] [--isa N]
           [--compute auto] [--openvino base|all|none] [--scaling]
BASE and MODELs are IR folders with [batch, length] inputs. incise runs all, OpenVINO (f32, same threads) BASE, or all
too. Each round runs every contestant once. Printed: median and best sequences per second, and the median of the
per-round ratios to OpenVINO on BASE and to incise on BASE. Needs the venv of scripts/venv (numpy, openvino).
"""
import argparse
import os
import statistics
import time

from engines import Incise, OpenVINO, fixed_inputs


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
    parser.add_argument("--openvino", choices=["base", "all", "none"], default="base", help="the models that it runs")
    parser.add_argument("--scaling", action="store_true", help="run BASE with one thread, too")
    args = parser.parse_args()
    inputs = fixed_inputs(args.batch, args.length)
    names = [os.path.basename(model.rstrip("/")) for model in args.models]
    theirs = {"base": 1, "all": len(names), "none": 0}[args.openvino]
    runners = {f"OpenVINO {name}": OpenVINO(model, args.threads) for name, model in zip(names[:theirs], args.models)}
    for name, model in zip(names, args.models):
        runners[f"incise {name}"] = Incise(model, args.threads, args.library, args.isa, args.compute)
    if args.scaling:
        runners["incise, one thread"] = Incise(args.models[0], 1, args.library, args.isa, args.compute, pin=0)
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
    base = f"incise {names[0]}"
    rival = next(iter(times))
    print(f"{args.batch}x{args.length}, {args.threads} threads, {args.rounds} interleaved rounds")
    print(f"{'':40}{'median/s':>10}{'best/s':>10}{'x ' + rival:>24}{'x ' + base:>24}")
    for name, own in times.items():
        against = [statistics.median(o / t for o, t in zip(times[other], own)) for other in (rival, base)]
        rates = f"{args.batch / statistics.median(own):10.1f}{args.batch / min(own):10.1f}"
        print(f"{name:40}{rates}{against[0]:24.2f}{against[1]:24.2f}")


if __name__ == "__main__":
    main()
