# SPDX-License-Identifier: Apache-2.0
# A file of packed weights runs as its model does, and says when it is stale, damaged or for another CPU.
printf 'The first one.\nAnd a second, longer one.\n' >texts.txt
incise convert $data/tiny/bert-hf -o model
incise pack model -o fast.pack --isa avx2
embed() { incise embed "$1" texts.txt -o "$2" --isa avx2 --force "${@:3}"; }
embed model expected.npy
embed fast.pack vectors.npy && cmp expected.npy vectors.npy && echo same
incise inspect fast.pack --format csv --isa avx2 | wc -l
incise inspect model --isa avx2 >plain.txt && incise inspect fast.pack --isa avx2 | diff plain.txt - && echo same
incise benchmark model fast.pack --isa avx2 -b 1 -s 8 --seconds 0.01 --format json | grep -c '"load_s"'
incise pack --verify fast.pack && echo intact

echo "-- in the way"
fails incise pack model -o fast.pack
incise pack model -o fast.pack --isa avx2 --force && echo replaced
fails incise pack model -o model --force
fails incise pack model
fails incise pack model -o x --verify
fails incise pack model -o missing/fast.pack | sed 's/tmp\.[0-9]*/tmp.N/'
fails incise pack --verify model
fails incise prune fast.pack -o pruned --pattern element --sparsity 0.5

echo "-- for another instruction set"
embed fast.pack vectors.npy --isa scalar 2>&1
incise embed model texts.txt -o scalar.npy --isa scalar && cmp scalar.npy vectors.npy && echo same

echo "-- damaged"
cp fast.pack bad.pack
printf '\377' | dd of=bad.pack bs=1 seek=200 conv=notrunc 2>/dev/null
fails embed bad.pack vectors.npy
cp fast.pack bad.pack && truncate -s -1 bad.pack
fails embed bad.pack vectors.npy
fails embed texts.txt vectors.npy

echo "-- stale"
cp -r model other && incise pack other -o other.pack --isa avx2
touch -d 2001-01-01 other/openvino_model.bin
embed other.pack vectors.npy 2>&1 | sed 's/([^)]*)/(WHY)/' && cmp expected.npy vectors.npy && echo same
fails incise pack --verify other.pack
rm -r other
fails embed other.pack vectors.npy | sed "s|$scratch|SCRATCH|"
