# SPDX-License-Identifier: Apache-2.0
# Tokens of lines in four formats; special tokens as text; a cache that is used, damaged, stale, and cannot be written.
tokenizer=$data/tokenizers/xlmr.json
printf 'The <b> one.\n\nCaf\303\251 \357\254\201\tx</s>\n' >texts.txt
incise tokenize $tokenizer texts.txt
incise tokenize $tokenizer --no-parse-special --format csv <texts.txt
incise tokenize $tokenizer --max-length 4 --format md <texts.txt
incise tokenize $tokenizer --format json <texts.txt | tee tokens.json
incise tokenize $tokenizer --format json </dev/null
fails incise tokenize $data/tokenizers/lines.txt texts.txt
printf 'ok\n\377\n' | fails incise tokenize $tokenizer --format csv

cp $tokenizer copy.json
tokens() { incise tokenize copy.json --cache-dir cache --format json --log debug "$@" <texts.txt 2>log | cmp - tokens.json; sed 's/.*\(loaded\|damaged\|written\|directory\).*/\1/' log; }
tokens
tokens
for at in 0 20 70 1000 20000; do # a byte of the header, of the document, of the tables
    cache=$(echo cache/*)
    printf '\377' | dd of="$cache" bs=1 seek=$at conv=notrunc 2>/dev/null
    tokens
done
truncate -s 5000 "$cache"
tokens
sed 's/0\.0/0.5/' $tokenizer >copy.json # another file
tokens
tokens
ls cache | wc -l
tokens --cache-dir copy.json/no
