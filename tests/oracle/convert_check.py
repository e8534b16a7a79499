#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts a Hugging Face folder and compares the result, run by OpenVINO, with an export that optimum-intel made.

usage: convert_check.py CONVERT_FOLDER HF_FOLDER EXPORT_FOLDER
  CONVERT_FOLDER  the program built from tests/oracle/convert_folder.c
"""
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import oracle

LIMIT = 1e-4  # of the largest value


def main():
    program, source, export = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        ours = Path(work) / "out"
        subprocess.run([program, source, ours], check=True)
        mine, theirs = oracle.Oracle(ours), oracle.Oracle(export)
        names = [[port.any_name for port in o.model.inputs + o.model.outputs] for o in (mine, theirs)]
        assert names[0] == names[1], names
        ops = [Counter(node.get_type_name() for node in o.model.get_ops()) for o in (mine, theirs)]
        print("nodes that the export has not / lacks:", dict(ops[0] - ops[1]), dict(ops[1] - ops[0]))
        matmuls = [{node.get_friendly_name() for node in o.model.get_ops() if node.get_type_name() == "MatMul"}
                   for o in (mine, theirs)]
        print("linear layers with the export's name:", len(matmuls[0] & matmuls[1]), "of", len(matmuls[1]))
        token_ids = oracle.random_ids(export)
        worst = 0.0
        for lengths in oracle.LENGTHS.values():
            inputs = oracle.make_inputs(theirs.model, lengths, token_ids)
            rows = [oracle.real_rows(o.output(inputs), inputs) for o in (mine, theirs)]
            worst = max(worst, oracle.difference(*rows))
        print(f"{source}: max difference {worst:.2e} of the largest value (limit {LIMIT:.0e})")
        sys.exit(worst > LIMIT)


main()
