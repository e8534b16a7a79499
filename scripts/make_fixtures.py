# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/tiny: small seeded models with inputs, and the outputs OpenVINO computes from them.

The graphs repeat, operation by operation, what the optimum-intel export of all-MiniLM-L6-v2 and EmbeddingGemma-300M
holds, with small dimensions. Run by scripts/make-fixtures; what it writes is committed, the tests do not need Python.
"""
import json
import shutil
import struct
import sys
from pathlib import Path

import nncf
import numpy as np
import openvino as ov
import openvino.opset13 as op

VOCAB, HIDDEN, HEADS, FFN, MAX_POSITIONS = 100, 64, 4, 96, 32
HEAD_DIM = HIDDEN // HEADS
INT64_MAX = np.iinfo(np.int64).max
# The meaning of a file (docs/testing.md): float activations, FakeQuantize as written.
CPU_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "LP_TRANSFORMS_MODE": "NO"}


def const(values, dtype, name=None):
    node = op.constant(np.array(values, dtype=dtype))
    if name:
        node.set_friendly_name(name)
        node.output(0).set_names({name})
    return node


def i64(*values):
    return const(values, np.int64)


def i64_scalar(value):
    return const(value, np.int64)


def i32(values):
    return const(values, np.int32)


def f32(values):
    return const(values, np.float32)


class Weights:
    """Seeded random tensors by name, kept so that the same values can be written as safetensors."""

    def __init__(self, seed):
        self.random = np.random.Generator(np.random.PCG64(seed))
        self.tensors = {}

    def make(self, name, shape, scale, offset=0.0):
        values = (offset + scale * self.random.standard_normal(shape)).astype(np.float32)
        self.tensors[name] = values
        return values

    def matrix(self, name, rows, columns, gain=1.0):
        return self.make(name, (rows, columns), gain / np.sqrt(columns))


def parameter(name):
    node = op.parameter([-1, -1], np.int64, name)
    node.output(0).set_names({name})
    return node


def embed(table, name, ids):
    return op.gather(const(table, np.float32, "self." + name), op.convert(ids, "i32"), i32(0))


def linear(x, matrix, name):
    node = op.matmul(x, const(matrix, np.float32, f"self.{name}.weight"), False, True)
    node.set_friendly_name(f"__module.{name}/aten::linear/MatMul")
    return node


# ---- BERT, as all-MiniLM-L6-v2 is exported ----


def bert_linear(w, x, name, n_out, n_in, gain=1.0):
    product = linear(x, w.matrix(name + ".weight", n_out, n_in, gain), name)
    bias = w.make(name + ".bias", (n_out,), 0.1)
    return op.add(product, f32(bias.reshape(1, 1, -1)))


def layer_norm(w, x, name):
    normal = op.mvn(x, i32([-1]), True, 1e-12, "INSIDE_SQRT")
    scale = w.make(name + ".weight", (HIDDEN,), 0.1, 1.0)
    shift = w.make(name + ".bias", (HIDDEN,), 0.1)
    return op.add(op.multiply(normal, f32(scale.reshape(1, 1, -1))), f32(shift.reshape(1, 1, -1)))


def bert_mask(attention_mask, ids_shape):
    mask = op.unsqueeze(op.unsqueeze(attention_mask, i64_scalar(1)), i64_scalar(2))
    batch = op.gather(ids_shape, i64(0), i64_scalar(0))
    length = op.gather(ids_shape, i64(1, 1), i64_scalar(0))
    wide = op.broadcast(mask, op.concat([batch, i64(1), length], 0), broadcast_spec="BIDIRECTIONAL")
    inverse = op.subtract(f32([[[[1.0]]]]), op.convert(wide, "f32"))
    return op.select(op.convert(inverse, "boolean"), f32(np.finfo(np.float32).min), inverse)


def bert_layer(w, x, mask, layer):
    prefix = f"encoder.layer.{layer}."

    def heads(kind):
        y = bert_linear(w, x, prefix + "attention.self." + kind, HIDDEN, HIDDEN, 1.5)
        return op.transpose(op.reshape(y, i64(0, 0, HEADS, HEAD_DIM), True), i32([0, 2, 1, 3]))

    attention = op.scaled_dot_product_attention(heads("query"), heads("key"), heads("value"), mask)
    joined = op.reshape(op.transpose(attention, i32([0, 2, 1, 3])), i64(0, 0, HIDDEN), True)
    y = bert_linear(w, joined, prefix + "attention.output.dense", HIDDEN, HIDDEN)
    x = layer_norm(w, op.add(y, x), prefix + "attention.output.LayerNorm")
    y = op.gelu(bert_linear(w, x, prefix + "intermediate.dense", FFN, HIDDEN), "ERF")
    y = bert_linear(w, y, prefix + "output.dense", HIDDEN, FFN)
    return layer_norm(w, op.add(y, x), prefix + "output.LayerNorm")


def make_bert(w, n_layers):
    ids, attention_mask, types = (parameter(n) for n in ("input_ids", "attention_mask", "token_type_ids"))
    words = embed(w.make("embeddings.word_embeddings.weight", (VOCAB, HIDDEN), 0.5),
                  "embeddings.word_embeddings.weight", ids)
    kinds = embed(w.make("embeddings.token_type_embeddings.weight", (2, HIDDEN), 0.2),
                  "embeddings.token_type_embeddings.weight", types)
    table = w.make("embeddings.position_embeddings.weight", (MAX_POSITIONS, HIDDEN), 0.2)
    ids_shape = op.shape_of(ids)
    length = op.gather(ids_shape, i64(1), i64_scalar(0))
    positions = op.slice(const([range(MAX_POSITIONS)], np.int64), i64(0), length, i64(1), i64(1))
    x = op.add(op.add(words, kinds), embed(table, "embeddings.position_embeddings.weight", positions))
    x = layer_norm(w, x, "embeddings.LayerNorm")
    mask = bert_mask(attention_mask, ids_shape)
    for layer in range(n_layers):
        x = bert_layer(w, x, mask, layer)
    return finish(x, [ids, attention_mask, types])


# ---- Gemma 3 text encoder, as EmbeddingGemma-300M is exported ----

WINDOW = 4  # a key within this distance (exclusive) of the query is seen by sliding layers


def rms_norm(w, x, name, size, rank):
    ones = [1] * (rank - 1)
    mean = op.reduce_mean(op.power(x, f32(np.full(ones + [1], 2.0))), i64(-1), True)
    root = op.sqrt(op.add(mean, f32(np.full(ones + [1], 1e-6))))
    normal = op.multiply(x, op.divide(f32(np.full(ones + [1], 1.0)), root))
    scale = w.make(name + ".weight", (size,), 0.1, 1.0)
    return op.multiply(normal, f32(scale.reshape(ones + [size])))


def rope_tables(position_ids, base):
    """cos and sin, [batch, 1, length, head_dim]."""
    inverse = base ** (-np.arange(0, HEAD_DIM, 2, dtype=np.float64) / HEAD_DIM)
    angle = op.matmul(f32(inverse.reshape(1, -1, 1)), op.convert(op.unsqueeze(position_ids, i64_scalar(1)), "f32"),
                      False, False)
    angle = op.transpose(angle, i32([0, 2, 1]))
    angle = op.concat([angle, angle], -1)
    axis = i64_scalar(1)
    return op.unsqueeze(op.cos(angle), axis), op.unsqueeze(op.sin(angle), axis)


def rope(x, tables):
    half = HEAD_DIM // 2
    back = op.slice(x, i64(half), i64(INT64_MAX), i64(1), i64(3))
    front = op.slice(x, i64(0), i64(half), i64(1), i64(3))
    rotated = op.concat([op.multiply(back, op.convert(i32(-1), "f32")), front], -1)
    return op.add(op.multiply(x, tables[0]), op.multiply(rotated, tables[1]))


class GemmaShapes:
    """Batch and length as the export computes them, from the shape of the first normalised hidden state."""

    def __init__(self, x):
        self.shape = op.shape_of(x)
        self.batch = op.gather(self.shape, i64_scalar(0), i64_scalar(0))
        self.length = op.gather(self.shape, i64_scalar(1), i64_scalar(0))
        self.batch_1d = op.reshape(self.batch, i64(1), False)
        self.length_1d = op.reshape(self.length, i64(1), False)
        self.heads = op.concat([self.batch_1d, i64(1), i64(HEADS), self.length_1d, i64(HEAD_DIM)], 0)
        self.mask = op.concat([self.batch_1d, i64(1), self.length_1d, self.length_1d], 0)


def gather_padding(attention_mask, shapes, keys):
    """attention_mask[batch, key] as the traced index arithmetic: [batch, 1, 1, length]."""
    present = op.convert(attention_mask, "boolean")
    both = op.convert(op.gather(shapes.shape, i64(0, 1), i64_scalar(0)), "i32")
    flat = op.reshape(present, op.concat([op.reduce_prod(both, i32(0), True), i32([-1])], 0), True)
    rows = op.range(i32(0), shapes.batch, i32(1), "i64")
    for axis in (1, 2, 3):
        rows = op.unsqueeze(rows, i64_scalar(axis))
    zero = i32(0)
    stride = op.split(both, zero, 2).output(1)
    index = op.add(op.convert(keys, "i32"), op.multiply(op.convert(rows, "i32"), stride))
    picked = op.reshape(op.gather(flat, index, zero), i64(-1), False)
    return op.reshape(picked, op.shape_of(index, "i32"), False)


def gemma_masks(attention_mask, shapes):
    """The additive masks of sliding and full layers, [batch, 1, length, length]."""
    keys = op.range(i32(0), shapes.length, i32(1), "i64")
    for axis in (0, 1, 2):
        keys = op.unsqueeze(keys, i64_scalar(axis))
    queries = op.range(i64_scalar(0), shapes.length, i32(1), "i64")
    for axis in (0, 1, 3):
        queries = op.unsqueeze(queries, i64_scalar(axis))
    true, false = (lambda: const(True, np.bool_)), (lambda: const(False, np.bool_))
    window = const([[[[WINDOW]]]], np.int64)
    recent = op.bitwise_and(true(), op.greater(keys, op.add(queries, const([[[[-WINDOW]]]], np.int64))))
    causal = op.less_equal(keys, queries)
    near = op.less(op.abs(op.subtract(queries, keys)), window)
    sliding = op.bitwise_or(op.bitwise_or(false(), op.bitwise_and(recent, causal)), near)
    full = op.bitwise_or(op.bitwise_or(false(), causal), true())
    present = gather_padding(attention_mask, shapes, keys)

    def additive(mask):
        seen = op.bitwise_and(op.bitwise_and(true(), mask), present)
        wide = op.broadcast(seen, shapes.mask, broadcast_spec="BIDIRECTIONAL")
        bias = op.select(wide, f32(0.0), f32(-65504.0))
        return op.slice(bias, i64(0), shapes.length_1d, i64(1), i64(3))

    return {"sliding": additive(sliding), "full": additive(full)}


def repeat_heads(x, axis, shapes):
    wide = op.broadcast(op.unsqueeze(x, axis), shapes.heads, broadcast_spec="BIDIRECTIONAL")
    return op.reshape(wide, i64(0, HEADS, -1, HEAD_DIM), True)


def gemma_attention(w, x, prefix, tables, shapes, mask):
    q = linear(x, w.matrix(prefix + "q_proj.weight", HIDDEN, HIDDEN), prefix + "q_proj")
    q = op.transpose(op.reshape(q, i64(0, 0, HEADS, HEAD_DIM), True), i32([0, 2, 1, 3]))
    q = rope(rms_norm(w, q, prefix + "q_norm", HEAD_DIM, 4), tables)
    k = linear(x, w.matrix(prefix + "k_proj.weight", HEAD_DIM, HIDDEN), prefix + "k_proj")
    k = op.reshape(op.reshape(k, i64(0, 0, 1, HEAD_DIM), True), i64(0, 1, -1, 0), True)
    k = rope(rms_norm(w, k, prefix + "k_norm", HEAD_DIM, 4), tables)
    v = linear(x, w.matrix(prefix + "v_proj.weight", HEAD_DIM, HIDDEN), prefix + "v_proj")
    v = op.reshape(op.reshape(v, i64(0, 0, 1, HEAD_DIM), True), i64(0, 1, -1, 0), True)
    axis = i64_scalar(2)
    y = op.scaled_dot_product_attention(q, repeat_heads(k, axis, shapes), repeat_heads(v, axis, shapes), mask,
                                        f32(HEAD_DIM ** -0.5))
    y = op.reshape(op.transpose(y, i32([0, 2, 1, 3])), i64(0, 0, HIDDEN), True)
    return linear(y, w.matrix(prefix + "o_proj.weight", HIDDEN, HIDDEN), prefix + "o_proj")


def gemma_mlp(w, x, prefix):
    gate = op.gelu(linear(x, w.matrix(prefix + "gate_proj.weight", FFN, HIDDEN), prefix + "gate_proj"), "TANH")
    up = linear(x, w.matrix(prefix + "up_proj.weight", FFN, HIDDEN), prefix + "up_proj")
    return linear(op.multiply(gate, up), w.matrix(prefix + "down_proj.weight", HIDDEN, FFN), prefix + "down_proj")


def make_gemma(w, kinds):
    ids, attention_mask, position_ids = (parameter(n) for n in ("input_ids", "attention_mask", "position_ids"))
    x = embed(w.make("embed_tokens.weight", (VOCAB, HIDDEN), 0.1), "embed_tokens.weight", ids)
    x = op.multiply(x, f32([[[HIDDEN ** 0.5]]]))
    tables = {"sliding": rope_tables(position_ids, 1e4), "full": rope_tables(position_ids, 1e6)}
    shapes = masks = None
    for layer, kind in enumerate(kinds):
        prefix = f"layers.{layer}."
        y = rms_norm(w, x, prefix + "input_layernorm", HIDDEN, 3)
        if shapes is None:
            shapes = GemmaShapes(y)
            masks = gemma_masks(attention_mask, shapes)
        y = gemma_attention(w, y, prefix + "self_attn.", tables[kind], shapes, masks[kind])
        x = op.add(x, rms_norm(w, y, prefix + "post_attention_layernorm", HIDDEN, 3))
        y = rms_norm(w, x, prefix + "pre_feedforward_layernorm", HIDDEN, 3)
        y = gemma_mlp(w, y, prefix + "mlp.")
        x = op.add(x, rms_norm(w, y, prefix + "post_feedforward_layernorm", HIDDEN, 3))
    return finish(rms_norm(w, x, "norm", HIDDEN, 3), [ids, attention_mask, position_ids])


# ---- inputs, outputs, files ----


def finish(output, parameters):
    output.output(0).set_names({"last_hidden_state"})
    return ov.Model([op.result(output)], parameters, "Model0")


def make_inputs(model, lengths):
    """Right-padded rows of the given lengths: ids in the vocabulary, pad id 0, positions counted."""
    random = np.random.Generator(np.random.PCG64(len(lengths)))
    width = max(lengths)
    mask = (np.arange(width)[None, :] < np.array(lengths)[:, None]).astype(np.int64)
    ids = random.integers(5, VOCAB, (len(lengths), width)) * mask
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask),
              "position_ids": np.tile(np.arange(width), (len(lengths), 1))}
    return {p.any_name: values[p.any_name] for p in model.inputs}


def save_npy(path, array):
    np.save(path, np.ascontiguousarray(array))


def record(model, folder, compress_to_fp16=False):
    """Writes the model, then what OpenVINO computes from the written file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "openvino_model.xml"
    ov.save_model(model, path, compress_to_fp16=compress_to_fp16)
    compiled = ov.Core().compile_model(path, "CPU", CPU_OPTIONS)
    for label, lengths in (("1x7", [7]), ("4x16", [16, 3, 11, 1])):
        inputs = make_inputs(model, lengths)
        for name, values in inputs.items():
            save_npy(folder / f"input_{label}_{name}.npy", values)
        output = compiled(inputs)[0]
        assert np.isfinite(output).all(), folder
        save_npy(folder / f"output_{label}.npy", output)


def compress(model, mode, **options):
    return nncf.compress_weights(model, mode=mode, **options)


def quantize_static(model):
    random = np.random.Generator(np.random.PCG64(7))
    samples = [make_inputs(model, list(random.integers(4, 16, 3))) for _ in range(4)]
    return nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=4)


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(values.dtype)]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(v.tobytes() for v in tensors.values()))


def make_vocabulary():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += list("abcdefghijklmnopqrstuvwxyz0123456789.,!?'-")
    pieces += ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"]
    pieces += ["the", "and", "of", "to", "##ing", "##ed", "##er", "##s2", "model", "run", "small", "weight", "zero",
               "block", "un", "##able", "fast", "test", "text", "word"]
    return {piece: index for index, piece in enumerate(pieces + [f"[unused{i}]" for i in range(VOCAB - len(pieces))])}


def write_hugging_face(folder, w, n_layers):
    """The folder of which the `bert` fixture is the export."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "1_Pooling").mkdir(parents=True)
    tensors = dict(w.tensors)
    tensors["embeddings.position_ids"] = np.arange(MAX_POSITIONS, dtype=np.int64).reshape(1, -1)
    write_safetensors(folder / "model.safetensors", dict(sorted(tensors.items())))

    def write(name, value):
        (folder / name).write_text(json.dumps(value, indent=1) + "\n")

    write("config.json", {
        "architectures": ["BertModel"], "hidden_act": "gelu", "hidden_size": HIDDEN, "intermediate_size": FFN,
        "layer_norm_eps": 1e-12, "max_position_embeddings": MAX_POSITIONS, "model_type": "bert",
        "num_attention_heads": HEADS, "num_hidden_layers": n_layers, "pad_token_id": 0,
        "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": VOCAB})
    write("1_Pooling/config.json", {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True,
                                    "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False})
    write("sentence_bert_config.json", {"max_seq_length": MAX_POSITIONS, "do_lower_case": False})
    vocabulary = make_vocabulary()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

    def template(*sequences):
        steps = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]
        for kind, name in enumerate(sequences):
            steps += [{"Sequence": {"id": name, "type_id": kind}}, {"SpecialToken": {"id": "[SEP]", "type_id": kind}}]
        return steps

    write("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "special": True, "content": s, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False} for i, s in enumerate(special)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": template("A"), "pair": template("A", "B"),
                           "special_tokens": {s: {"id": s, "ids": [vocabulary[s]], "tokens": [s]}
                                              for s in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary}})


def main(target):
    mode = nncf.CompressWeightsMode
    grouped = {"group_size": 32, "ratio": 1.0, "all_layers": True}
    kinds = ["sliding", "full"]
    w = Weights(1)
    record(make_bert(w, 2), target / "bert")
    write_hugging_face(target / "bert-hf", w, 2)
    record(make_bert(Weights(1), 1), target / "bert-f16", compress_to_fp16=True)
    record(compress(make_bert(Weights(1), 1), mode.INT8_ASYM), target / "bert-int8-asym")
    record(compress(make_bert(Weights(1), 1), mode.INT4_ASYM, **grouped), target / "bert-int4-asym")
    record(compress(make_bert(Weights(1), 1), mode.INT4_SYM, **grouped), target / "bert-int4-sym")
    record(quantize_static(make_bert(Weights(1), 1)), target / "bert-static-int8")
    record(make_gemma(Weights(2), kinds), target / "gemma")
    record(compress(make_gemma(Weights(2), kinds), mode.INT8_SYM), target / "gemma-int8-sym")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
