#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""incise and its rivals on the same models, texts and threads, in interleaved rounds; started by bench/peers.

Every contestant is a process of its own (peer_worker.py), stopped by SIGSTOP while another has its turn. A round runs
each once. Decides: the median of the per-round ratios to the fastest rival whose vectors have a mean cosine >= 0.99 to
those of the float model. Its 95 % interval is a bootstrap over rounds.
"""
import argparse
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines import fixed_inputs, padded_inputs
from report import cpu_name, write_between

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MIN_COSINE = 0.99
NATURAL = "natural lengths"  # a shape: real texts, sorted by length
NATURAL_TEXTS, NATURAL_LENGTH, NATURAL_BATCH = 1000, 256, 32
QUALITY_TEXTS = 64
ISAS = ["all", "avx2"]
ABOVE_AVX2 = r" (avx512\w*|avx_vnni\w*|amx_\w+)\b"  # flags there
VNNI_ONLY = "int8-attention"  # of incise's --compute
BF16 = "bf16"                 # of OpenVINO's precisions: not on AVX2


@dataclass
class Contestant:
    name: str
    engine: str
    model: str  # below build/peers/<model>
    twin: str   # the IR with the same weights in float32, against which quality is measured
    options: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)


@dataclass
class Work:
    name: str
    model: str
    shapes: list     # (batch, length), or NATURAL
    ours: list
    rivals: list


def twin_of(model):
    """block70-32x4-int8 -> block70-32x4, int8 -> fp32, block70-static.onnx -> block70-32x32."""
    if not model.startswith("block70"):
        return "fp32"
    return "block70-32x32" if model.endswith(".onnx") else model.removesuffix("-int8")


def incise(model, compute="auto"):
    label = f"incise {model}" if compute == "auto" else f"incise {model}, {compute}"
    return Contestant(label, "incise", model, twin_of(model), {"compute": compute})


def both_attentions(*models):
    """With float attention, as the models say, and with attention products of integers."""
    return [incise(model, compute) for model in models for compute in ("auto", VNNI_ONLY)]


def openvino(model, **properties):
    label = " ".join([f"OpenVINO {model}"] + list(properties.values()))
    return Contestant(label, "openvino", model, twin_of(model),
                      {"properties": {"INFERENCE_PRECISION_HINT": "f32", **properties}})


def onnxruntime(model):
    return Contestant(f"ONNX Runtime {model[:-5]}", "onnxruntime", model, twin_of(model))


def deepsparse(model):
    return Contestant(f"DeepSparse {model[:-5]}", "deepsparse", model, twin_of(model))


DENSE, SHORT = [(1, 128), (32, 128)], [(1, 16)]
OV_INT8 = [openvino("ov-int8-weights"), openvino("ov-int8"),
           openvino("ov-int8", INFERENCE_PRECISION_HINT=BF16)]
WORKS = [
    Work("FP32 dense", "minilm", DENSE, [incise("fp32")],
         [openvino("fp32"), onnxruntime("fp32.onnx"), deepsparse("fp32.onnx")]),
    Work("INT8 dense", "minilm", DENSE, both_attentions("int8") + [incise("int7")],
         OV_INT8 + [onnxruntime("dynamic.onnx"), deepsparse("attention.onnx"), deepsparse("mixed.onnx")]),
    Work("70 % 32x32, FP32", "minilm", [(32, 128)], [incise("block70-32x32"), incise("block70-32x4")],
         [openvino("block70-32x32"), deepsparse("block70.onnx")]),
    Work("70 % 32x32, INT8", "minilm", [(32, 128)], both_attentions("block70-32x32-int8", "block70-32x4-int8"),
         [deepsparse("block70-static.onnx"), deepsparse("block70-attention.onnx")]),
    Work("real texts, INT8", "minilm", [NATURAL], both_attentions("int8") + [incise("int7")], OV_INT8),
    Work("FP32 dense", "embeddinggemma", DENSE, [incise("fp32")], [openvino("fp32")]),
    Work("INT8 dense", "embeddinggemma", DENSE + SHORT, both_attentions("int8") + [incise("int7")], OV_INT8),
    Work("70 % of all linears, FP32", "embeddinggemma", [(1, 128), (32, 128)],
         [incise("block70-32x32"), incise("block70-32x4")], [openvino("fp32")]),
    Work("70 % of all linears, INT8", "embeddinggemma", [(1, 128), (32, 128)],
         both_attentions("block70-32x32-int8", "block70-32x4-int8"), OV_INT8),
]


# ---- models ----------------------------------------------------------------------------------------------------------

class Maker:
    """Makes the files of one model below build/peers, each once."""

    def __init__(self, model, source, pythons):
        self.folder, self.source, self.pythons = ROOT / "build" / "peers" / model, Path(source), pythons
        self.folder.mkdir(parents=True, exist_ok=True)
        self.texts = ROOT / "tests" / "data" / "passages.txt"

    def path(self, name):
        path = self.folder / name
        if not path.exists():
            print(f"peers: making {path.relative_to(ROOT)}", file=sys.stderr)
            partial = path.with_name("partial-" + name)
            subprocess.run(["rm", "-rf", partial], check=True)
            self.make(name, partial)
            partial.rename(path)
        return str(path)

    def make(self, name, out):
        def tool(*command):
            subprocess.run([ROOT / "build/release/incise", *command, "-o", out], check=True, stdout=subprocess.DEVNULL)

        def rival(kind, source, *rest):
            subprocess.run([self.pythons["peers"], HERE / "peer_models.py", kind, source, out, *rest], check=True,
                           stdout=subprocess.DEVNULL)

        texts = (self.source / "tokenizer.json", self.texts)
        if name == "fp32":
            tool("convert", self.source)
        elif name == "fp32.onnx":
            subprocess.run([self.pythons["export"], HERE / "export_onnx.py", self.source, out], check=True)
        elif name.endswith(("int8", "int7")) and not name.startswith("ov"):
            base, _, kind = name.rpartition("-")
            tool("quantize", self.path(base or "fp32"), "--weights", kind)
        elif name.startswith("block70-32"):
            tool("prune", self.path("fp32"), "--pattern", "block:" + name.split("-")[1], "--method", "magnitude",
                 "--sparsity", "0.7")
        elif name == "block70.onnx":
            subprocess.run(["cp", self.path("fp32.onnx"), out], check=True)
            rival("onnx-zeros", self.path("block70-32x32"))
        elif name == "ov-int8-weights":
            rival("ov-int8-weights", self.path("fp32"))
        elif name == "ov-int8":
            rival("ov-int8", self.path("fp32"), *texts)
        elif name == "dynamic.onnx":
            rival("onnx-dynamic", self.path("fp32.onnx"))
        elif name.removesuffix(".onnx").split("-")[-1] in ("static", "attention", "mixed"):
            base, kind = name.rsplit("-", 1) if "-" in name else ("fp32", name)
            rival("onnx-" + kind.removesuffix(".onnx"), self.path(base + ".onnx"), *texts)
        else:
            raise SystemExit(f"peers: nothing makes '{name}'")


# ---- contestants -----------------------------------------------------------------------------------------------------

def as_if_avx2():
    """A prefix of commands: neither CPUID nor /proc/cpuinfo tells them of anything above AVX2. Who chooses kernels asks
    one of the two; variables like ONEDNN_MAX_CPU_ISA and NM_ARCH do not hold all of a rival."""
    path = ROOT / "build" / "peers" / "cpuinfo"
    path.write_text(re.sub(ABOVE_AVX2, "", Path("/proc/cpuinfo").read_text()))
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount --bind "$0" /proc/cpuinfo && exec "$@"', path,
            "env", f"LD_PRELOAD={ROOT}/build/release/libavx2_only.so"]


class Worker:
    def __init__(self, contestant, maker, args, isa):
        options = dict(contestant.options)
        if contestant.engine == "incise":
            options.update(library=str(ROOT / "build/release/libincise.so"))
        run = as_if_avx2() if isa == "avx2" else []
        python = maker.pythons["deepsparse" if contestant.engine == "deepsparse" else "peers"]
        request = {"engine": contestant.engine, "model": maker.path(contestant.model), "threads": args.threads,
                   "options": options}
        self.name = contestant.name
        self.process = subprocess.Popen([*run, python, HERE / "peer_worker.py", json.dumps(request)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=args.stderr)
        self.answer()
        self.pause()

    def answer(self):
        line = self.process.stdout.readline()
        if line == "":
            raise SystemExit(f"peers: {self.name} ended, see build/peers/stderr.log")
        return json.loads(line)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, *words):
        self.process.send_signal(signal.SIGCONT)
        print(*words, file=self.process.stdin, flush=True)
        answer = self.answer()
        self.pause()
        return answer

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def tokenized(source, texts, n, length):
    from tokenizers import Tokenizer
    encoder = Tokenizer.from_file(str(source / "tokenizer.json"))
    encoder.no_padding()
    encoder.enable_truncation(length)
    with open(texts, encoding="utf-8") as lines:
        return [encoder.encode(line.rstrip("\n")).ids for _, line in zip(range(n), lines)]


def save_batches(path, batches):
    np.savez(path, **{f"{i}_{kind}": array for i, batch in enumerate(batches) for kind, array in batch.items()})
    return path


def natural_batches(maker):
    """Sorted by length, padded batches."""
    rows = sorted(tokenized(maker.source, maker.texts, NATURAL_TEXTS, NATURAL_LENGTH), key=len)
    return [padded_inputs(rows[i:i + NATURAL_BATCH]) for i in range(0, len(rows), NATURAL_BATCH)]


def quality_batches(maker):
    rows = tokenized(maker.source, maker.texts, QUALITY_TEXTS, 128)
    return [padded_inputs(rows[i:i + 8]) for i in range(0, len(rows), 8)]


# ---- measuring -------------------------------------------------------------------------------------------------------

def ratio_of(rival, own):
    ratios = [r / o for r, o in zip(rival, own)]
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(ratios, k=len(ratios))) for _ in range(1000))
    return statistics.median(ratios), medians[25], medians[974]


def vectors_of(worker, quality, folder):
    path = folder / "vectors.npy"
    worker.ask("bind", quality)
    worker.ask("embed", path)
    return np.load(path)


def cosine_to_twins(contestants, workers, maker, args, folder):
    """Mean cosine of each contestant's vectors to those of its twin in OpenVINO f32."""
    quality = save_batches(folder / "quality.npz", quality_batches(maker))
    references = {}
    for twin in {contestant.twin for contestant in contestants}:
        worker = Worker(openvino(twin), maker, args, "all")
        references[twin] = vectors_of(worker, quality, folder)
        worker.end()
    return [float(np.mean(np.sum(vectors_of(worker, quality, folder) * references[contestant.twin], axis=1)))
            for contestant, worker in zip(contestants, workers)]


def play(workers, label, rounds):
    """Seconds of each worker in each round; a first round warms up."""
    times = [[] for _ in workers]
    for i in range(rounds + 1):
        for own, worker in zip(times, workers):
            own.append(worker.ask("run")["seconds"])
        if sys.stderr.isatty():
            print(f"\rpeers: {label}: round {i}/{rounds} ", end="", file=sys.stderr)
    return [own[1:] for own in times]


def capped(rivals):
    """Those that oneDNN has products for on AVX2: no bf16, and compressed weights without dynamic quantization."""
    return [openvino("ov-int8-weights", DYNAMIC_QUANTIZATION_GROUP_SIZE="0") if rival.model == "ov-int8-weights" else rival
            for rival in rivals if BF16 not in rival.options.get("properties", {}).values()]


def measure(work, maker, args, isa):
    """One row per shape and contestant."""
    ours = [own for own in work.ours if isa == "all" or own.options["compute"] != VNNI_ONLY]
    contestants, rows = ours + (work.rivals if isa == "all" else capped(work.rivals)), []
    workers = [Worker(contestant, maker, args, isa) for contestant in contestants]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cosines = cosine_to_twins(contestants, workers, maker, args, folder)
        for shape in work.shapes:
            batches = natural_batches(maker) if shape == NATURAL else [fixed_inputs(*shape)]
            texts = sum(len(batch["input_ids"]) for batch in batches)
            shape = shape if shape == NATURAL else "%dx%d" % shape
            path = save_batches(folder / "work.npz", batches)
            for worker in workers:
                worker.ask("bind", path)
            times = play(workers, f"{work.model}, {work.name}, {shape}, {isa}", args.rounds)
            least = [worker.ask("least")["seconds"] for worker in workers[:len(ours)]]
            fair = [i for i in range(len(ours), len(workers)) if cosines[i] >= MIN_COSINE]
            rival = min(fair, key=lambda i: statistics.median(times[i]), default=None)
            for i, worker in enumerate(workers):
                against = None if rival is None or i >= len(ours) else ratio_of(times[rival], times[i])
                share = least[i] / statistics.median(times[i]) if i < len(ours) else None
                rows.append({"model": work.model, "work": work.name, "isa": isa, "shape": shape,
                             "contestant": worker.name, "median": texts / statistics.median(times[i]),
                             "best": texts / min(times[i]), "share": share, "cosine": cosines[i], "rival": i == rival,
                             "ratio": against})
    for worker in workers:
        worker.end()
    return rows


# ---- report ----------------------------------------------------------------------------------------------------------

def table(rows):
    lines = ["| work | contestant | texts/s, median | best | x best rival (95 %) | share of limit | cosine |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        cap = "" if row["isa"] == "all" else ", " + row["isa"]
        ratio = "" if row["ratio"] is None else "{:.2f} ({:.2f} to {:.2f})".format(*row["ratio"])
        ratio = "1.00, the rival" if row["rival"] else ratio
        share = "" if row["share"] is None else "{:.0f} %".format(100 * row["share"])
        lines.append(f"| {row['model']} {row['work']}, {row['shape']}{cap} | {row['contestant']} | {row['median']:.1f} | "
                     f"{row['best']:.1f} | {ratio} | {share} | {row['cosine']:.4f} |")
    return "\n".join(lines)


def versions(pythons):
    code = ("from importlib.metadata import version as v, PackageNotFoundError\n"
            "for p in ('openvino','nncf','onnxruntime','deepsparse'):\n"
            "  try: print(p, v(p))\n  except PackageNotFoundError: pass")
    found = [subprocess.run([pythons[kind], "-c", code], capture_output=True, text=True, check=True).stdout
             for kind in ("peers", "deepsparse")]
    return ", ".join("".join(found).split("\n")[:-1])


def main():
    parser = argparse.ArgumentParser(prog="bench/peers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", required=True, type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--sources", required=True, type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("models", nargs="+", choices=["minilm", "embeddinggemma"], help="needs --accept-gemma-terms once")
    parser.add_argument("--work", default="", help="only works whose name contains this")
    parser.add_argument("--isa", action="append", choices=ISAS,
                        help="avx2: nobody sees that the CPU has more (default: all)")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    args = parser.parse_args()
    rows = []
    (ROOT / "build" / "peers").mkdir(parents=True, exist_ok=True)
    with open(ROOT / "build" / "peers" / "stderr.log", "w") as args.stderr:
        for isa in args.isa or ["all"]:
            for work in WORKS:
                if work.model in args.models and args.work in work.name:
                    maker = Maker(work.model, args.sources[work.model], args.pythons)
                    rows += measure(work, maker, args, isa)
    command = " ".join(["bench/peers", *args.models] + [f"--isa {isa}" for isa in args.isa or []])
    head = (f"`{command} --rounds {args.rounds}`, {cpu_name()}, {args.threads} threads, {versions(args.pythons)}.\n"
            f"Cosine: mean-pooled vectors of {QUALITY_TEXTS} passages, to OpenVINO f32 on the same weights before "
            f"quantization. Share of limit: time of the products that are made at the peak of their arithmetic, measured "
            f"right after the rounds, over the median time.\n\n")
    (ROOT / "build" / "peers" / "results.json").write_text(json.dumps(rows, indent=1))
    print(head + table(rows))
    if args.write:
        write_between(ROOT / "docs" / "performance.md", "bench/peers", head + table(rows) + "\n")


if __name__ == "__main__":
    main()
