#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A long run of `incise embed`: time and memory, then kill -9 at random moments, then shards: all the same bytes.

usage: embed_pipeline.py INCISE MODEL TEXTS [KILLS [SEED]]     KILLS: 0 measures only (default 5)
Needs no package. tests/cli/resume.sh and shards.sh are the small version that CTest runs.
"""
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARDS = 4


def rss_mb(pid):
    try:
        return int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
    except (OSError, TypeError):  # it is gone
        return None


def start(incise, model, texts, out, *options):
    return subprocess.Popen([incise, "embed", model, texts, "-o", out, "--log", "info", *options],
                            stderr=subprocess.PIPE, text=True)


def measure(incise, model, texts, out):
    """One undisturbed run: prints its time and memory, returns its seconds."""
    samples, begin = [], time.monotonic()
    process = start(incise, model, texts, out)
    while process.poll() is None:
        time.sleep(0.1)
        if (value := rss_mb(process.pid)) is not None:
            samples.append(value)
    seconds = time.monotonic() - begin
    message = process.stderr.read()
    assert process.returncode == 0, message
    tokens, tokenizer, run = map(float, re.search(r"(\d+) tokens; seconds: tokenizer ([\d.]+), model ([\d.]+)",
                                                  message).groups())
    n = sum(1 for _ in open(texts, "rb"))
    quarter = len(samples) // 4
    print(f"{n} texts, {tokens:.0f} tokens in {seconds:.1f} s: {n / seconds:.0f} texts/s, "
          f"{tokens / seconds:.0f} tokens/s")
    print(f"tokenizer {tokenizer:.2f} s = {100 * tokenizer / seconds:.2f} % of the time, model {run:.2f} s")
    second, last = (sorted(part)[quarter // 2] for part in (samples[quarter:2 * quarter], samples[-quarter:]))
    print(f"memory: peak {max(samples):.0f} MB; median of the second quarter {second:.1f} MB, "
          f"of the last {last:.1f} MB")
    return seconds


def kill_and_resume(incise, model, texts, out, seconds, kills, rng):
    """Kills the run `kills` times within the time it needs, and lets the last one end."""
    for k in range(kills):
        process = start(incise, model, texts, out)
        try:
            process.wait(timeout=rng.uniform(0.2, 2 * seconds / kills))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        if process.returncode == 0:
            print(f"ended before kill {k + 1}")
            return
    process = start(incise, model, texts, out)
    message = process.communicate()[1]
    assert process.returncode == 0, message
    print(f"killed {kills} times, then: {message.splitlines()[0]}")


def main():
    incise, model, texts = sys.argv[1:4]
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        whole, out = f"{folder}/whole.npy", f"{folder}/out.npy"
        seconds = measure(incise, model, texts, whole)
        wanted = Path(whole).read_bytes()
        if kills > 0:
            print(f"seed {seed}")
            kill_and_resume(incise, model, texts, out, seconds, kills, random.Random(seed))
            failed += Path(out).read_bytes() != wanted or len(list(Path(folder).iterdir())) != 2
            parts = [f"{folder}/part-{i}.npy" for i in range(SHARDS)]
            for i, part in enumerate(parts):
                process = start(incise, model, texts, part, "--shard", f"{i}/{SHARDS}")
                assert process.communicate() and process.returncode == 0
            subprocess.run([incise, "merge", *parts, "-o", f"{folder}/merged.npy"], check=True)
            failed += Path(f"{folder}/merged.npy").read_bytes() != wanted
            print(f"{2 - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
