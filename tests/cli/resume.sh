# SPDX-License-Identifier: Apache-2.0
# kill -9, the same command again: the bytes of an undisturbed run. What is left of another run is refused.
incise convert $data/tiny/bert-hf -o model
cut -c1-40 $data/passages.txt >texts.txt
mkfifo feed
options=(--as raw --log error)
embed() { incise embed model "${texts-texts.txt}" "${options[@]}" "$@"; }
embed -o whole.raw

# Starts a run that cannot get to the end: a window behind the `last` lines that are done, a second later (there is a
# checkpoint a second) more than the next window takes, and no end.
last=0
slowly() { # OPTIONS
    (
        sed -n "1,$((last + 128))p" texts.txt
        sleep 1.1
        sed -n "$((last + 129)),$((last + 640))p" texts.txt
        exec sleep 60
    ) >feed &
    feeder=$!
    "$build/incise" embed model feed "${options[@]}" -o out.raw "$@" &
    victim=$!
}
stop() {
    kill -9 $victim $feeder
    wait $victim $feeder 2>/dev/null
}
killed() { # OPTIONS
    local lines=0
    slowly "$@"
    while kill -0 $victim && [ "$lines" -le "$last" ]; do
        sleep 0.02
        lines=$(sed -n 's/.*"lines": \([0-9]*\).*/\1/p' out.raw.partial.json 2>/dev/null)
        lines=${lines:-0}
    done
    stop
    ls out.raw* | grep -v new
    last=$lines
}
killed
killed
embed -o out.raw --log warning 2>message && cmp out.raw whole.raw && echo "killed twice: the same bytes"
sed "s/line $last /line N /" message
ls out.raw*
rm out.raw

last=0
killed --shard 1/2
embed -o out.raw --shard 1/2 && embed -o other.raw --shard 0/2
incise merge other.raw out.raw | cmp - whole.raw && echo "a shard that was killed"
rm out.raw* other.raw*

last=0
killed
fails embed -o out.raw --max-length 16
fails embed -o out.raw --shard 0/2
fails embed -o out.raw --as jsonl
sed '1s/.*/changed/' texts.txt >changed.txt
texts=changed.txt fails embed -o out.raw
head -n 10 texts.txt >shorter.txt
texts=shorter.txt fails embed -o out.raw
texts=- fails embed -o out.raw --force <shorter.txt # cannot be read a second time
texts=shorter.txt embed -o out.raw --force && head -c $((10 * 64 * 4)) whole.raw | cmp - out.raw && echo "begun anew"
last=0
killed --force
embed -o out.raw --dimensions 8 --force
wc -c <out.raw
last=0
killed --force
printf x | dd of=out.raw.partial bs=1 seek=100 conv=notrunc status=none
embed -o out.raw --force 2>&1 && cmp out.raw whole.raw && echo "damage is noticed"
rm out.raw

# A second process keeps away.
last=0
slowly
while kill -0 $victim && [ ! -s out.raw.partial.json ]; do sleep 0.02; done
fails embed -o out.raw
stop
# A line that is no text ends a run; what is durable stays, and the file may be mended.
{ sed -n '1,900p' texts.txt && printf '\xff\n'; } >bad.txt
texts=bad.txt fails embed -o out.raw
ls out.raw*
embed -o out.raw && cmp out.raw whole.raw && ls out.raw*
