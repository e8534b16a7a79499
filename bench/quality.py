#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each method costs in quality, and how long it takes; started by bench/quality.

A row is one command of incise, run on the converted model or on the model of another row. Its model is made once below
build/quality and evaluated against FP32 on pairs of texts that no method has seen. What is known stands in
build/quality/results.json: a run that was stopped goes on where it was, a row whose command changed is made again.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from quality_rows import ROWS
from report import cpu_name, write_between

ROOT = Path(__file__).resolve().parent.parent
INCISE = ROOT / "build" / "release" / "incise"
FOLDER = ROOT / "build" / "quality"
CALIBRATION = ROOT / "data" / "packages" / "calibration.tsv"
TEST = ROOT / "data" / "packages" / "test.tsv"
PAIRS = {"minilm": 1000, "embeddinggemma": 250}
TOGETHER = 8       # models evaluated by one command, which runs FP32 once
SLACK = 0.02       # of the mean cosine, to the prototype's
GAIN_SHARE = 0.9   # of the prototype's gain over magnitude
MB = 1e6


# ---- making and evaluating -------------------------------------------------------------------------------------------

@dataclass
class Usage:
    cpu_seconds: float  # of all threads
    minutes: float      # by the clock
    peak_mb: float


def run(arguments, **options):
    """Output and Usage of `incise ARGUMENTS`; RuntimeError when it fails."""
    start = time.monotonic()
    with subprocess.Popen([INCISE, *arguments], stdout=subprocess.PIPE, text=True, **options) as process:
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"incise {' '.join(map(str, arguments))}: exit code {process.returncode}")
    usage = Usage(used.ru_utime + used.ru_stime, (time.monotonic() - start) / 60, used.ru_maxrss * 1024 / MB)
    return output, usage


def environment():
    """The OpenBLAS of Debian 12 takes newer CPUs for very old ones."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpu:
        wide = re.search(r"\bavx512vl\b", cpu.read()) is not None
    return {**({"OPENBLAS_CORETYPE": "SKYLAKEX"} if wide else {}), **os.environ}


def source_commit():
    """The last commit that changed the program."""
    command = ["git", "log", "-1", "--format=%h", "--", "src", "include", "tools"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


class Results:
    """results.json: {model: {row: what is known}}."""

    def __init__(self):
        self.path = FOLDER / "results.json"
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}

    def of(self, model):
        return self.known.setdefault(model, {})

    def save(self):
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.known, indent=1))
        partial.rename(self.path)


class Bench:
    """The rows of one model."""

    def __init__(self, model, source, results):
        self.model, self.source, self.results = model, source, results
        self.folder, self.known = FOLDER / model, results.of(model)
        self.rows = {row.name: row for row in ROWS[model]}
        self.folder.mkdir(parents=True, exist_ok=True)

    def say(self, text):
        print(f"quality: {self.model}: {text}", file=sys.stderr, flush=True)

    def build(self, name, arguments):
        """`incise ARGUMENTS -o` a folder that gets its name when it is whole."""
        partial = self.folder / f"partial-{name}"
        shutil.rmtree(partial, ignore_errors=True)
        _, usage = run([*arguments, "-o", partial], env=environment())
        shutil.rmtree(self.folder / name, ignore_errors=True)
        partial.rename(self.folder / name)
        return usage

    def base(self):
        if not (self.folder / "fp32").exists():
            self.build("fp32", ["convert", self.source])
        return self.folder / "fp32"

    def recipe(self, row):
        """All commands from the converted model on."""
        return f"{self.recipe(self.rows[row.base]) if row.base in self.rows else row.base}: {row.command}"

    def path(self, row):
        """The folder of a row's model, made when it is not there or was made by another command."""
        path, command = self.folder / row.name, self.recipe(row)
        if path.exists() and self.known.get(row.name, {}).get("command") == command:
            return path
        base = self.path(self.rows[row.base]) if row.base in self.rows else self.base()
        self.say(f"making {row.name}")
        kind, *options = [CALIBRATION if word == "P" else word for word in row.command.split()]
        usage = self.build(row.name, [kind, base, *options])
        size = sum(file.stat().st_size for file in path.glob("openvino_model.*"))
        self.known[row.name] = {"command": command, "commit": source_commit(), "mb": size / MB, **vars(usage)}
        self.results.save()
        return path

    def evaluate(self, paths, pairs):
        """Figures of models into the results, on the first `pairs` pairs of the test split."""
        self.say(f"evaluating {', '.join(path.name for path in paths)}")
        texts = self.folder / "pairs.tsv"
        texts.write_text("".join(TEST.read_text(encoding="utf-8").splitlines(True)[:pairs]), encoding="utf-8")
        output, _ = run(["evaluate", self.base(), *paths, "--retrieval", texts, "--format", "json"])
        figures = json.loads(output)
        for path, own in zip(paths, figures if len(paths) > 1 else [figures]):
            self.known[path.name].update(figures=own, pairs=pairs)
        self.results.save()

    def fill(self, rows, pairs):
        """Makes and evaluates what is missing; False when something failed."""
        whole = True
        for first in range(0, len(rows), TOGETHER):
            paths = []
            try:
                for row in rows[first:first + TOGETHER]:
                    path = self.path(row)
                    if self.known[row.name].get("pairs") != pairs:
                        paths.append(path)
            except RuntimeError as error:
                self.say(error)
                whole = False
            if paths:
                self.evaluate(paths, pairs)
        return whole


# ---- the report ------------------------------------------------------------------------------------------------------

def short(value, digits=4):
    """.9979, -.0007 with a minus sign."""
    return f"{value:.{digits}f}".replace("0.", ".", 1).replace("-", "−")


def verdict(row, known):
    """How a row stands to the prototype's: "yes", or by how much the mean cosine is short."""
    cosine = known[row.name]["figures"]["cosine_mean"]
    bound = (row.prototype[0] - SLACK if row.prototype else 0) if row.floor is None else row.floor
    if bound == 0:
        return ""
    if row.over is not None:
        name, theirs = row.over
        if "figures" not in known.get(name, {}):
            return "?"
        own = known[name]["figures"]["cosine_mean"]
        bound = max(bound, own + GAIN_SHARE * (row.prototype[0] - theirs))
    return "yes" if cosine >= bound else f"{short(bound - cosine, 3)} short"


def line_of(row, known):
    own = known[row.name]
    figures, (low, high) = own["figures"], own["figures"]["ndcg10_drop_ci95"]
    wanted = " / ".join(short(value, 3) for value in row.prototype or ())
    command = shlex.join(row.command.split()).replace("|", "\\|")
    base = "" if row.base == "fp32" else f" of {row.base}"
    cells = [row.name + base, f"`{command}`", short(figures["cosine_mean"]), short(figures["cosine_p1"]),
             short(figures["neighbours_top10"], 3), f"{short(figures['ndcg10_drop'])} [{short(low)}, {short(high)}]",
             wanted, verdict(row, known), f"{own['mb']:.0f}", f"{own['cpu_seconds']:.0f}", f"{own['minutes']:.1f}",
             f"{own['peak_mb']:.0f}"]
    return f"| {' | '.join(cells)} |"


def section(model, known):
    rows = [row for row in ROWS[model] if "figures" in known.get(row.name, {})]
    pairs = " and ".join(sorted({str(known[row.name]["pairs"]) for row in rows}))
    commits = ", ".join(sorted({known[row.name]["commit"] for row in rows}))
    head = [f"### {model}", "", f"`bench/quality {model}`: {pairs} pairs; program of {commits}; {cpu_name()}.", "",
            "| row | command | cosine mean | p1 | top-10 kept | nDCG@10 drop | prototype | holds | MB | CPU s | "
            "minutes | peak MB |", "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    return "\n".join(head + [line_of(row, known) for row in rows]) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="bench/quality", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", required=True, type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("models", nargs="+", choices=list(ROWS), help="needs --accept-gemma-terms once")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose name matches")
    parser.add_argument("--pairs", type=int, metavar="N", help="the first N of the test split")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/quality.md")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    results, whole = Results(), True
    for model in args.models:
        rows = [row for row in ROWS[model] if re.search(args.rows, row.name)]
        whole &= Bench(model, args.sources[model], results).fill(rows, args.pairs or PAIRS[model])
    text = "\n".join(section(model, results.of(model)) for model in args.models)
    print(text)
    if args.write:
        write_between(ROOT / "docs" / "quality.md", "bench/quality", text)
    return 0 if whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
