# SPDX-License-Identifier: Apache-2.0
# prune --calibrate: what goes is exactly what was asked for; channels leave the file; what needs texts says so.
tiny=$data/tiny/bert-hf
quiet=(--log error) # OpenBLAS may not know the CPU and say so
incise convert $tiny -o base
awk 'BEGIN { srand(1); for (i = 0; i < 60; i++) { line = ""
    for (n = 3 + int(12 * rand()); n > 0; n--) line = line sprintf("%c ", 97 + int(26 * rand()))
    print line } }' >texts.txt
awk '{ print "a " substr($0, 1, 3) NR % 10 "\t" $0 }' texts.txt >pairs.tsv

incise prune base -o obs --pattern block:8x4 --sparsity 0.5 --calibrate texts.txt "${quiet[@]}" --format csv |
    cut -d, -f2-5 | sort | uniq -c
incise prune base -o wanda --pattern block:8x4 --sparsity 0.5 --calibrate pairs.tsv --tokens 200 --method wanda \
    --refit dense "${quiet[@]}" --format csv | cut -d, -f2-5 | sort | uniq -c
incise prune base -o channel --pattern channel --sparsity 0.6 --calibrate texts.txt "${quiet[@]}" --format csv |
    cut -d, -f2-5 | sort | uniq -c
incise inspect channel --format csv | grep 'intermediate\|layer.[01].output' | awk -F, '$1 == "Linear" { print $4 "x" $5 }'
[ $(stat -c %s channel/openvino_model.bin) -lt $(stat -c %s base/openvino_model.bin) ] && echo "the file is smaller"
incise prune base -o global --pattern block:8x4 --sparsity 0.5 --calibrate texts.txt --allocate global \
    "${quiet[@]}" --format csv | awk -F, 'NR > 1 { all += $4; zero += $5; if ($5 / $4 > most) most = $5 / $4
        if (least == "" || $5 / $4 < least) least = $5 / $4 }
    END { print int(zero / all * 100 + 0.5) " % of the blocks; shares differ: " (most - least > 0.02) }'
incise prune base -o channels --pattern block:8x4 --sparsity 0.6 --calibrate texts.txt --allocate channels \
    "${quiet[@]}" --format csv | cut -d, -f1,2,3 | grep intermediate
incise inspect channels --format csv | awk -F, '$1 == "Linear" { left += $4 * $5 * (1 - $6) }
    END { print int(left / (2 * (4 * 64 * 64 + 2 * 64 * 96)) * 100 + 0.5) " % of the weights are left" }'
printf '%s\t0.25\n' "__module.encoder.layer.1.output.dense/aten::linear/MatMul" >shares.tsv
incise prune base -o list --pattern block:8x4 --sparsity 0.5 --allocate shares.tsv --select 'layer.1.*dense' \
    --format csv | cut -d, -f2-5
for option in "--method wanda" "--method obs" "--refit dense" "--allocate global" "--allocate channels" \
    "--pattern channel"; do
    fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 $option
done
: >empty.txt
fails incise prune base -o no --pattern channel --sparsity 0.5 --calibrate texts.txt --allocate channels
fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 --calibrate texts.txt --allocate channels --traces t
fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 --calibrate empty.txt
fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 --calibrate nowhere.txt
fails incise prune base -o no --pattern channel --sparsity 0.5 --calibrate texts.txt --select query "${quiet[@]}"
fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 --calibrate texts.txt --prompt search "${quiet[@]}"
incise quantize base -o smooth --smooth 0.5 --round nearest --calibrate texts.txt --log info 2>&1 >changes |
    grep -o 'smoothed what [0-9]*'
incise quantize base -o rough --smooth 0.5 --round nearest --calibrate texts.txt --select query 2>&1 >>changes |
    grep -o 'warning: smoothed what 0'
rm changes
fails incise quantize base -o no --smooth 0.5
fails incise quantize base -o no --smooth 2 --calibrate texts.txt "${quiet[@]}"
ls
