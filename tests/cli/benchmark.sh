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
