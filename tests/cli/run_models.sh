# SPDX-License-Identifier: Apache-2.0
# Every tiny model gives what OpenVINO recorded, on each instruction set of this CPU and op by op.
run() { # MODEL SHAPE LIMIT OPTIONS...
    local model=$1 shape=$2 limit=$3 folder=$data/tiny/$1 inputs=() name
    shift 3
    for file in "$folder"/input_"$shape"_*.npy; do
        name=${file##*/input_"$shape"_}
        inputs+=(--input "${name%.npy}=$file")
    done
    rm -rf out
    incise run "$folder" "${inputs[@]}" --compute float -o out "$@" >/dev/null || return
    cli_check close out/0_*.npy "$folder/output_$shape.npy" "$limit" "$folder/input_${shape}_attention_mask.npy"
}

for model in bert bert-f16 bert-int8-asym bert-int4-asym bert-int4-sym bert-static-int8 gemma gemma-int8-sym; do
    limit=1e-5
    [ $model = bert-static-int8 ] && limit=2e-2 # one different rounding moves a value by a step
    for shape in 1x7 4x16; do
        for isa in scalar avx2 avx512 vnni; do
            incise devices --isa $isa >/dev/null 2>&1 || continue # not on this CPU
            run $model $shape $limit --isa $isa || echo "$model $shape $isa"
        done
        run $model $shape $limit --threads 3 || echo "$model $shape, three threads"
        run $model $shape $limit --reference || echo "$model $shape, reference"
    done
    echo $model
done
