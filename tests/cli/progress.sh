# SPDX-License-Identifier: Apache-2.0
# Progress with the time left is for terminals; a pipe gets nothing.
incise convert $data/tiny/bert-hf -o model
incise embed model $data/passages.txt -o quiet.npy --max-length 8 --log error 2>&1
script -qec "$build/incise embed model $data/passages.txt -o loud.npy --max-length 8 --log error" /dev/null </dev/null >screen
cmp quiet.npy loud.npy
tr '\r' '\n' <screen | grep -c '^.\[Kembed: [0-9]* texts, [0-9]* %, [0-9]*/s, [0-9]*:[0-9]* left' | sed 's/^[1-9].*/progress/'
tr '\r' '\n' <screen | grep -o 'embed: 1000 texts in [0-9]*\.[0-9] s' | sed 's/ in .*//'
