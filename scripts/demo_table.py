# SPDX-License-Identifier: Apache-2.0
"""Prints the demo's table from `incise benchmark --format json`. usage: demo_table.py BENCHMARK.json MODELS_FOLDER"""
import json
import sys
from pathlib import Path

# heading, format of a cell, its value
COLUMNS = [
    ("configuration", "{}", lambda row: row["name"]),
    ("batch", "{}", lambda row: row["batch"]),
    ("FPS", "{:.1f}", lambda row: row["fps"]),
    ("speed-up", "{:.2f}x", lambda row: row["speedup"]),
    ("cosine mean", "{:.3f}", lambda row: row["cosine_mean"]),
    ("cosine p1", "{:.3f}", lambda row: row["cosine_p1"]),
    ("top-10 kept", "{:.1%}", lambda row: row["neighbours_top10"]),
    ("size MB", "{:.1f}", lambda row: row["size"] / 1e6),
]


def name_of(model):
    path = Path(model)
    return path.parent.name if path.suffix == ".xml" else path.name


def cells_of(row, folder):
    row["name"] = name_of(row["model"])
    row["size"] = sum((folder / row["name"] / f"openvino_model.{kind}").stat().st_size for kind in ("xml", "bin"))
    values = [value(row) for _, _, value in COLUMNS]
    return ["-" if value is None else shape.format(value) for (_, shape, _), value in zip(COLUMNS, values)]


def main():
    rows = json.loads(Path(sys.argv[1]).read_text())
    table = [[heading for heading, _, _ in COLUMNS]] + [cells_of(row, Path(sys.argv[2])) for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    for line in table:
        print("  ".join([line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]).rstrip())


if __name__ == "__main__":
    main()
