# SPDX-License-Identifier: Apache-2.0
# Output that cannot be written is never success.
incise convert $data/tiny/bert-hf -o model
for format in table json csv; do
    incise inspect model --format $format >/dev/full 2>stderr
    echo "$format: exit $?, $(cat stderr)"
done
echo text | incise embed model >/dev/full 2>stderr
echo "embed: exit $?, $(cat stderr)"
(
    ulimit -f 8 # blocks of 1024 bytes
    fails incise quantize model -o limited | sed 's/tmp\.[0-9]*/tmp.N/'
    seq 1000 | fails incise embed model -o vectors.npy
)
ls
