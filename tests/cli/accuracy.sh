# SPDX-License-Identifier: Apache-2.0
# quantize --require: layers get back precision until the bound of the figure holds; what it says is what evaluate finds.
incise convert $data/tiny/bert-hf -o base
awk 'BEGIN { srand(1); for (i = 0; i < 40; i++) { line = ""
    for (n = 3 + int(12 * rand()); n > 0; n--) line = line sprintf("%c ", 97 + int(26 * rand()))
    print line } }' >texts.txt
head -8 texts.txt | awk '{ print substr($0, 1, 5) "\t" $0 }' >pairs.tsv
quiet=(--log error)

incise quantize base -o plain --require 'cosine_mean>=0.9' --texts texts.txt --format csv | cut -d, -f1-4,7-
incise quantize base -o mixed --weights int4 --require 'cosine_mean>=0.999' --texts texts.txt --format csv >path.csv
head -1 path.csv
sed -n 2p path.csv | cut -d, -f1-4,7-
echo "$(grep -c 'int4 dynamic,int8 dynamic' path.csv | awk '{ print ($1 > 2) }') layers went up"
incise evaluate base mixed --texts texts.txt --require 'cosine_mean>=0.999' --format json | grep -o '"cosine_mean": [0-9.]*' | cut -d' ' -f2 >value
grep -qF ",$(cat value)," path.csv && echo "evaluate finds what the path says"
incise inspect mixed --format csv | awk -F, '$1 == "Linear" { print $3 }' | sort | uniq | head -3
incise quantize base -o static --activations static --round nearest --calibrate texts.txt \
    --require 'ndcg10_drop<=0.5' --retrieval pairs.tsv --format csv "${quiet[@]}" | cut -d, -f1-4,7-
incise quantize base -o held --round nearest --calibrate texts.txt --require 'cosine_p1>=0.5' --format csv "${quiet[@]}" |
    cut -d, -f1-4,7-
incise quantize base -o no --require 'cosine_mean>=1.5' --texts texts.txt --format csv >no.csv 2>error || echo "exit $?"
tail -1 no.csv | grep -o 'no$'
cat error
rm error
fails incise quantize base -o no --require 'cosine_mean>=0.9'
fails incise quantize base -o no --require 'cosine>=0.9' --texts texts.txt
fails incise quantize base -o no --require 'cosine_mean>0.9' --texts texts.txt
fails incise quantize base -o no --require 'ndcg10>=0.9' --texts texts.txt
fails incise quantize base -o no --texts texts.txt
ls
