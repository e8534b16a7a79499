# SPDX-License-Identifier: Apache-2.0
# A prompt is what config_sentence_transformers.json writes before a text; convert and quantize carry the file along.
cp -r $data/tiny/bert-hf source
chmod u+w source
cat >source/config_sentence_transformers.json <<'JSON'
{"prompts": {"query": "run fast: ", "passage": "the model "}, "default_prompt_name": null}
JSON
incise convert source -o base
incise quantize base -o model >/dev/null
cmp source/config_sentence_transformers.json model/config_sentence_transformers.json && echo "copied"
printf 'small\nzero blocks\n' >texts.txt
sed 's/^/run fast: /' texts.txt >queries.txt
sed 's/^/the model /' texts.txt >documents.txt
incise embed model texts.txt --prompt query | cmp - <(incise embed model queries.txt) && echo "query"
incise embed model texts.txt --prompt document | cmp - <(incise embed model documents.txt) && echo "document"
incise embed model texts.txt --prompt passage | cmp - <(incise embed model documents.txt) && echo "passage"
cmp -s <(incise embed model texts.txt) <(incise embed model queries.txt) || echo "no prompt by default"
sed -i 's/null/"query"/' model/config_sentence_transformers.json
incise embed model texts.txt | cmp - <(incise embed model texts.txt --prompt query) && echo "the default prompt"
fails incise embed model texts.txt --prompt question
fails incise embed base missing.txt --prompt question

# evaluate searches as a user would: with the prompts of queries and documents.
head -n 30 $data/passages.txt | cut -c1-60 | awk '{print $1 " " $2 "\t" $0}' >pairs.tsv
sed 's/^/run fast: /; s/\t/\tthe model /' pairs.tsv >prompted.tsv
incise convert $data/tiny/bert-hf -o without
cmp <(incise evaluate base base --retrieval pairs.tsv) <(incise evaluate without without --retrieval prompted.tsv) &&
    echo "evaluate"
cmp -s <(incise evaluate base base --retrieval pairs.tsv) <(incise evaluate without without --retrieval pairs.tsv) ||
    echo "other figures without prompts"

# A special token that is written in a text counts as one, unless the text is a stranger's.
printf 'run [MASK] fast\n' >special.txt
printf 'run [PAD] fast\n' >other.txt
cmp -s <(incise embed without special.txt) <(incise embed without other.txt) || echo "special tokens"
cmp -s <(incise embed without special.txt) <(incise embed without special.txt --no-parse-special) || echo "text instead"
