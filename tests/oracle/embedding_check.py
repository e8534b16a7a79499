#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Embedding models as a whole: `convert --task embedding`, then `embed`, against sentence-transformers and OpenVINO.

usage: embedding_check.py BUILD texts HF_FOLDER [--count N] [--longest N] [--prompt NAME]
       embedding_check.py BUILD files HF_FOLDER [EXPORT_FOLDER...]
       embedding_check.py BUILD families TINY_FOLDER
  BUILD     a build folder (build/release)
  texts     multilingual texts of 1 to N tokens, with the query and the document prompt if the model has them, or the one
            named: cosine of each to sentence-transformers in float32, in batches of mixed lengths; alone the same bits
  files     the converted file in OpenVINO against `incise run`, every output; exports likewise against the converted
            file, both in OpenVINO
  families  each tiny Hugging Face folder with every pooling, a dense layer and a norm: as `files`, and against vectors
            made here from the hidden states that transformers recorded
`texts` needs `scripts/venv --export`; prints a line per check and `N passed, N failed`.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import oracle

COSINE, DIFFERENCE = 0.9999, 1e-4
DATA = Path(__file__).resolve().parent.parent / "data"
# What exports call our outputs.
NAMES = {"token_embeddings": "last_hidden_state"}


class Checks:
    """Counts and prints."""

    def __init__(self, build):
        self.build, self.passed, self.failed = build, 0, 0
        self.incise = build / "incise"

    def check(self, fine, text):
        self.passed += bool(fine)
        self.failed += not fine
        print("ok  " if fine else "FAIL", text, flush=True)

    def convert(self, source, out):
        """The folder of the embedding model, which must run fused."""
        oracle.run_incise(self.incise, "convert", source, "--task", "embedding", "-o", out)
        if "runs fused" not in oracle.run_incise(self.incise, "inspect", out):
            raise RuntimeError(f"{source.name}: the embedding model runs op by op")
        return out


# ---- texts against sentence-transformers ---------------------------------------------------------------------------

def make_texts(folder, count, longest):
    """Seeded texts in many languages, of 1 to `longest` tokens, evenly spread on a logarithmic scale, shuffled."""
    rng = random.Random(1)
    tokenizer = oracle.load_tokenizer(folder)
    lines = [line.strip() for name in ("multilingual.txt", "passages.txt")
             for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line.strip()]
    texts = []
    for i in range(count):
        wanted = round(longest ** (i / (count - 1)))
        text, pieces = "", []
        while len(pieces) < wanted:
            text = f"{text} {rng.choice(lines)}".strip()
            pieces = tokenizer.encode(text, add_special_tokens=False).offsets
        text = text[:pieces[wanted - 1][1]].strip() or "a"
        texts.append(text.replace("\r", " "))
    rng.shuffle(texts)
    return texts


def embed(checks, model, lines, prompt, alone):
    """[texts, width] by the command, which batches as it likes, or each text in a call of its own."""
    if alone:
        command = [checks.build / "tests" / "embed_alone", model, prompt or "-"]
    else:
        command = [checks.incise, "embed", model, "-", "--from", "lines", "--as", "raw"]
        command += ["--prompt", prompt] if prompt else []
    done = subprocess.run(list(map(str, command)), input=lines, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode()[-500:])
    vectors = np.frombuffer(done.stdout, dtype="<f4")
    return vectors.reshape(lines.count(b"\n"), -1)


def check_texts(checks, folder, count, longest, prompt):
    from sentence_transformers import SentenceTransformer
    config = folder / "config_sentence_transformers.json"
    prompts = json.loads(config.read_text(encoding="utf-8")).get("prompts", {}) if config.exists() else {}
    used = [prompt] if prompt else [name for name in ("query", "document") if name in prompts] or [None]
    texts = make_texts(folder, count, longest)
    lines = "".join(f"{text}\n" for text in texts).encode()
    theirs = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": "float32"})
    theirs.default_prompt_name = None
    with tempfile.TemporaryDirectory() as work:
        ours = checks.convert(folder, Path(work) / "ours")
        for prompt in used:
            together = embed(checks, ours, lines, prompt, False)
            expected = theirs.encode(texts, prompt_name=prompt, batch_size=8, convert_to_numpy=True)
            cosines = oracle.row_cosines(together.astype(np.float64), expected.astype(np.float64))
            tokens = [len(ids) for ids in theirs.tokenizer([(prompts.get(prompt, "") if prompt else "") + text
                                                            for text in texts])["input_ids"]]
            label = f"{folder.name}, prompt {prompt}"
            checks.check(cosines.min() >= COSINE, f"{label}: {len(texts)} texts of {min(tokens)} to {max(tokens)} "
                         f"tokens: smallest cosine {cosines.min():.8f}")
            alone = embed(checks, ours, lines, prompt, True)
            checks.check(np.array_equal(alone, together), f"{label}: alone the same bits")


# ---- files in OpenVINO ---------------------------------------------------------------------------------------------

def every_output(incise, folder, inputs):
    """Outputs of `incise run` in the model's order."""
    with tempfile.TemporaryDirectory() as work:
        arguments = []
        for name, values in inputs.items():
            np.save(Path(work) / f"{name}.npy", values)
            arguments += ["--input", f"{name}={work}/{name}.npy"]
        out = Path(work) / "out"
        oracle.run_incise(incise, "run", folder, *arguments, "-o", out, "--compute", "float")
        return [np.load(path) for path in sorted(out.glob("*.npy"), key=lambda p: int(p.name.split("_")[0]))]


def real(output, inputs):
    return oracle.real_rows(output, inputs) if output.ndim == 3 else output


def named_outputs(model, inputs):
    """OpenVINO's outputs by their (our) names."""
    answer = model.compiled(inputs)
    return {NAMES.get(port.any_name, port.any_name): real(answer[i], inputs)
            for i, port in enumerate(model.model.outputs)}


def file_differences(checks, theirs, batches):
    """Of the file as OpenVINO runs it from ours, by output."""
    worst = {}
    for inputs in batches:
        ours = every_output(checks.incise, theirs.folder, inputs)
        for (name, expected), got in zip(named_outputs(theirs, inputs).items(), ours, strict=True):
            worst[name] = max(worst.get(name, 0), oracle.difference(real(got, inputs), expected))
    return worst


def check_files(checks, source, exports):
    token_ids = oracle.text_ids(source, DATA / "passages.txt")
    with tempfile.TemporaryDirectory() as work:
        folder = checks.convert(source, Path(work) / "ours")
        ours = oracle.Oracle(folder)
        batches = [oracle.make_inputs(ours.model, shape, token_ids) for shape in oracle.LENGTHS.values()]
        for name, difference in file_differences(checks, ours, batches).items():
            checks.check(difference <= DIFFERENCE, f"{source.name}: {name} differs from OpenVINO's by {difference:.1e}")
        for export in exports:
            theirs, worst = oracle.Oracle(export), {}
            for shape in oracle.LENGTHS.values():
                mine = named_outputs(ours, oracle.make_inputs(ours.model, shape, token_ids))
                for name, expected in named_outputs(theirs, oracle.make_inputs(theirs.model, shape, token_ids)).items():
                    worst[name] = max(worst.get(name, 0), oracle.difference(mine[name], expected))
            for name, difference in worst.items():
                checks.check(difference <= DIFFERENCE,
                             f"{source.name}: {name} differs from that of {export.name} by {difference:.1e}")


# ---- families ------------------------------------------------------------------------------------------------------

MODES = {"mean_tokens": lambda x: x.mean(0), "cls_token": lambda x: x[0], "max_tokens": lambda x: x.max(0),
         "mean_sqrt_len_tokens": lambda x: x.sum(0) / np.sqrt(len(x)), "lasttoken": lambda x: x[-1]}


def add_modules(folder, mode, width, weight, bias):
    modules = ["Transformer", "Pooling", "Dense", "Normalize"]
    entries = [{"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "",
                "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(entries))
    for i, config in ((1, {"word_embedding_dimension": width, f"pooling_mode_{mode}": True}),
                      (2, {"in_features": width, "out_features": len(weight), "bias": True,
                           "activation_function": "torch.nn.modules.activation.Tanh"})):
        (folder / entries[i]["path"]).mkdir()
        (folder / entries[i]["path"] / "config.json").write_text(json.dumps(config))
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / entries[2]["path"] / "model.safetensors")


def family_differences(checks, source, mode, work):
    """From transformers, and from OpenVINO."""
    rng = np.random.Generator(np.random.PCG64(7))
    folder = work / f"{source.name}-{mode}"
    folder.mkdir()
    for file in filter(Path.is_file, source.iterdir()):
        (folder / file.name).write_bytes(file.read_bytes())
    recorded = source if (source / "output_4x16.npy").exists() else source.with_name(source.name.removesuffix("-hf"))
    hidden = np.load(recorded / "output_4x16.npy").astype(np.float64)
    weight = rng.standard_normal((12, hidden.shape[2])).astype(np.float32) / np.float32(hidden.shape[2] ** 0.5)
    bias = rng.standard_normal(12).astype(np.float32)
    add_modules(folder, mode, hidden.shape[2], weight, bias)
    model = checks.convert(folder, work / f"{folder.name}-ir")
    inputs = {path.stem.removeprefix("input_4x16_"): np.load(path) for path in recorded.glob("input_4x16_*.npy")}
    pooled = np.stack([MODES[mode](row[mask != 0]) for row, mask in zip(hidden, inputs["attention_mask"])])
    expected = np.tanh(pooled @ weight.T.astype(np.float64) + bias)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    got = every_output(checks.incise, model, inputs)[1]
    return oracle.difference(got, expected), max(file_differences(checks, oracle.Oracle(model), [inputs]).values())


def check_families(checks, tiny):
    for source in sorted(tiny.glob("*-hf")):
        with tempfile.TemporaryDirectory() as work:
            theirs, openvinos = zip(*(family_differences(checks, source, mode, Path(work)) for mode in MODES))
        checks.check(max(theirs + openvinos) <= DIFFERENCE, f"{source.name}, every pooling: differs from transformers "
                     f"by {max(theirs):.1e}, from OpenVINO by {max(openvinos):.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("what", choices=["texts", "files", "families"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("exports", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--prompt", help="only this one of the model's")
    parser.add_argument("--longest", type=int, default=1970, help="tokens, without prompt and special tokens")
    arguments = parser.parse_args()
    checks = Checks(arguments.build)
    if arguments.what == "texts":
        check_texts(checks, arguments.folder, arguments.count, arguments.longest, arguments.prompt)
    elif arguments.what == "files":
        check_files(checks, arguments.folder, arguments.exports)
    else:
        check_families(checks, arguments.folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(checks.failed > 0)


main()
