# SPDX-License-Identifier: Apache-2.0
"""Fails when a source file includes what its layer may not see (docs/architecture.md has the picture).

usage: check_includes.py [ROOT]
"""
import re
import sys
from pathlib import Path

# Each layer with the layers right below it; a layer sees itself, everything below, and the public headers.
BELOW = {
    "base": [],
    "kernels": ["base"],
    "graph": ["base"],
    "formats": ["graph"],
    "text": ["base"],
    "device": ["kernels", "graph"],
    "lower": ["device"],
    "compress": ["lower", "text", "formats"],
    "api": ["compress"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def visible(layer):
    seen = {layer}
    for below in BELOW[layer]:
        seen |= visible(below)
    return seen


def resolve(root, path, name):
    """The included file, looked up beside the includer, in src/ and in include/; None if it is not ours."""
    for folder in (path.parent, root / "src", root / "include"):
        candidate = (folder / name).resolve()
        if candidate.is_file():
            return candidate.relative_to(root)
    return None


def layer_of(relative):
    """'base', 'graph', ... for src/, else the top folder."""
    return relative.parts[1] if relative.parts[0] == "src" else relative.parts[0]


def check(root, path):
    layer = layer_of(path.relative_to(root))
    allowed = {"include"} | (set() if layer in ("include", "tools") else visible(layer))
    if layer == "tools":
        allowed.add("tools")
    for name in INCLUDE.findall(path.read_text()):
        target = resolve(root, path, name)
        if target is None:
            yield f'{path.relative_to(root)}: includes "{name}", which does not exist'
        elif layer_of(target) not in allowed:
            yield f'{path.relative_to(root)}: {layer} may not include "{name}"'


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files = [p for top in ("src", "include", "tools") for p in sorted((root / top).rglob("*.[ch]"))]
    problems = [p.relative_to(root) for p in files
                if p.relative_to(root).parts[0] == "src" and layer_of(p.relative_to(root)) not in BELOW]
    problems = [f"{p}: not in a known layer" for p in problems]
    if not problems:
        problems = [message for path in files for message in check(root, path)]
    for message in problems:
        print(message)
    print(f"{len(files)} files, {len(problems)} bad includes")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
