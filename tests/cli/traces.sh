# SPDX-License-Identifier: Apache-2.0
# prune --traces: removal orders kept by one run serve others of other sparsity, bit by bit; foreign files are refused.
quiet=(--log error) # OpenBLAS may not know the CPU and say so
incise convert $data/tiny/bert-hf -o base
awk 'BEGIN { srand(1); for (i = 0; i < 60; i++) { line = ""
    for (n = 3 + int(12 * rand()); n > 0; n--) line = line sprintf("%c ", 97 + int(26 * rand()))
    print line } }' >texts.txt
prune() { # OUT SPARSITY [option]...
    incise prune base -o "$1" --pattern block:8x4 --sparsity "$2" --calibrate texts.txt "${@:3}" --format csv
}
same() { cmp "$1/openvino_model.bin" "$2/openvino_model.bin" && echo "$1 = $2"; }

prune half 0.5 --traces orders "${quiet[@]}" | cut -d, -f2-5 | sort | uniq -c
cp orders before
prune again 0.5 --traces orders --log info 2>&1 >/dev/null | grep orders
same again half
prune less 0.3 --traces orders "${quiet[@]}" >/dev/null
prune direct 0.3 --traces fresh "${quiet[@]}" >/dev/null
same less direct
cmp orders before && cmp orders fresh && echo "the file is the same for every sparsity, and only read then"
prune fewer 0.3 --traces orders --threads 1 "${quiet[@]}" >/dev/null
same fewer direct

fails prune no 0.5 --traces orders --method wanda "${quiet[@]}"
fails prune no 0.5 --traces orders --ignore query "${quiet[@]}"
fails prune no 0.5 --traces orders --tokens 100 "${quiet[@]}"
fails prune no 0.5 --traces texts.txt "${quiet[@]}"
fails prune no 0.5 --traces nowhere/orders "${quiet[@]}" | sed 's/tmp[.0-9]*/tmp/'
fails prune no 0.5 --traces . "${quiet[@]}"
fails prune no 0.5 --traces orders --method magnitude "${quiet[@]}"
fails incise prune base -o no --pattern block:8x4 --sparsity 0.5 --traces orders
printf 'x' | dd of=orders bs=1 seek=1000 conv=notrunc status=none
fails prune no 0.5 --traces orders "${quiet[@]}"
ls
