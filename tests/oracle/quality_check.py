# SPDX-License-Identifier: Apache-2.0
"""Quality figures of compressed models as OpenVINO runs them, beside those of `incise evaluate`.

usage: quality_check.py INCISE BASE MODEL... [--pairs TSV] [--limit N]
Texts get the model's prompts for queries and documents, are tokenized by Hugging Face's tokenizers, pooled by the mean,
and compared with OpenVINO's own base vectors; incise does all of it by itself, with activations as the file says. Fails
when a figure differs by more than 0.005.
"""
import argparse
import json
from pathlib import Path

import numpy as np

from oracle import Oracle, load_tokenizer, run_incise

LIMIT, MAX_TOKENS, BATCH = 0.005, 256, 16


def prompts(folder):
    """What stands before queries and before documents."""
    path = folder / "config_sentence_transformers.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("prompts") or {} if path.exists() else {}
    return [named.get(name) or "" for name in ("query", "document")]


def vectors(oracle, texts):
    """[texts, width], of length 1."""
    tokenizer, rows = load_tokenizer(oracle.folder), [None] * len(texts)
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
    for first in range(0, len(order), BATCH):
        batch = order[first:first + BATCH]
        mask = np.zeros((len(batch), len(ids[batch[-1]])), np.int64)
        tokens = np.zeros_like(mask)
        for row, i in enumerate(batch):
            mask[row, :len(ids[i])], tokens[row, :len(ids[i])] = 1, ids[i]
        values = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        hidden = oracle.output({port.any_name: values[port.any_name] for port in oracle.model.inputs})
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        for row, i in enumerate(batch):
            rows[i] = pooled[row] / np.linalg.norm(pooled[row])
    return np.array(rows)


def ndcg(queries, documents):
    """Of query i the wanted document is i."""
    scores = queries @ documents.T
    rank = (scores > np.diag(scores)[:, None]).sum(1)
    return float(np.where(rank < 10, 1 / np.log2(rank + 2), 0).mean())


def both_sides(folder, pairs):
    """Vectors of the queries and of the documents."""
    oracle = Oracle(folder)
    return [vectors(oracle, [prompt + text for text in side]) for prompt, side in zip(prompts(folder), zip(*pairs))]


def figures(base, model):
    (q, d), (q2, d2) = base, model
    cosines = (d * d2).sum(1)
    near, near2 = (np.argsort(-(x @ x.T) + 4 * np.eye(len(x)), axis=1)[:, :10] for x in (d, d2))
    kept = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near, near2)])
    return {"cosine_mean": float(cosines.mean()), "cosine_p1": float(np.percentile(cosines, 1)),
            "neighbours_top10": float(kept), "ndcg10": ndcg(q2, d2), "ndcg10_drop": ndcg(q, d) - ndcg(q2, d2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("incise", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--pairs", type=Path, default=Path(__file__).parents[2] / "data/packages/test.tsv")
    parser.add_argument("--limit", type=float, default=LIMIT)
    arguments = parser.parse_args()
    pairs = [tuple(line.split("\t")) for line in arguments.pairs.read_text(encoding="utf-8").splitlines()]
    worst, base = 0.0, both_sides(arguments.base, pairs)
    for model in arguments.models:
        theirs = figures(base, both_sides(model, pairs))
        ours = json.loads(run_incise(arguments.incise, "evaluate", arguments.base, model, "--retrieval",
                                     arguments.pairs, "--max-length", MAX_TOKENS, "--compute", "float", "--format", "json"))
        for name, value in theirs.items():
            print(f"{model.name} {name}: incise {ours[name]:.4f}, OpenVINO {value:.4f}", flush=True)
            worst = max(worst, abs(ours[name] - value))
    print(f"largest difference {worst:.4f}")
    return 1 if worst > arguments.limit else 0


if __name__ == "__main__":
    raise SystemExit(main())
