# SPDX-License-Identifier: Apache-2.0
"""The rows of bench/quality. The prototype is a study in Python that set the goals of these methods, on other texts."""
from dataclasses import dataclass


@dataclass
class Row:
    name: str                # of the folder
    command: str             # `prune` or `quantize` with its options; P is the file of calibration texts
    prototype: tuple = None  # its mean cosine, p1, top-10 and nDCG@10 drop, as far as it measured them
    over: tuple = None       # (row of magnitude, the prototype's mean cosine for it): gains are counted from there
    floor: float = None      # of the mean cosine; None: the prototype's less the slack; 0: a row to compare with
    base: str = "fp32"       # or the row whose model is changed


def prune(pattern, sparsity, rest):
    return f"prune --pattern {pattern} --sparsity {sparsity} {rest}"


MAGNITUDE, DENSE, RESIDUAL = "--method magnitude", "--refit dense --calibrate P", "--refit residual --calibrate P"
SHORT, ALL = " --tokens 8500", " --tokens 200000"  # the latter takes every text of P
FFN = "--select intermediate|[0-9].output"
INT4 = "quantize --weights int4 --activations float"
STATIC = "quantize --activations static --round nearest"
MIN_32 = {0.3: .31, 0.5: .15, 0.7: .12}  # mean cosine of 32x32 magnitude in the prototype


def blocks(sparsity, wanda, obs, residual):
    """32x32 in MiniLM; the prototype's figures of three methods."""
    name, pattern = f"32x32-{sparsity * 100:.0f}", "block:32x32"
    over = (f"{name}-magnitude", MIN_32[sparsity])
    return [Row(f"{name}-magnitude", prune(pattern, sparsity, MAGNITUDE), (MIN_32[sparsity],), None, 0),
            Row(f"{name}-wanda-dense", prune(pattern, sparsity, f"--method wanda {DENSE}"), wanda, over),
            Row(f"{name}-obs-dense", prune(pattern, sparsity, f"--method obs {DENSE}"), obs, obs and over),
            Row(f"{name}-obs-residual", prune(pattern, sparsity, f"--method obs {RESIDUAL}"), residual,
                residual and over)]


def strips(shape, wanda):
    """Narrow blocks in MiniLM at 50 %, targets residual-aware."""
    return [Row(f"{shape}-50-{method}-residual", prune(f"block:{shape}", 0.5, f"--method {method} {RESIDUAL}"),
                prototype)
            for method, prototype in (("wanda", wanda), ("obs", None))]


def channels(sparsity, dense, residual=None):
    return [Row(f"channels-{sparsity * 100:.0f}-obs-{refit}",
                prune("channel", sparsity, f"--method obs --refit {refit} --calibrate P"), prototype)
            for refit, prototype in (("dense", dense), ("residual", residual))]


def on_top(base):
    return Row(f"{base}-int8", "quantize --weights int8", base=base)


MINILM = [
    Row("int8", "quantize --weights int8", (.998, .997, .941, .001)),
    Row("int8-search", "quantize --weights int8 --round search"),
    Row("int8-gptq", "quantize --weights int8 --calibrate P"),
    Row("int7", "quantize --weights int7"),
    Row("static-minmax", f"{STATIC} --range minmax --calibrate P", (.994, .991, .897, 0)),
    Row("static-mse", f"{STATIC} --range mse --calibrate P"),
    Row("int4-nearest", f"{INT4} --round nearest", (.957,)),
    Row("int4-search-unweighted", f"{INT4} --round search"),
    Row("int4-search", f"{INT4} --round search --calibrate P", (.976,)),
    Row("int4-gptq", f"{INT4} --round gptq --calibrate P", (.993, .987, .896, .002)),
    *channels(0.25, (.983, .960, .845, .004)),
    *channels(0.5, (.946, .887, .721, .008), (.949, .891, .733, .003)),
    *channels(0.75, (.866, .751, .570, .039)),
    Row("channels-50-magnitude", prune("channel", 0.5, "--method magnitude --refit none --calibrate P")),
    Row("channels-50-wanda-residual", prune("channel", 0.5, f"--method wanda {RESIDUAL}")),
    on_top("channels-50-obs-residual"),
    *blocks(0.3, (.852, .724, .543, .045), None, None),
    *blocks(0.5, (.744,), (.767, .605, .444, .072), (.788, .625, .479, .068)),
    *blocks(0.7, (.642,), (.652, .436, .341, .151), None),
    Row("32x32-ffn-45-magnitude", prune("block:32x32", 0.45, f"{FFN} {MAGNITUDE}")),
    Row("32x32-ffn-45-wanda-dense", prune("block:32x32", 0.45, f"{FFN} --method wanda {DENSE}"),
        (.879, .776, .578, .027)),
    *strips("32x4", (.804, .649, .492, .061)),
    *strips("32x1", (.834, .695, .534, .045)),
    *strips("16x1", (.845, .724, .553, .033)),
    Row("16x1-50-wanda-dense", prune("block:16x1", 0.5, f"--method wanda {DENSE}"), (.822, .683, .514, .045)),
    Row("16x1-70-wanda-dense", prune("block:16x1", 0.7, f"--method wanda {DENSE}"), (.702, .516, .377, .108)),
    on_top("32x4-50-obs-residual"),
    *[Row(f"{shape}-50-global", prune(f"block:{shape}", 0.5, f"--allocate global {RESIDUAL}{ALL}"), floor=floor)
      for shape, floor in (("32x32", .82), ("32x4", .84), ("32x1", .87))],
    Row("32x32-50-channels", prune("block:32x32", 0.5, f"--allocate channels {RESIDUAL}{ALL}"), floor=.82),
]

DOWN = "--select down_proj"
EMBEDDINGGEMMA = [
    Row("int8", "quantize --weights int8", (.9987, .998, .961, 0)),
    Row("static-minmax", f"{STATIC} --range minmax --calibrate P{SHORT}", (.979, .971, .855, 0)),
    Row("static-mse", f"{STATIC} --range mse --calibrate P{SHORT}"),
    Row("int4-nearest", f"{INT4} --round nearest", (.967, .955, .870, 0)),
    Row("int4-gptq", f"{INT4} --round gptq --calibrate P{SHORT}", None, None, .985),
    Row("channels-25-obs-residual", prune("channel", 0.25, f"--method obs {RESIDUAL}{SHORT}"), (.970, .939, .833, 0)),
    Row("channels-50-obs-residual", prune("channel", 0.5, f"--method obs {RESIDUAL}{SHORT}"), (.917, .844, .729, .005)),
    on_top("channels-50-obs-residual"),
    Row("channels-50-more-tokens", prune("channel", 0.5, f"--method obs {RESIDUAL}")),
    on_top("channels-50-more-tokens"),
    Row("down-70-magnitude", prune("block:32x32", 0.7, f"{DOWN} {MAGNITUDE}"), (.04,), None, 0),
    Row("down-70-wanda-dense", prune("block:32x32", 0.7, f"{DOWN} --method wanda {DENSE}{SHORT}"), (.697,),
        ("down-70-magnitude", .04)),
    Row("32x32-30-wanda-dense", prune("block:32x32", 0.3, f"--method wanda {DENSE}{SHORT}"), (.868, .745, .657, .007)),
    Row("32x32-50-magnitude", prune("block:32x32", 0.5, MAGNITUDE), (.02,), None, 0),
    Row("32x32-50-wanda-dense", prune("block:32x32", 0.5, f"--method wanda {DENSE}{SHORT}"), (.752, .585, .538, .030),
        ("32x32-50-magnitude", .02)),
    Row("32x32-70-wanda-dense", prune("block:32x32", 0.7, f"--method wanda {DENSE}{SHORT}"), (.631, .429, .389, .110)),
    Row("16x1-50-wanda-dense", prune("block:16x1", 0.5, f"--method wanda {DENSE}{SHORT}"), (.859, .728, .635, .010)),
    Row("32x4-50-obs-residual", prune("block:32x4", 0.5, f"--method obs {RESIDUAL}{SHORT}"), floor=.86),
    on_top("32x4-50-obs-residual"),
    Row("32x32-50-channels", prune("block:32x32", 0.5, f"--allocate channels {RESIDUAL}"), floor=.82),
]

ROWS = {"minilm": MINILM, "embeddinggemma": EMBEDDINGGEMMA}
