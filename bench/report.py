# SPDX-License-Identifier: Apache-2.0
"""What the reports of bench/ share."""


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def write_between(path, name, text):
    """Replaces what stands in `path` between the lines <!-- NAME begin --> and <!-- NAME end -->."""
    begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->\n"
    old = path.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise SystemExit(f"{name}: {path} has no marks to write between")
    path.write_text(old[:old.index(begin) + len(begin)] + text + old[old.index(end):], encoding="utf-8")
