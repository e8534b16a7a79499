# SPDX-License-Identifier: Apache-2.0
# Command lines that can never work: exit code 2, and nothing is written.
fails incise nonsense
fails incise inspect
fails incise inspect $data/tiny/bert --nonsense
fails incise inspect $data/tiny/bert --format yaml
fails incise inspect $data/tiny/bert --threads 0x
fails incise convert $data/tiny/bert-hf
fails incise prune $data/tiny/bert -o out --pattern element
fails incise prune $data/tiny/bert -o out --pattern block:32x32 --sparsity 1.5
fails incise prune $data/tiny/bert -o out --pattern square --sparsity 0.5
fails incise prune $data/tiny/bert -o out --pattern element --sparsity 0.5 --select no_such_layer
fails incise prune $data/tiny/bert -o out --pattern element --sparsity 0.5 --select '('
fails incise quantize $data/tiny/bert -o out --weights int3
fails incise run $data/tiny/bert --input nonsense=file.npy
fails incise run $data/tiny/bert
fails incise embed $data/tiny/bert --max-length -1
fails incise evaluate $data/tiny/bert $data/tiny/bert
fails incise evaluate $data/tiny/bert $data/tiny/bert --texts $data/passages.txt --require nonsense
fails incise evaluate $data/tiny/bert $data/tiny/bert --texts $data/passages.txt --require 'ndcg10>=0.5'
fails incise benchmark
fails incise benchmark $data/tiny/bert -b 1,,2
fails incise benchmark $data/tiny/bert -s 0
INCISE_THREADS=many fails incise devices
ls
