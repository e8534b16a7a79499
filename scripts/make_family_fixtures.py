# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/tiny/<family>-hf: tiny seeded models of transformers' own classes, as the folders that people have,
with inputs, and the hidden states that transformers computes in float32 from the stored weights.

usage: make_family_fixtures.py OUT_FOLDER     (needs torch and transformers: `scripts/venv --export`)
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from safetensors.torch import save_file

VOCAB = 64
ROWS = {"1x7": [7], "4x16": [16, 3, 11, 1], "1x120": [120]}
BERT = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=32, layer_norm_eps=1e-5)
LLAMA = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=28, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, head_dim=12, max_position_embeddings=64)
# folder: config class, its settings, type of the weights, prefix of their names, tensors of heads that do not count
FAMILIES = {
    "gemma3-hf": (tf.Gemma3TextConfig, dict(LLAMA, sliding_window=6, use_bidirectional_attention=True, dtype="float32",
                  layer_types=["sliding_attention", "full_attention", "sliding_attention"], query_pre_attn_scalar=20),
                  torch.float16, "", []),
    "gemma3-causal-hf": (tf.Gemma3TextConfig, dict(LLAMA, sliding_window=5, sliding_window_pattern=2, dtype="bfloat16",
                         query_pre_attn_scalar=12), torch.bfloat16, "model.", []),
    "qwen3-hf": (tf.Qwen3Config, dict(LLAMA, rope_theta=5000.0), torch.bfloat16, "model.", ["lm_head.weight"]),
    "roberta-hf": (tf.RobertaConfig, dict(BERT, type_vocab_size=2), torch.float16, "roberta.", ["lm_head.bias"]),
    "xlm-roberta-hf": (tf.XLMRobertaConfig, dict(BERT, type_vocab_size=1, pad_token_id=3), torch.bfloat16, "", []),
    "distilbert-hf": (tf.DistilBertConfig, dict(vocab_size=VOCAB, dim=32, hidden_dim=40, n_layers=2, n_heads=4,
                      max_position_embeddings=32), torch.float16, "distilbert.", ["vocab_projector.bias"]),
    "mpnet-hf": (tf.MPNetConfig, dict(BERT, hidden_size=16, num_attention_heads=2, max_position_embeddings=130),
                 torch.float32, "", ["pooler.dense.bias"]),
    "modernbert-hf": (tf.ModernBertConfig, dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=24,
                      num_hidden_layers=3, num_attention_heads=4, global_attn_every_n_layers=2, local_attention=6,
                      pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2), torch.float16,
                      "model.", ["head.dense.weight", "decoder.bias"]),
}


def fill(model, seed, dtype):
    """Seeded weights that move outputs, rounded to the type they are stored in."""
    random = np.random.Generator(np.random.PCG64(seed))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.from_numpy(random.standard_normal(tuple(weight.shape)).astype(np.float32))
            if weight.ndim == 2:
                table = "embed" in name or "relative" in name
                noise *= 0.5 if table else 1.5 / weight.shape[1] ** 0.5
            else:
                noise = 0.2 * noise + (1.0 if "norm" in name.lower() and name.endswith("weight") and
                                       model.config.model_type != "gemma3_text" else 0.0)
            weight.copy_(noise.to(dtype).float())


def save_weights(model, folder, dtype, prefix, heads):
    tensors = {prefix + name: value.to(dtype).contiguous() for name, value in model.state_dict().items()
               if not name.startswith("pooler")}
    tensors.update({name: torch.zeros(4, dtype=dtype) for name in heads})
    if prefix or heads or model.config.model_type != "gemma3_text":
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / shard, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def record(model, folder, shape, pad, random):
    lengths = ROWS[shape]
    ids = random.integers(5, VOCAB, (len(lengths), max(lengths)))
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.where(mask, ids, pad)
    with torch.no_grad():
        output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
    np.save(folder / f"input_{shape}_input_ids.npy", ids)
    np.save(folder / f"input_{shape}_attention_mask.npy", mask)
    np.save(folder / f"output_{shape}.npy", output.numpy())


def make(folder, seed, config_class, settings, dtype, prefix, heads):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = json.dumps(dict(settings, model_type=config_class.model_type), indent=1, sort_keys=True)
    (folder / "config.json").write_text(text + "\n")
    config = config_class(**{key: value for key, value in settings.items() if key != "dtype"})
    model = tf.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    fill(model, seed, dtype)
    if settings.get("dtype") == "bfloat16":  # the scale of the embeddings is rounded as the model's type does it
        model.embed_tokens.embed_scale = model.embed_tokens.embed_scale.bfloat16().float()
    save_weights(model, folder, dtype, prefix, heads)
    random = np.random.Generator(np.random.PCG64(seed + 1))
    for shape in ROWS if "mpnet" in folder.name else list(ROWS)[:2]:
        record(model, folder, shape, config.pad_token_id or 0, random)


def main(out):
    for seed, (name, family) in enumerate(FAMILIES.items()):
        make(Path(out) / name, 100 * seed, *family)
        print(name, sum(f.stat().st_size for f in (Path(out) / name).iterdir()) // 1024, "KiB")


main(sys.argv[1])
