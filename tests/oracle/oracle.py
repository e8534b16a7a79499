# SPDX-License-Identifier: Apache-2.0
"""Compares `incise run` with OpenVINO on the same file.

usage: oracle.py INCISE MODEL... [--texts FILE]    MODEL: a folder with openvino_model.xml
Prints the largest difference, relative to the largest value, for each model and shape.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from tokenizers import Tokenizer

# The meaning of a file (docs/testing.md): float activations, FakeQuantize as written.
CPU_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "LP_TRANSFORMS_MODE": "NO"}
LENGTHS = {"1x7": [7], "1x128": [128], "4x128": [128, 77, 31, 5]}


def run_incise(incise, *arguments):
    """Runs a command; its messages go into the exception if it fails."""
    done = subprocess.run([str(incise), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"incise {arguments[0]} exited with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def make_inputs(model, lengths, token_ids):
    """Rows of the given lengths cut from `token_ids`, padded on the right with id 0."""
    width = max(lengths)
    mask = (np.arange(width)[None, :] < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.zeros_like(mask)
    for row, length in enumerate(lengths):
        ids[row, :length] = token_ids[row * 50:row * 50 + length]
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask),
              "position_ids": np.tile(np.arange(width, dtype=np.int64), (len(lengths), 1))}
    return {port.any_name: values[port.any_name] for port in model.inputs}


def incise_output(incise, folder, inputs, *options):
    with tempfile.TemporaryDirectory() as work:
        arguments = []
        for name, values in inputs.items():
            np.save(Path(work) / f"{name}.npy", values)
            arguments += ["--input", f"{name}={work}/{name}.npy"]
        out = Path(work) / "out"
        run_incise(incise, "run", folder, *arguments, "-o", out, *options)
        return np.load(next(out.glob("0_*.npy")))


class Oracle:
    """OpenVINO's answer for one model folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.model = ov.Core().read_model(self.folder / "openvino_model.xml")
        self.compiled = ov.Core().compile_model(self.model, "CPU", CPU_OPTIONS)

    def output(self, inputs):
        return self.compiled(inputs)[0]


def real_rows(output, inputs):
    """[tokens, hidden]: the rows of real tokens."""
    return output[inputs["attention_mask"] != 0]


def difference(ours, theirs):
    """max |difference| / max |value|; infinite when ours is not finite."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max()) if np.isfinite(ours).all() else np.inf


def row_cosines(ours, theirs):
    return (ours * theirs).sum(-1) / (np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1))


def compare_shapes(incise, folder, token_ids, *options):
    """For each shape of LENGTHS: (its name, largest difference, smallest row cosine)."""
    oracle = Oracle(folder)
    for name, lengths in LENGTHS.items():
        inputs = make_inputs(oracle.model, lengths, token_ids)
        theirs = real_rows(oracle.output(inputs), inputs)
        ours = real_rows(incise_output(incise, folder, inputs, *options), inputs)
        yield name, difference(ours, theirs), float(row_cosines(ours, theirs).min())


def compare(incise, folder, token_ids, *options):
    """(largest difference, smallest row cosine) over the shapes of LENGTHS."""
    _, differences, cosines = zip(*compare_shapes(incise, folder, token_ids, *options))
    return max(differences), min(cosines)


def random_ids(folder, seed=1):
    """Seeded ids inside the vocabulary of the model's embedding table."""
    model = ov.Core().read_model(Path(folder) / "openvino_model.xml")
    tables = [node.input_value(0).get_partial_shape() for node in model.get_ops() if node.get_type_name() == "Gather"]
    rows = max(shape[0].get_length() for shape in tables if shape.is_static and len(shape) == 2)
    return np.random.Generator(np.random.PCG64(seed)).integers(5, rows, 512)


def load_tokenizer(folder):
    """The tokenizer beside the model, without the padding and truncation that its file may ask for."""
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def text_ids(folder, texts):
    """Token ids of real text."""
    tokenizer = load_tokenizer(folder)
    lines = texts.read_text(encoding="utf-8").splitlines()[:40]
    return np.concatenate([tokenizer.encode(line).ids for line in lines])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("incise", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--texts", type=Path, help="take token ids from this file, not at random")
    arguments = parser.parse_args()
    for folder in arguments.models:
        ids = text_ids(folder, arguments.texts) if arguments.texts else random_ids(folder)
        for shape, worst, cosine in compare_shapes(arguments.incise, folder, ids, "--compute", "float"):
            print(f"{folder.name} {shape}: max difference {worst:.2e}, min row cosine {cosine:.6f}", flush=True)


if __name__ == "__main__":
    main()
