#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# data/ keeps its promises: sizes, one package in one file, no near-duplicates across files. usage: $0 SOURCE_ROOT
set -euo pipefail
python3 - "$1" <<'PYTHON'
import pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root / "scripts"))
from make_passages import MAX_SHARED, shingles

SIZES = {"packages/calibration": 1500, "packages/validation": 500, "packages/test": 1000, "packages/rest": 1000,
         "multilingual/calibration": 176, "multilingual/validation": 66, "multilingual/test": 220}
names, file = {}, None
for line in (root / "data/packages.txt").read_text().splitlines():
    if line.endswith(".tsv"):
        file = names.setdefault(line[:-4], [])
    else:
        file.append(line.split()[1])
assert {name: len(packages) for name, packages in names.items()} == SIZES, "packages.txt"
packages = [package for rows in names.values() for package in rows]
assert len(set(packages)) == len(packages), "a package is in two places"

held = {"passages": set().union(*map(shingles, (root / "tests/data/passages.txt").open(encoding="utf-8")))}
documents = {}
for name, n in SIZES.items():
    rows = [line.split("\t") for line in (root / f"data/{name}.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == n and all(len(row) == 2 and all(row) for row in rows), name
    documents[name] = [shingles(row[1]) for row in rows]
    held[name] = set().union(*documents[name])
for name in SIZES:
    if name.startswith("multilingual"):
        continue  # words are no measure of all of its languages
    others = set().union(*(marks for other, marks in held.items() if other != name))
    for marks in documents[name]:
        assert len(marks & others) <= MAX_SHARED * len(marks), (name, sorted(marks)[:3])
assert sum(path.stat().st_size for path in (root / "data").rglob("*") if path.is_file()) <= 2_000_000
PYTHON
