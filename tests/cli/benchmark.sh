# SPDX-License-Identifier: Apache-2.0
# A row per model, batch and length with every documented key.
keys="model device isa precision compute batch seq_len texts threads iterations fps fps_best latency_ms tokens_per_s
    peak_rss_mb load_s speedup cosine_mean cosine_p1 neighbours_top10"
incise convert $data/tiny/bert-hf -o base
incise quantize base -o int8 >/dev/null
head -n 12 $data/passages.txt >texts.txt
incise benchmark base int8 -b 1,2 -s 8,16 --seconds 0.01 --texts texts.txt --format json >rows.json 2>/dev/null
cli_check json $keys <rows.json
incise benchmark base int8 $data/tiny/gemma -b 1,2 -s 8 --seconds 0.01 --isa scalar --format csv | cut -d, -f1-8
incise benchmark base --seconds 0.01 -b 2 -s 4 --threads 1 --isa scalar | tail -n +3 | sed 's/  */ /g' | cut -d' ' -f1-4
# The machine's limits, alone and as a share; per op in a profile.
incise benchmark --peak --seconds 0.01 --format json | cli_check json limit kernel unit one_thread all_threads threads
incise benchmark --peak --seconds 0.01 --isa scalar --threads 2 --format csv | cut -d, -f1-3,6
incise benchmark base --peak --seconds 0.01 -b 1 -s 8 --format csv | tail -n +2 | cut -d, -f22 | sed 's/^[0-9][0-9.e-]*$/a share/'
incise run base --input input_ids=$data/tiny/bert/input_1x7_input_ids.npy --profile --format json >profile.json
cli_check json op name ms share gflops gb_per_s peak_share kernel <profile.json
