# SPDX-License-Identifier: Apache-2.0
# Files that are missing, wrong or in the way: each kind has its exit code.
fails incise inspect missing
fails incise inspect missing.xml
fails incise convert $data/tiny/bert -o out
mkdir bad && echo '<net name="x" version="11"><layers>' >bad/openvino_model.xml
fails incise inspect bad | sed 's/line [0-9]*.*$/line .../'
fails incise run $data/tiny/bert --input input_ids=missing.npy
echo "no array" >bad/array.npy
fails incise run $data/tiny/bert --input input_ids=bad/array.npy
fails incise embed $data/tiny/bert </dev/null

incise convert $data/tiny/bert-hf -o model
fails incise convert $data/tiny/bert-hf -o model
fails incise prune model -o model --pattern element --sparsity 0.5
fails incise quantize model -o model
fails incise quantize model -o missing/folder | sed 's/tmp\.[0-9]*/tmp.N/'
incise convert $data/tiny/bert-hf -o model --force && echo replaced
fails incise embed model missing.txt
fails incise embed model model
printf 'good\n\xff\xfe\n' >text.txt
fails incise embed model text.txt -o vectors.npy
echo '{"txt": 1}' >text.jsonl
fails incise embed model text.jsonl -o vectors.npy
echo one >text.txt
fails incise embed model text.txt --tokenizer missing
fails incise embed model text.txt -o missing/vectors.npy
incise embed model text.txt -o vectors.npy && echo written
fails incise embed model text.txt -o vectors.npy
fails incise embed model text.txt --dimensions 65
fails incise evaluate model model --texts text.txt
echo 'query without document' >pairs.tsv
fails incise evaluate model model --retrieval pairs.tsv
ls
