# SPDX-License-Identifier: Apache-2.0
"""What `incise prune` and `incise quantize` make of a model, as OpenVINO reads it.

usage: compress_check.py BUILD MODEL...    BUILD: the build folder with incise; MODEL: IR folders of any weight type

For each model: 70 % of 32x32 blocks pruned (the rule recomputed by numpy from the weights OpenVINO decompresses), INT8
(error bound, exact zeros), both agree with OpenVINO, as do int7 and int4; pruned, then compressed by NNCF, the zero
blocks are still seen.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import nncf
import numpy as np
import openvino as ov

from oracle import CPU_OPTIONS, Oracle, difference, incise_output, make_inputs, random_ids, real_rows, run_incise

FLOAT, COMPRESSED = 1e-4, 1e-3  # max |difference| / max |value| of a run, as in the issue
SIDE, SHARE = 32, 0.7
LENGTHS = [7], [16, 11, 5, 2]  # fit the tiny models too


def read(folder):
    return ov.Core().read_model(Path(folder) / "openvino_model.xml")


def reaches_parameter(node):
    inputs = (port.get_source_output().get_node() for port in node.inputs())
    return node.get_type_name() == "Parameter" or any(map(reaches_parameter, inputs))


def weights(folder):
    """{MatMul name: W[out, in]} as OpenVINO decompresses them; only 2-D weights behind input 1."""
    model, results = read(folder), {}
    for node in model.get_ops():
        if node.get_type_name() != "MatMul" or len(node.input(1).get_partial_shape()) != 2:
            continue
        source = node.input_value(1)
        if reaches_parameter(source.get_node()):
            continue
        compiled = ov.Core().compile_model(ov.Model([ov.opset13.result(source)], []), "CPU", CPU_OPTIONS)
        value = np.array(compiled([])[0], np.float32)
        results[node.get_friendly_name()] = value if node.get_attributes()["transpose_b"] else value.T.copy()
    return results


def tiles(matrix):
    """[blocks down, blocks across, 32 * 32], short edges padded with zeros."""
    rows, columns = (-size % SIDE for size in matrix.shape)
    padded = np.pad(matrix, ((0, rows), (0, columns)))
    down, across = padded.shape[0] // SIDE, padded.shape[1] // SIDE
    return padded.reshape(down, SIDE, across, SIDE).swapaxes(1, 2).reshape(down, across, -1)


def seen_by_engine(build, folder):
    """{MatMul name: number of all-zero blocks} through the engine's own reader."""
    done = subprocess.run([build / "tests" / "weight_zeros", folder], check=True, capture_output=True, text=True)
    rows = (line.rsplit(" ", 3) for line in done.stdout.splitlines())
    return {name: int(zero_blocks) for name, _, zero_blocks, _ in rows}


def check_rule(before, after):
    for name, matrix in before.items():
        norms = np.abs(tiles(matrix.astype(np.float64))).sum(-1)
        gone = norms < np.percentile(norms, 100 * SHARE)
        expected = np.where(gone[..., None], 0, tiles(matrix))
        assert np.array_equal(tiles(after[name]), expected), f"{name}: other blocks than numpy's"
    used = [np.abs(tiles(matrix)).sum(-1) > 0 for matrix in after.values()]
    return sum(int((~blocks).sum()) for blocks in used), sum(blocks.size for blocks in used)


def check_step(before, after):
    """Half a step of absmax / 127 per row, with room for the rounding of float and of a decompression in f16."""
    worst = 0.0
    for name, matrix in before.items():
        step = np.abs(matrix).max(1, keepdims=True) / 127
        error = np.abs(matrix.astype(np.float64) - after[name])
        assert (error <= 0.5 * step * (1 + 1e-4)).all(), f"{name}: error beyond half a step"
        assert (after[name][matrix == 0] == 0).all(), f"{name}: a zero was lost"
        worst = max(worst, float(np.linalg.norm(error) / np.linalg.norm(matrix)))
    return worst


def agrees(build, folder, limit):
    oracle, worst, ids = Oracle(folder), 0.0, random_ids(folder)
    for lengths in LENGTHS:
        inputs = make_inputs(oracle.model, lengths, ids)
        ours = incise_output(build / "incise", folder, inputs, "--compute", "float")
        worst = max(worst, difference(real_rows(ours, inputs), real_rows(oracle.output(inputs), inputs)))
    assert worst <= limit, f"{folder.name}: differs from OpenVINO by {worst:.2e}"
    return f"{folder.name} {worst:.1e}"


def check_nncf(build, pruned, work):
    """NNCF keeps a zero as the zero point, so the engine must find the same zero blocks or more."""
    expected, reports = seen_by_engine(build, pruned), []
    for mode, options in (("INT8_ASYM", {}), ("INT4_ASYM", {"group_size": SIDE, "ratio": 1.0, "all_layers": True})):
        model = nncf.compress_weights(read(pruned), mode=nncf.CompressWeightsMode[mode], **options)
        folder = work / f"pruned-{mode}"
        folder.mkdir()
        ov.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)
        seen = seen_by_engine(build, folder)
        lost = [name for name, blocks in expected.items() if seen[name] < blocks]
        assert not lost, f"{mode}: zero blocks lost in {lost[:3]}"
        reports.append(agrees(build, folder, COMPRESSED))
    return reports


def check_model(build, source, work):
    before = weights(source)
    types = {port.get_element_type().get_type_name() for node in read(source).get_ops() for port in node.outputs()}
    is_float = types.isdisjoint({"i8", "u8", "i4", "u4"})
    pruned = work / "pruned"
    run_incise(build / "incise", "prune", source, "--pattern", f"block:{SIDE}x{SIDE}", "--sparsity", SHARE,
               "-o", pruned)
    zero, blocks = check_rule(before, weights(pruned))
    report = agrees(build, pruned, FLOAT if is_float else COMPRESSED)
    print(f"  {zero} of {blocks} blocks are zero; {report}", flush=True)
    if not is_float:
        return
    print(" ", ", ".join(check_nncf(build, pruned, work)), flush=True)
    for base, name in ((source, "int8"), (pruned, "pruned-int8")):
        run_incise(build / "incise", "quantize", base, "--weights", "int8", "-o", work / name)
        error = check_step(weights(base), weights(work / name))
        print(f"  {name}: relative error {error:.4f}; {agrees(build, work / name, COMPRESSED)}", flush=True)
    for options in (("int7",), ("int4",), ("int4", "--group", 0, "--tables", "int4", "--round", "search")):
        folder = work / "-".join(map(str, options))
        run_incise(build / "incise", "quantize", source, "-o", folder, "--weights", *options)
        print(f"  {agrees(build, folder, COMPRESSED)}", flush=True)


def main():
    build, failed = Path(sys.argv[1]).resolve(), 0
    for source in sys.argv[2:]:
        print(source, flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="incise-compress-") as work:
                check_model(build, Path(source).resolve(), Path(work))
        except (AssertionError, RuntimeError) as error:
            print(f"  FAIL {error}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
