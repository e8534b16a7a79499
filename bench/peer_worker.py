#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One contestant of peers.py in a process of its own. argv[1] is JSON: {"engine", "model", "threads", "options"}.

Lines on stdin, JSON lines on stdout:
  bind FILE.npz  the batches of a work: arrays `<batch>_<input>`; runs each once       -> {}
  run            one round: every batch once, or several times; seconds of once           -> {"seconds": s}
  least          incise alone: least seconds of a round's products at the machine's peak  -> {"seconds": s}
  embed FILE.npy mean-pooled unit vectors of the rows of all batches into FILE.npy     -> {}
"""
import json
import os
import sys
import time

import numpy as np

import engines

TURN_SECONDS = 0.1  # at least: what a single run of milliseconds takes is how fast threads wake up


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    request = json.loads(sys.argv[1])
    engine = engines.ENGINES[request["engine"]](request["model"], request["threads"], **request["options"])
    batches = []
    print(json.dumps({}), file=answers, flush=True)
    for line in sys.stdin:
        command, *path = line.split()
        answer = {}
        if command == "bind":
            arrays = np.load(path[0])
            batches = [{} for _ in range(1 + max(int(name.split("_")[0]) for name in arrays))]
            for name in arrays:
                index, _, kind = name.partition("_")
                batches[int(index)][kind] = arrays[name]
            for batch in batches:
                engine.bind(batch)
                engine.run()
        elif command == "run":
            total, passes = 0.0, 0
            while total < TURN_SECONDS:
                for batch in batches:
                    engine.bind(batch)
                    start = time.perf_counter()
                    engine.run()
                    total += time.perf_counter() - start
                passes += 1
            answer["seconds"] = total / passes
        elif command == "least":
            answer["seconds"] = 0.0
            for batch in batches:
                engine.bind(batch)
                engine.run()
                answer["seconds"] += engine.least_seconds(0.2 / len(batches))
        elif command == "embed":
            vectors = []
            for batch in batches:
                engine.bind(batch)
                engine.run()
                vectors.append(engines.mean_pooled(engine.output(), batch["attention_mask"]))
            np.save(path[0], np.concatenate(vectors))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
