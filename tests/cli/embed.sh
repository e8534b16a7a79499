# SPDX-License-Identifier: Apache-2.0
# Texts in three forms, vectors in three forms; a vector does not depend on its neighbours or on threads.
incise convert $data/tiny/bert-hf -o model
printf 'the small model\nrun fast, and test\n\nzero blocks: a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9\nunable\n' >texts.txt
sed 's/$/\tsecond column/' texts.txt >texts.tsv
sed 's/.*/{"text": "&", "id": 1}/' texts.txt >texts.jsonl

incise embed model texts.txt >lines.jsonl 2>warning
cat warning
cli_check json index embedding <lines.jsonl
wc -l <lines.jsonl
incise embed model texts.tsv | cmp - lines.jsonl
incise embed model texts.jsonl | cmp - lines.jsonl
incise embed model --from jsonl <texts.jsonl | cmp - lines.jsonl
for n in 1 2 3 4 5; do # alone
    sed -n ${n}p texts.txt | incise embed model --as raw --threads 1
done >alone.raw 2>/dev/null
incise embed model texts.txt --as raw --threads 3 2>/dev/null | cmp - alone.raw && echo "same bits alone and together"
incise embed model texts.txt -o vectors.npy 2>/dev/null
tail -c +129 vectors.npy | cmp - alone.raw && echo "same numbers in .npy"
incise embed model texts.txt --as npy 2>/dev/null >stdout.npy
cmp stdout.npy vectors.npy && echo "the same on stdout that is a file"
incise embed model texts.txt --as npy 2>&1 | cat
incise embed model texts.txt -o vectors.npy --force --max-length 8 --dimensions 16 --pooling cls --log error
wc -c <vectors.npy
incise embed model </dev/null
