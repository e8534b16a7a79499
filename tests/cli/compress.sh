# SPDX-License-Identifier: Apache-2.0
# convert -> prune -> quantize: each result loads and runs; what the edits report is what the files hold.
tiny=$data/tiny/bert
inputs=(--input input_ids=$tiny/input_4x16_input_ids.npy --input attention_mask=$tiny/input_4x16_attention_mask.npy)
run() { # MODEL OUT OPTIONS...
    local model=$1 out=$2
    shift 2
    incise run "$model" "${inputs[@]}" -o "$out" "$@" --format csv
}
close() { # OUT REFERENCE LIMIT
    cli_check close "$1/0_last_hidden_state.npy" "$2" "$3" $tiny/input_4x16_attention_mask.npy
}

incise convert $data/tiny/bert-hf -o base
ls base
run base base-out && close base-out $tiny/output_4x16.npy 1e-5 && echo "base as recorded"

incise prune base -o pruned --pattern block:32x32 --sparsity 0.5 --format csv | cut -d, -f2-5 | sort | uniq -c
run pruned pruned-out && run pruned pruned-ref --reference
close pruned-out pruned-ref/0_last_hidden_state.npy 1e-5 && echo "pruned as the reference"
close pruned-out base-out/0_last_hidden_state.npy 1e-5 >difference || echo "pruned differs from base"
incise prune base -o pruned-1 --pattern block:32x4 --sparsity 0.7 --method random --seed 7 >/dev/null
incise prune base -o pruned-2 --pattern block:32x4 --sparsity 0.7 --method random --seed 7 >/dev/null
incise prune base -o pruned-3 --pattern block:32x4 --sparsity 0.7 --method random --seed 8 >/dev/null
cmp pruned-1/openvino_model.bin pruned-2/openvino_model.bin && echo "same seed, same bytes"
cmp -s pruned-1/openvino_model.bin pruned-3/openvino_model.bin || echo "other seed, other bytes"

incise quantize pruned -o int8 --format csv | cut -d, -f2-3 | sort | uniq -c
incise inspect int8 --format csv | awk -F, '$3 == "i8" {n++} END {print n " integer linears"}'
run int8 int8-float --compute float && run int8 int8-ref --reference
close int8-float int8-ref/0_last_hidden_state.npy 1e-5 && echo "int8 weights as the reference"
run int8 int8-out
close int8-out int8-float/0_last_hidden_state.npy 0.1 && echo "integers near floats"
incise quantize base -o int4 --weights int4 --ignore intermediate --activations float --format csv | wc -l
incise quantize int4 -o mixed --round search --format csv | wc -l
run int4 int4-out && run int4 int4-ref --reference &&
    close int4-out int4-ref/0_last_hidden_state.npy 1e-3 && echo "int4 as the reference"
fails incise quantize base -o none --weights int4 --group 48
head -n 40 $data/passages.txt | awk '{print $1 " " $2 "\t" $0}' >pairs.tsv
incise quantize base -o gptq --weights int4 --calibrate pairs.tsv --tokens 2000 --format csv | wc -l
incise quantize base -o static --calibrate pairs.tsv --activations static --range minmax --format csv | wc -l
grep -c FakeQuantize static/openvino_model.xml
run static static-out && run static static-ref --reference
close static-out static-ref/0_last_hidden_state.npy 0.1 && echo "static integers near the reference"
fails incise quantize base -o none --activations static
fails incise quantize base -o none --round gptq
incise inspect pruned --format json | cli_check json op name weights rows columns zeros skipped \
    mflop_per_token mflop_per_text packed_bytes kernel
