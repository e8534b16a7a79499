# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/tiny/<name>-gguf: tiny seeded models as GGUF files, written by the package gguf, with inputs and
the outputs of transformers on the weights as gguf dequantizes them, and the tokenizer.json that belongs to the
vocabulary; and tests/data/tiny/types-gguf: blocks of every supported type with their values.

usage: make_gguf_fixtures.py OUT_FOLDER     (needs torch, transformers, gguf: `scripts/venv --export`)
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from gguf import GGMLQuantizationType as T, GGUFWriter, PoolingType, TokenType
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from transformers.convert_slow_tokenizer import generate_merges

TYPES = [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2],
          T.Q6_K: [208]}  # where a block has f16 numbers
ROWS = {"1x7": [7], "4x16": [16, 3, 11, 1]}
GEMMA_NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
               "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
               "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "post_attention_norm",
               "pre_feedforward_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
               "mlp.down_proj": "ffn_down", "post_feedforward_layernorm": "post_ffw_norm", "embed_tokens": "token_embd",
               "norm": "output_norm"}
BERT_NAMES = {"embeddings.word_embeddings": "token_embd", "embeddings.token_type_embeddings": "token_types",
              "embeddings.position_embeddings": "position_embd", "embeddings.LayerNorm": "token_embd_norm",
              "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
              "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
              "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}


def random_blocks(random, kind, rows, columns):
    """Any bits, but for numbers in f16 that are not small, not huge and of both signs."""
    values, size = GGML_QUANT_SIZES[kind]
    if kind in (T.F32, T.F16, T.BF16):
        return quantize(random.standard_normal((rows, columns)).astype(np.float32), kind)
    blocks = random.integers(0, 256, (rows, columns // values, size), dtype=np.uint8)
    for at in HALVES[kind]:
        halves = random.uniform(-0.1, 0.1, blocks.shape[:2]).astype(np.float16)
        blocks[..., at:at + 2] = halves.view(np.uint8).reshape(*blocks.shape[:2], 2)
    return blocks.reshape(rows, -1)


def add_tensor(writer, name, data, kind):
    """Gives the values that `data` becomes in the file."""
    if kind in (T.F32, T.F16):
        data = data.astype(np.float32 if kind == T.F32 else np.float16)
        writer.add_tensor(name, data)
        return data.astype(np.float32)
    writer.add_tensor(name, data, raw_dtype=kind)
    return dequantize(data, kind)


def make_types(folder):
    random = np.random.Generator(np.random.PCG64(7))
    writer = GGUFWriter(folder / "model.gguf", "types")
    values = [add_tensor(writer, kind.name, random_blocks(random, kind, 2, 256), kind) for kind in TYPES]
    finish(writer)
    np.save(folder / "values.npy", np.stack(values))


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- vocabularies ----


def added(i, content, special):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special}


def template(tokens, prefix, suffix, twice):
    def item(i, kind):
        return [] if i is None else [{"SpecialToken": {"id": tokens[i], "type_id": kind}}]

    first = item(prefix, 0) + [{"Sequence": {"id": "A", "type_id": 0}}] + item(suffix, 0)
    second = item(prefix if twice else None, 1) + [{"Sequence": {"id": "B", "type_id": 1}}] + item(suffix, 1)
    specials = {tokens[i]: {"id": tokens[i], "ids": [i], "tokens": [tokens[i]]} for i in (prefix, suffix)
                if i is not None}
    return {"type": "TemplateProcessing", "single": first, "pair": first + second, "special_tokens": specials}


def write_json(folder, document):
    text = json.dumps({"version": "1.0", "truncation": None, "padding": None, **document}, ensure_ascii=False,
                      separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")


def sentencepiece(writer, folder, byte_tokens, eos):
    """As llama.cpp's converter writes Gemma's: user-defined tokens with spaces for marks, scores -1000 for specials."""
    control, user = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], ["\n", "\n\n", "▁▁", "▁▁▁", "<b>", "\t"]
    pieces = ["▁t", "in", "he", "▁the", "er", "ing", "▁a", "th", "▁th", "hi", "中文", "ab", "aba", "é", "\"", "\\"]
    pieces += ["▁", *"abehinrtg中文😀"]
    tokens, scores, types = list(control), [-1000.0] * len(control), [TokenType.CONTROL] * len(control)
    tokens += user
    scores += [-1000.0] * len(user)
    types += [TokenType.USER_DEFINED] * len(user)
    if byte_tokens:
        tokens += [f"<0x{i:02X}>" for i in range(256)]
        scores += [0.0] * 256
        types += [TokenType.BYTE] * 256
    tokens += pieces
    scores += [-float(i) for i in range(len(pieces))]
    types += [TokenType.NORMAL] * len(pieces)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([t.replace("▁", " ") if k == TokenType.USER_DEFINED else t for t, k in zip(tokens, types)])
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    for add, i in ((writer.add_pad_token_id, 0), (writer.add_eos_token_id, 1), (writer.add_bos_token_id, 2),
                   (writer.add_unk_token_id, 3)):
        add(i)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(eos)
    writer.add_add_space_prefix(False)
    vocab = {token: i for i, token in enumerate(tokens)}
    scored = [(t, s if k == TokenType.NORMAL else 0.0) for t, s, k in zip(tokens, scores, types)]
    marks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    write_json(folder, {
        "added_tokens": [added(i, t, k == TokenType.CONTROL) for i, (t, k) in enumerate(zip(tokens, types))
                         if k in (TokenType.CONTROL, TokenType.USER_DEFINED)],
        "normalizer": marks,
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                          "invert": False},
        "post_processor": template(tokens, 2, 1 if eos else None, True),
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                     {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": byte_tokens, "ignore_merges": False,
                  "vocab": vocab, "merges": generate_merges(vocab, scored)}})
    return len(tokens)


def wordpiece(writer, folder):
    """As llama.cpp's converter writes BERT's: "▁word", and "part" for "##part"."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = specials + ["[unused1]", "[", "]", ".", "the", "cat", "s", "##s", "##ing", "sing", "##]", "中", "▁", "##▁"]
    tokens += list("abc") + ["##" + c for c in "abc"]
    types = [TokenType.CONTROL if t in specials else TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("bert")
    writer.add_token_list([t if t.startswith("[") and t.endswith("]") and len(t) > 1 else
                           t[2:] if t.startswith("##") else "▁" + t for t in tokens])
    writer.add_token_types(types)
    for add, i in ((writer.add_pad_token_id, 0), (writer.add_unk_token_id, 1), (writer.add_bos_token_id, 2),
                   (writer.add_sep_token_id, 3), (writer.add_mask_token_id, 4)):
        add(i)
    write_json(folder, {
        "added_tokens": [added(i, t, True) for i, t in enumerate(specials)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(tokens, 2, 3, False),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(tokens)}}})
    return len(tokens)


# ---- models ----


def gguf_name(name, names):
    stem, leaf = name.rsplit(".", 1)
    parts = stem.split(".")
    at = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    if at is None:
        return f"{names[stem]}.{leaf}"
    return f"blk.{parts[at]}.{names['.'.join(parts[at + 1:])]}.{leaf}"


def fill(writer, model, names, types, random):
    """Seeded blocks, and in the model what they mean. Gemma's norms are stored with the 1 that they lack there."""
    gemma = model.config.model_type == "gemma3_text"
    n = 0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("pooler"):
                continue
            kind = T.F32
            data = 0.2 * random.standard_normal(tuple(weight.shape)).astype(np.float32)
            if weight.ndim == 2:
                fitting = [k for k in types if weight.shape[1] % GGML_QUANT_SIZES[k][0] == 0]
                kind = fitting[n % len(fitting)]
                n += 1
                scale = 0.5 if "embed" in name else 1.5 / weight.shape[1] ** 0.5
                data = random.standard_normal(tuple(weight.shape)).astype(np.float32) * scale
                if kind in (T.Q4_K, T.Q5_K, T.Q6_K):
                    data = scale_blocks(random_blocks(random, kind, *weight.shape), kind, scale)
                elif kind not in (T.F32, T.F16):
                    data = quantize(data, kind)
            elif name.endswith("weight"):
                data += 1
            values = torch.from_numpy(add_tensor(writer, gguf_name(name, names), data, kind))
            weight.copy_(values - 1 if gemma and weight.ndim == 1 else values)


def scale_blocks(blocks, kind, scale):
    """Random K blocks with d (and the minimum's) so that the values have about the scale of weights."""
    values, size = GGML_QUANT_SIZES[kind]
    shape = blocks.shape
    blocks = blocks.reshape(-1, size)
    for at in HALVES[kind]:
        halves = blocks[:, at:at + 2].copy().view(np.float16)
        blocks[:, at:at + 2] = (np.sign(halves) * np.float16(scale / (2500 if kind == T.Q6_K else 500))).astype(
            np.float16).view(np.uint8)
    return blocks.reshape(shape)


def record(model, folder, vocab, random):
    outputs = {}
    for shape, lengths in ROWS.items():
        ids = random.integers(0, vocab, (len(lengths), max(lengths)))
        mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        inputs = {"input_ids": np.where(mask, ids, 0), "attention_mask": mask}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = np.where(mask, random.integers(0, 2, mask.shape), 0)
        with torch.no_grad():
            output = model(**{k: torch.from_numpy(v) for k, v in inputs.items()}).last_hidden_state.numpy()
        for name, values in inputs.items():
            np.save(folder / f"input_{shape}_{name}.npy", values)
        np.save(folder / f"output_{shape}.npy", output)
        outputs[shape] = (output, mask)
    return outputs


def embed(folder, outputs, pool, dense):
    for shape, (output, mask) in outputs.items():
        vectors = pool(output.astype(np.float64), mask[..., None])
        for weight in dense:
            vectors = vectors @ weight.T
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(folder / f"sentence_{shape}.npy", vectors.astype(np.float32))


def gemma_keys(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_sliding_window(config.sliding_window)


def make_gemma_embedding(folder):
    random = np.random.Generator(np.random.PCG64(1))
    writer = GGUFWriter(folder / "model.gguf", "gemma-embedding")
    vocab = sentencepiece(writer, folder, True, True)
    settings = dict(vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                    num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=16, max_position_embeddings=64,
                    rope_theta=5000.0, sliding_window=6, use_bidirectional_attention=True,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"])
    config = tf.Gemma3TextConfig(**settings)
    gemma_keys(writer, config)
    writer.add_sliding_window(settings["sliding_window"])  # the class has halved its own
    writer.add_sliding_window_pattern([True, False, True])
    writer.add_pooling_type(PoolingType.MEAN)
    model = tf.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    fill(writer, model, GEMMA_NAMES, TYPES[:8], random)
    dense = []
    for name, shape, kind in (("dense_2", (64, 32), T.Q8_0), ("dense_3", (32, 64), T.F16)):
        data = random.standard_normal(shape).astype(np.float32) / 6
        dense.append(add_tensor(writer, name + ".weight", quantize(data, kind) if kind == T.Q8_0 else data, kind))
    finish(writer)
    outputs = record(model, folder, vocab, random)
    embed(folder, outputs, lambda x, mask: (x * mask).sum(1) / mask.sum(1), dense)


def make_gemma3(folder):
    random = np.random.Generator(np.random.PCG64(2))
    writer = GGUFWriter(folder / "model.gguf", "gemma3")
    vocab = sentencepiece(writer, folder, False, False)
    config = tf.Gemma3TextConfig(vocab_size=vocab, hidden_size=256, intermediate_size=32, num_hidden_layers=2,
                                 num_attention_heads=2, num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16,
                                 max_position_embeddings=64, rope_theta=1e6, rope_local_base_freq=100.0,
                                 sliding_window=5, sliding_window_pattern=2)
    gemma_keys(writer, config)
    writer.add_sliding_window_pattern(2)
    writer.add_float32("gemma3.rope.freq_base_swa", 100.0)
    model = tf.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    fill(writer, model, GEMMA_NAMES, [T.Q4_K, T.Q5_K, T.Q6_K, T.Q8_0], random)
    finish(writer)
    record(model, folder, vocab, random)


def make_bert(folder):
    random = np.random.Generator(np.random.PCG64(3))
    writer = GGUFWriter(folder / "model.gguf", "bert")
    vocab = wordpiece(writer, folder)
    config = tf.BertConfig(vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                           num_attention_heads=4, max_position_embeddings=32, layer_norm_eps=1e-5)
    writer.add_context_length(32)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-5)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.CLS)
    model = tf.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    fill(writer, model, BERT_NAMES, [T.F16, T.Q8_0, T.F32], random)
    finish(writer)
    embed(folder, record(model, folder, vocab, random), lambda x, mask: x[:, 0], [])


def main(out):
    makers = {"types": make_types, "gemma-embedding": make_gemma_embedding, "gemma3": make_gemma3, "bert": make_bert}
    for name, make in makers.items():
        folder = Path(out) / f"{name}-gguf"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB")


main(sys.argv[1])
