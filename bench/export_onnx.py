#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports a Hugging Face encoder folder to ONNX for the rivals that read nothing else.

usage: export_onnx.py FOLDER OUT.onnx       (needs the venv of scripts/venv --export)
Inputs input_ids, attention_mask and, for BERT, token_type_ids; output last_hidden_state; batch and length dynamic.
"""
import sys

import torch
from transformers import AutoModel

folder, out = sys.argv[1:]
model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
names = ["input_ids", "attention_mask"] + (["token_type_ids"] if model.config.model_type == "bert" else [])
example = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
dynamic = {name: {0: "batch", 1: "length"} for name in names + ["last_hidden_state"]}
torch.onnx.export(model, (), out, kwargs=example, input_names=names, output_names=["last_hidden_state"],
                  dynamic_axes=dynamic, opset_version=14, dynamo=False)
