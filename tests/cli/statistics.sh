# SPDX-License-Identifier: Apache-2.0
# statistics: shards joined serve prune and quantize as one run does; what is there is taken up; foreign files are refused.
quiet=(--log error) # OpenBLAS may not know the CPU and say so
incise convert $data/tiny/bert-hf -o base
awk 'BEGIN { srand(1); for (i = 0; i < 60; i++) { line = ""
    for (n = 3 + int(12 * rand()); n > 0; n--) line = line sprintf("%c ", 97 + int(26 * rand()))
    print line } }' >texts.txt
statistics() { incise statistics base --calibrate texts.txt "${quiet[@]}" "$@"; }
prune() { # OUT [option]...
    incise prune base -o "$1" --pattern block:8x4 --sparsity 0.5 --calibrate texts.txt "${quiet[@]}" --format csv "${@:2}"
}

statistics -o whole
for i in 0 1 2; do statistics --shard $i/3 -o part-$i --threads 1; done
incise merge part-1 part-2 part-0 -o joined
incise merge part-0 part-1 part-2 -o again && cmp joined again && echo "parts join in any order"
cp -p whole before && statistics -o whole && [ ! whole -nt before ] && echo "what is complete is not made again"
prune half --statistics joined --traces orders | cut -d, -f2-5 | sort | uniq -c
prune global --statistics whole --allocate global >/dev/null && echo "shares from statistics"

quantize() { # OUT [option]...
    incise quantize base -o "$1" --round nearest --calibrate texts.txt "${quiet[@]}" --format csv "${@:2}"
}
quantize smooth --smooth 0.5 >smooth.csv
quantize same --smooth 0.5 --statistics joined | cmp - smooth.csv &&
    cmp smooth/openvino_model.bin same/openvino_model.bin && echo "smoothing from statistics: the same bits"

fails quantize no --statistics whole
fails quantize no --smooth 0.5 --statistics part-0
fails statistics
fails incise statistics base -o no
fails statistics -o no --shard 3/3
fails statistics -o no --shard x
fails statistics -o whole --tokens 100
fails statistics -o whole --shard 0/3
fails statistics -o texts.txt
fails statistics -o nowhere/no 2>&1 | sed 's/tmp[.0-9]*/tmp/'
fails incise merge part-0 part-1 -o no
fails incise merge part-0 part-1 part-1 -o no
fails incise merge part-0 part-1 whole -o no
fails incise merge part-0 part-1 texts.txt -o no
fails incise merge part-0 part-1 part-2
fails incise merge part-0 part-1 part-2 -o joined
incise merge part-0 part-1 part-2 -o joined --force
fails prune no --statistics part-0 --traces fresh
fails prune no --statistics orders --traces fresh
fails prune no --statistics whole
printf 'x' | dd of=part-1 bs=1 seek=5000 conv=notrunc status=none
fails incise merge part-0 part-1 part-2 -o no
statistics --shard 1/3 -o part-1 --force && incise merge part-0 part-1 part-2 -o mended && cmp mended joined
ls
