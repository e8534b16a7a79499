# SPDX-License-Identifier: Apache-2.0
# Four shards joined are one run, in every form; parts that do not belong together are refused by name.
incise convert $data/tiny/bert-hf -o model
head -n 203 $data/passages.txt >texts.txt
for form in npy jsonl raw; do
    incise embed model texts.txt --as $form -o whole.$form --max-length 30 --log error
    for i in 0 1 2 3; do
        incise embed model texts.txt --as $form --max-length 30 --log error --shard $i/4 -o part-$i.$form
    done
    incise merge part-{2,0,3,1}.$form -o merged.$form && cmp merged.$form whole.$form && echo "$form: merged = one run"
    incise merge part-{0,1,2,3}.$form | cmp - whole.$form
done
cli_check json kind complete vectors shard input output cut <part-1.npy.manifest.json
sed -n '/"cut"/,/}/p; /"shard"/,/}/p; /"lines"/p' part-1.npy.manifest.json
incise embed model texts.txt --as raw -o one.raw --shard 0/1 --max-length 30 --log error && cmp one.raw whole.raw
incise embed model texts.txt --max-length 30 --shard 3/4 -o part-3.raw --as raw 2>&1 # a finished shard is not made again
cat texts.txt | incise embed model --max-length 30 --shard 3/4 -o part-3.raw --as raw 2>&1

# what does not fit
fails incise embed model texts.txt --shard 4/4 -o part
fails incise embed model texts.txt --shard 1/ -o part
fails incise embed model texts.txt --shard 1/2
fails incise embed model texts.txt --max-length 20 --shard 3/4 -o part-3.raw --as raw
head -n 202 texts.txt >fewer.txt
fails incise embed model fewer.txt --max-length 30 --shard 3/4 -o part-3.raw --as raw
{ cat texts.txt && echo more; } >more.txt
fails incise embed model more.txt --max-length 30 --shard 3/4 -o part-3.raw --as raw
fails incise merge part-{0,1,3}.raw -o out
fails incise merge part-{0,1,2,3,1}.raw -o out
fails incise merge part-{0,1,2}.raw part-3.npy -o out
fails incise merge part-{0,1,2}.raw whole.raw -o out
incise embed model more.txt --max-length 30 --shard 3/4 -o part-3.raw --as raw --log error --force
fails incise merge part-{0,1,2,3}.raw -o out
incise embed model texts.txt --max-length 30 --shard 3/4 --prompt query -o part-3.raw --as raw --log error --force
incise merge part-{0,1,2,3}.raw | cmp - whole.raw # this model has no prompts: the same vectors
incise embed model texts.txt --max-length 20 --shard 3/4 -o part-3.raw --as raw --log error --force
fails incise merge part-{0,1,2,3}.raw -o out
printf 'x' | dd of=part-2.npy bs=1 seek=9000 conv=notrunc status=none
fails incise merge part-{0,1,2,3}.npy -o out
truncate -s -4 part-1.npy
fails incise merge part-{0,1,2,3}.npy -o out
truncate -s -1 part-1.jsonl
fails incise merge part-{0,1,2,3}.jsonl -o out
echo '{}' >part-0.jsonl.manifest.json
fails incise merge part-{0,1,2,3}.jsonl -o out
fails incise merge part-{0,1,2,3}.raw -o whole.raw
ls | grep -v '^part\|^whole\|^merged'
