# SPDX-License-Identifier: Apache-2.0
# A model against itself is perfect; requirements decide the exit code; several models share a base.
incise convert $data/tiny/bert-hf -o base
incise prune base -o pruned --pattern element --sparsity 0.6 >/dev/null
head -n 30 $data/passages.txt | cut -c1-60 >texts.txt
awk '{print $1 " " $2 "\t" $0}' texts.txt >pairs.tsv
incise evaluate base base --texts texts.txt
incise evaluate base pruned --texts texts.txt --format json | cli_check json model cosine_mean cosine_mean_ci95 cosine_p1 \
    cosine_p1_ci95 neighbours_top10 neighbours_top10_ci95 rms_pairwise rms_pairwise_ci95 ndcg10_base ndcg10_base_ci95 \
    ndcg10 ndcg10_ci95 ndcg10_queries ndcg10_queries_ci95 ndcg10_drop ndcg10_drop_ci95 spearman_base spearman_base_ci95 \
    spearman spearman_ci95 spearman_drop spearman_drop_ci95
incise evaluate base base --retrieval pairs.tsv --format csv | sed 's/[0-9.]\{5,\}/N/g'
incise evaluate base base --texts texts.txt --retrieval pairs.tsv --require 'cosine_mean>=1' --require 'ndcg10_drop==0' \
    --format json >/dev/null && echo met
fails incise evaluate base pruned --texts texts.txt --require 'cosine_mean>=1' --format csv | sed -n 's/is 0\.[0-9]*/is N/p;/exit/p'
tr -d '"\\' <texts.txt | awk '{print $1 " " $2 "\t" $3 " " $4 "\t" NR % 7}' >scored.tsv
sed 's/\(.*\)\t\(.*\)\t\(.*\)/{"sentence1": "\1", "sentence2": "\2", "score": \3}/' scored.tsv >scored.jsonl
sed 's/"//g; s/\(.*\)\t\(.*\)/{"query": "\1", "document": "\2"}/' pairs.tsv >pairs.jsonl
incise evaluate base base --sts scored.tsv --require 'spearman_drop==0' --format csv >scored-tsv.csv && echo met
incise evaluate base base --sts scored.jsonl --format csv | cmp - scored-tsv.csv && echo same
sed 's/"//g' pairs.tsv | tee plain.tsv | wc -l | tr -d ' '
incise evaluate base pruned --retrieval plain.tsv --format csv >by-tsv.csv
incise evaluate base pruned --retrieval pairs.jsonl --format csv | cmp - by-tsv.csv && echo same
echo '{"query": "a"}' >bad.jsonl
fails incise evaluate base base --retrieval bad.jsonl
printf 'a\tb\t1\na\tb\tmuch\n' >bad.tsv
fails incise evaluate base base --sts bad.tsv
fails incise evaluate base base --sts scored.tsv --require 'cosine_mean>=1'
incise evaluate base base pruned --texts texts.txt | awk '{print $1, NF} $1 == "base" {print $2, $5}'
incise evaluate base base pruned --texts texts.txt --format json | grep '"model"\|^.$'
incise evaluate base base pruned --retrieval plain.tsv --format csv | sed 2d | cmp - by-tsv.csv && echo same
fails incise evaluate base pruned base --texts texts.txt --require 'cosine_mean>=1' --format csv | sed 's/[0-9.]\{5,\}/N/g'
