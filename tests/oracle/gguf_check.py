#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts Gemma 3 270M from GGUF and compares hidden states with transformers run on weights that the package gguf
has dequantized, the integers of --keep-quantized with both, and token ids with EmbeddingGemma's tokenizer.json, whose
vocabulary is the same. Needs `scripts/venv --export`.

usage: gguf_check.py BUILD MODEL.gguf EMBEDDINGGEMMA_FOLDER      BUILD: build/release
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer

import oracle
import tokenizer_check

LIMIT = 1e-4  # of the largest value
LENGTHS = {"1x1": [1], "1x7": [7], "4x128": [128, 77, 31, 5], "1x700": [700]}  # sliding windows are 512 wide
NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
         "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm",
         "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm"}


def hf_name(name):
    stem = name.removesuffix(".weight")
    if stem.startswith("blk."):
        _, layer, leaf = stem.split(".")
        return f"layers.{layer}.{NAMES[leaf]}.weight"
    return {"token_embd": "embed_tokens", "output_norm": "norm"}[stem] + ".weight"


def transformers_model(path):
    reader = GGUFReader(path)
    field = {key.removeprefix("gemma3."): value.contents() for key, value in reader.fields.items()
             if key.startswith("gemma3.")}
    config = transformers.Gemma3TextConfig(
        vocab_size=262144, hidden_size=field["embedding_length"], intermediate_size=field["feed_forward_length"],
        num_hidden_layers=field["block_count"], num_attention_heads=field["attention.head_count"],
        num_key_value_heads=field["attention.head_count_kv"], head_dim=field["attention.key_length"],
        query_pre_attn_scalar=field["attention.key_length"], rope_theta=field["rope.freq_base"],
        rms_norm_eps=field["attention.layer_norm_rms_epsilon"], sliding_window=field["attention.sliding_window"])
    state = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=True))
        state[hf_name(tensor.name)] = values - 1 if "norm" in tensor.name else values
    model = transformers.Gemma3TextModel(config).float().eval()
    model.load_state_dict(state)
    return model


def compare(name, ours, theirs, limit):
    worst = oracle.difference(ours, theirs)
    print(f"{name}: max difference {worst:.2e} of the largest value (limit {limit:.0e})", flush=True)
    return worst <= limit


def check_states(incise, model, plain, kept):
    ok = True
    token_ids = np.random.default_rng(3).integers(6, 262144, 2000)
    runs = {"OpenVINO": oracle.Oracle(plain), "OpenVINO, kept integers": oracle.Oracle(kept)}
    for shape, lengths in LENGTHS.items():
        inputs = oracle.make_inputs(runs["OpenVINO"].model, lengths, token_ids)
        with torch.no_grad():
            theirs = model(**{key: torch.from_numpy(value) for key, value in inputs.items()}).last_hidden_state.numpy()
        theirs = oracle.real_rows(theirs, inputs)
        ours = oracle.real_rows(oracle.incise_output(incise, plain, inputs, "--compute", "float"), inputs)
        integers = oracle.real_rows(oracle.incise_output(incise, kept, inputs, "--compute", "float"), inputs)
        ok &= compare(f"{shape} incise against transformers", ours, theirs, LIMIT)
        for name, run in runs.items():
            ok &= compare(f"{shape} {name} against incise", oracle.real_rows(run.output(inputs), inputs), ours, LIMIT)
        ok &= compare(f"{shape} incise, kept integers against floats", integers, ours, 0)
    return ok


def check_ids(program, ours, original):
    merges = [json.loads((Path(folder) / "tokenizer.json").read_text())["model"]["merges"]
              for folder in (ours, original)]
    path = str(Path(original) / "tokenizer.json")
    lines = [line for line in tokenizer_check.mixed(path) if "<image_soft_token>" not in line]  # only EmbeddingGemma's
    got = tokenizer_check.run(program, ours, lines, 0)
    expected = [" ".join(map(str, encoding.ids[:-1]))  # without its <eos>
                for encoding in Tokenizer.from_file(path).encode_batch(lines)]
    wrong = sum(a != b for a, b in zip(got, expected, strict=True))
    print(f"{len(merges[0])} merges, {'the same' if merges[0] == merges[1] else 'OTHER'} as in {path}; "
          f"{len(lines)} lines: the ids of {wrong} differ")
    return merges[0] == merges[1] and wrong == 0


def main():
    build, path, original = sys.argv[1:]
    incise = Path(build) / "incise"
    with tempfile.TemporaryDirectory() as work:
        plain, kept = Path(work) / "plain", Path(work) / "kept"
        oracle.run_incise(incise, "convert", path, "-o", plain)
        oracle.run_incise(incise, "convert", path, "-o", kept, "--keep-quantized")
        ok = check_ids(Path(build) / "tests/tokenize_lines", plain, original)
        ok &= check_states(incise, transformers_model(path), plain, kept)
    sys.exit(not ok)


main()
