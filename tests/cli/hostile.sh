#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Damaged files and full disks, through the command: the documented exit code, a message that names the file (and the
# layer), nothing half-written. usage: hostile.sh INCISE TINY_MODELS
set -uo pipefail
incise=$(realpath "$1")
tiny=$(realpath "$2")
RANDOM=${INCISE_SEED:-7}
echo "seed ${INCISE_SEED:-7}"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
checks=0

fail() { # TEXT
    echo "FAIL: $1"
    [ ! -s stderr ] || sed 's/^/    /' stderr
    failed=$((failed + 1))
}

# expect CODE REGEX COMMAND...: exit code and a message, and for a failure no OUT (`out`) or leftovers.
expect() {
    local code=$1 regex=$2
    shift 2
    "$@" >stdout 2>stderr
    local got=$?
    checks=$((checks + 1))
    [ $got -eq "$code" ] || fail "exit $got, not $code: ${*//$incise/incise}"
    [[ $(<stderr) =~ $regex ]] || fail "no '$regex' in the message of ${*//$incise/incise}"
    [ "$code" -eq 0 ] || [ ! -e out ] || fail "out exists after ${*//$incise/incise}"
    ! compgen -G '*.tmp.*' >leftovers || fail "left behind by ${*//$incise/incise}: $(<leftovers)"
    rm -rf out ./*.tmp.*
}

# model NAME: a fresh copy of a tiny model at `m`.
model() {
    rm -rf m
    mkdir m
    cp "$tiny/$1"/openvino_model.* "$tiny/$1"/input_1x7_*.npy m/
    chmod -R u+w m
}

# poke LAYER INDEX_BYTE BYTES: writes bytes (printf escapes) into the constant of that name.
poke() {
    local offset
    offset=$(grep -A1 "name=\"$1\" type=\"Const\"" m/openvino_model.xml | sed -n 's/.* offset="\([0-9]*\)".*/\1/p')
    [ -n "$offset" ] || { fail "no constant $1" && return; }
    # shellcheck disable=SC2059
    printf "$3" | dd of=m/openvino_model.bin bs=1 seek=$((offset + $2)) conv=notrunc status=none
}

edit() { # SED_EXPRESSION: changes the .xml; must change something
    cp m/openvino_model.xml before.xml
    sed -i "$1" m/openvino_model.xml
    ! cmp -s before.xml m/openvino_model.xml || fail "the edit '$1' changed nothing"
}

inputs() {
    local file
    for file in m/input_1x7_*.npy; do
        file=${file#m/input_1x7_}
        echo --input "${file%.npy}=m/input_1x7_$file"
    done
}

prune() { "$incise" prune m -o out --pattern block:32x32 --sparsity 0.5 "$@"; }
quantize() { "$incise" quantize m -o out "$@"; }
# shellcheck disable=SC2046
run() { "$incise" run m $(inputs) -o out "$@"; }
inspect() { "$incise" inspect m; }

every() { # CODE REGEX [COMMAND...]: each command on `m`
    local command
    for command in ${3:-inspect prune quantize run}; do expect "$1" "$2" "$command"; done
}
integer='inspect prune run' # there is nothing to quantize

query=self.encoder.layer.0.attention.self.query.weight

# ---- the files of a model
model bert
expect 0 '' inspect
expect 0 '' prune
expect 0 '' quantize
expect 0 '' run

edit 's/type="Gather" version="opset8"/type="Wonder" version="opset8"/'
every 65 'openvino_model.xml[:0-9]*: .*Gather_9.*Wonder'
model bert
edit 's/type="Gather" version="opset8"/type="Gather" version="opset99"/'
every 65 'openvino_model.xml[:0-9]*: .*Gather_9.*opset99'
model bert
truncate -s -1 m/openvino_model.bin
every 65 'openvino_model.(xml|bin)'
model bert
edit '2i <!DOCTYPE net [<!ENTITY a "b">]>'
every 65 'openvino_model.xml[:0-9]*: .*DOCTYPE'
model bert
rm m/openvino_model.bin
every 66 'openvino_model.bin'
ln -s "$tiny/bert/openvino_model.bin" m/openvino_model.bin
every 65 'openvino_model.bin.*symbolic link'
model bert
edit 's/offset="35096" size="16384"/offset="18446744073709551000" size="16384"/'
every 65 "openvino_model.xml[:0-9]*: .*$query"
model bert
edit 's/offset="35096" size="16384"/offset="35096" size="16380"/'
every 65 "openvino_model.xml[:0-9]*: .*$query"
model bert
edit 's/from-layer="32"/from-layer="33"/'
every 65 'openvino_model.xml'
model bert
edit 's/<layer id="33"/<layer id="32"/'
every 65 'openvino_model.xml[:0-9]*: .*32'
model bert
: >m/openvino_model.xml
every 65 'openvino_model.xml'
rm m/openvino_model.xml
mkfifo m/openvino_model.xml
every 66 'openvino_model.xml[:0-9]*: not a regular file'
rm m/openvino_model.xml
every 66 'openvino_model.xml[:0-9]*: No such file'
{ echo '<net name="n" version="11">' && yes '<layers>' | head -n 100000; } >m/openvino_model.xml
every 65 'openvino_model.xml'
expect 66 'nowhere' "$incise" inspect nowhere
expect 66 'pipe.xml: not a regular file' bash -c 'mkfifo pipe.xml && "$0" inspect pipe.xml' "$incise"

# A name with .. must not lead out of the output folder; ports' names become file names.
model bert
edit 's/names="last_hidden_state"/names="..\/..\/escaped"/'
run >stdout 2>stderr || fail "a port named ../../escaped"
[ ! -e escaped.npy ] && [ "$(find out -type f | wc -l)" -eq 1 ] || fail "an output outside its folder"
rm -rf out

# ---- weights
for bytes in '\x00\x00\xc0\x7f' '\x00\x00\x80\xff'; do # NaN, -Inf
    model bert
    poke $query 400 "$bytes"
    every 65 "openvino_model.xml[:0-9]*: .*$query.*weight 100 is "
done
model bert
poke Constant_82 8 '\x00\x00\xc0\x7f' # a bias
every 65 'openvino_model.xml[:0-9]*: .*Constant_82.*element 2 is not a number'
model bert-int8-asym
poke $query/scale 6 '\x00\x7c'
every 65 "openvino_model.xml[:0-9]*: .*$query.*scale 3 is inf" "$integer"
model bert-int8-asym
poke $query/scale 6 '\x00\x7e'
every 65 "openvino_model.xml[:0-9]*: .*$query.*element 3 is not a number"
model bert-int4-asym
edit "/name=\"$query\/scale\"/,/<\/layer>/{s/64, 2, 1/64, 1, 2/;s/<dim>1</<dim>X</;s/<dim>2</<dim>1</;s/<dim>X</<dim>2</}"
every 65 "openvino_model.xml[:0-9]*: .*$query"
model bert-int4-asym # 64 inputs in groups of 32, of which only 48 are wanted
edit "/name=\"$query\"/,/<\/layer>/{s/64, 2, 32/64, 3, 32/;s/size=\"2048\"/size=\"3072\"/;s/<dim>2</<dim>3</}"
every 65 "openvino_model.xml[:0-9]*: .*$query"

# linear: ids -> a table [2, K] of 1.0 -> MatMul with W[32, K], all 127, minus a zero point, times 2^-10.
layer() { # ID NAME TYPE OPSET DATA INPUT_PORTS OUTPUT_PRECISION OUTPUT_DIMS: ports and dims in words, inputs as "d,d"
    local port=0 dims dim
    echo "<layer id=\"$1\" name=\"$2\" type=\"$3\" version=\"opset$4\"><data $5 />"
    if [ -n "$6" ]; then
        echo '<input>'
        for dims in $6; do
            echo "<port id=\"$port\" precision=\"FP32\">"
            for dim in ${dims//,/ }; do [ "$dim" = scalar ] || echo "<dim>$dim</dim>"; done
            echo '</port>'
            port=$((port + 1))
        done
        echo '</input>'
    fi
    [ "$3" = Result ] || {
        echo "<output><port id=\"$port\" precision=\"$7\" names=\"$2\">"
        for dim in $8; do echo "<dim>$dim</dim>"; done
        echo '</port></output>'
    }
    echo '</layer>'
}
fill() { head -c "$2" /dev/zero | tr '\0' "\\$1"; } # OCTAL BYTES
printf '\0\0\200\077' >ones # 1.0 in float
while [ "$(stat -c %s ones)" -lt 640000 ]; do cat ones ones >twice && mv twice ones; done
linear() { # K W_TYPE ZERO_TYPE ZERO_IN_OCTAL
    local k=$1 rows=32 w f
    w=$((8 * k))
    f=$((w + rows * k))
    rm -rf m
    mkdir m
    {
        head -c $w ones
        fill 177 $((rows * k))
        fill "$4" 4
        printf '\0\0\200\072\0\0\0\0' # 2^-10 as float; 0 as i32
    } >m/openvino_model.bin
    {
        echo '<?xml version="1.0"?><net name="wide" version="11"><layers>'
        layer 0 ids Parameter 1 'shape="?,?" element_type="i64"' '' I64 '-1 -1'
        layer 1 table Const 1 "element_type=\"f32\" shape=\"2, $k\" offset=\"0\" size=\"$w\"" '' FP32 "2 $k"
        layer 2 axis Const 1 "element_type=\"i32\" shape=\"\" offset=\"$((f + 8))\" size=\"4\"" '' I32 ''
        layer 3 look Gather 8 'batch_dims="0"' "2,$k -1,-1 scalar" FP32 "-1 -1 $k"
        layer 4 weight Const 1 "element_type=\"$2\" shape=\"$rows, $k\" offset=\"$w\" size=\"$((rows * k))\"" '' "${2^^}" "$rows $k"
        layer 5 float Convert 1 'destination_type="f32"' "$rows,$k" FP32 "$rows $k"
        layer 6 zero Const 1 "element_type=\"$3\" shape=\"1, 1\" offset=\"$f\" size=\"1\"" '' "${3^^}" '1 1'
        layer 7 zero_float Convert 1 'destination_type="f32"' 1,1 FP32 '1 1'
        layer 8 minus Subtract 1 'auto_broadcast="numpy"' "$rows,$k 1,1" FP32 "$rows $k"
        layer 9 scale Const 1 "element_type=\"f32\" shape=\"1, 1\" offset=\"$((f + 4))\" size=\"4\"" '' FP32 '1 1'
        layer 10 times Multiply 1 'auto_broadcast="numpy"' "$rows,$k 1,1" FP32 "$rows $k"
        layer 11 product MatMul 1 'transpose_a="false" transpose_b="true"' "-1,-1,$k $rows,$k" FP32 "-1 -1 $rows"
        layer 12 last Result 1 '' "-1,-1,$rows" '' ''
        echo '</layers><edges>'
        while read -r from out to in; do
            echo "<edge from-layer=\"$from\" from-port=\"$out\" to-layer=\"$to\" to-port=\"$in\" />"
        done <<<'1 0 3 0
0 0 3 1
2 0 3 2
4 0 5 0
5 1 8 0
6 0 7 0
7 1 8 1
8 2 10 0
9 0 10 1
3 3 11 0
10 2 11 1
11 2 12 0'
        echo '</edges></net>'
    } >m/openvino_model.xml
    printf "\x93NUMPY\x01\x00\x76\x00%-117s\n%b" "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }" \
        '\0\0\0\0\0\0\0\0\01\0\0\0\0\0\0\0' >m/input_1x7_ids.npy
}

# More inputs than 32-bit sums of products hold: right, or refused; 127 * 80000 / 1024 everywhere.
linear 80000 i8 i8 0
for options in '--compute float' '--compute int8' '--compute int8 --isa avx2' '--compute int8 --isa scalar'; do
    # shellcheck disable=SC2086
    run $options >stdout 2>stderr || fail "80000 inputs with $options"
    checks=$((checks + 1))
    od -An -v -tf4 -w4 -j128 out/0_*.npy |
        awk '{ n++; if ($1 < 9900 || $1 > 9950) bad++ } END { exit !(n == 64 && bad == 0) }' ||
        fail "80000 inputs with $options: a wrong product"
    rm -rf out
done
linear 64 i8 u8 310 # zero point 200 of i8 weights
every 65 'openvino_model.xml[:0-9]*: .*weight.*zero point 0 is 200' "$integer"
linear 64 u8 i8 377 # -1 of u8
every 65 'openvino_model.xml[:0-9]*: .*weight.*zero point 0 is -1' "$integer"

# ---- FakeQuantize
range=Add_42353_0_0/nncf_smooth_quant/fq_output_0/input
model bert-static-int8
poke ${range}_low 0 '\x00\x00\xc8\x42'
every 65 'openvino_model.xml[:0-9]*: .*Add_42353_0_0/nncf_smooth_quant/fq_output_0'
model bert-static-int8
poke ${range}_high 0 '\x00\x00\xc0\x7f'
every 65 'openvino_model.xml[:0-9]*: .*Add_42353_0_0/nncf_smooth_quant/fq_output_0'
model bert-static-int8
edit '0,/levels="256"/s//levels="1"/'
every 65 'openvino_model.xml[:0-9]*: .*Add_42353_0_0/nncf_smooth_quant/fq_output_0.*levels'

# ---- inputs
model bert
npy() { # HEADER [DATA_BYTES]: m/input_1x7_input_ids.npy
    local length=${#1}
    { printf '\x93NUMPY\x01\x00'"$(printf '\\x%02x\\x%02x' $((length % 256)) $((length / 256)))" && printf '%s' "$1" &&
        head -c "${2:-56}" /dev/zero; } >m/input_1x7_input_ids.npy
}
npy "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 7), }"
expect 0 '' run
while IFS='|' read -r header bytes; do
    npy "$header" "$bytes"
    expect 65 'm/input_1x7_input_ids.npy' run
done <<'HEADERS'
{'descr': '<i8', 'fortran_order': False, 'shape': (1, 7), }|55
{'descr': '<i8', 'fortran_order': False, 'shape': (1, 7), }|57
{'descr': '<i8', 'fortran_order': True, 'shape': (1, 7), }|56
{'descr': '>i8', 'fortran_order': False, 'shape': (1, 7), }|56
{'descr': 'O', 'fortran_order': False, 'shape': (1, 7), }|56
{'descr': '<i8', 'fortran_order': False, 'shape': (1, 4611686018427387904, 4), }|56
{'descr': '<i8', 'fortran_order': False, 'shape': (-1, 7), }|56
{'descr': '<i8', 'fortran_order': False, 'shape': (1, 99999999999999999999), }|56
{'descr': '<i8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,7), }|56
{'descr': '<i8', 'fortran_order': False}|56
__import__('os')|56
|56
HEADERS
for shape in '(7,)' '(1, 1, 7)'; do
    npy "{'descr': '<i8', 'fortran_order': False, 'shape': $shape, }"
    expect 65 'input_ids' run
done
npy "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 7), }"
expect 65 'input_ids' run
npy "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 6), }" 48
expect 65 '(input_ids|attention_mask|token_type_ids)' run
printf '\x93NUMPY\x01\x00\xff\xff{' >m/input_1x7_input_ids.npy
expect 65 'm/input_1x7_input_ids.npy' run
rm m/input_1x7_input_ids.npy
mkfifo m/input_1x7_input_ids.npy
expect 66 'm/input_1x7_input_ids.npy: not a regular file' run
rm m/input_1x7_input_ids.npy
expect 66 'gone.npy' "$incise" run m --input input_ids=gone.npy
for id in '\x64\0\0\0\0\0\0\0' '\xff\xff\xff\xff\xff\xff\xff\xff' '\0\0\0\0\1\0\0\0' '\xff\xff\xff\xff\xff\xff\xff\x7f'; do
    for options in '--compute float' '--compute int8' '--reference'; do # 100, -1, 2^32, 2^63 - 1 of a vocabulary of 100
        model bert
        # shellcheck disable=SC2059
        printf "$id" | dd of=m/input_1x7_input_ids.npy bs=1 seek=152 conv=notrunc status=none
        # shellcheck disable=SC2086
        expect 65 'openvino_model.xml: input .input_ids.: .*Gather_9' run $options
    done
done

# ---- limits, outputs
model bert
expect 71 'memory' run --max-memory 10K
expect 71 'memory' prune --max-memory 10K
mkdir taken
expect 73 'taken: exists already' "$incise" prune m -o taken --pattern element --sparsity 0.5
expect 73 'taken: exists already' "$incise" run m --input input_ids=m/input_1x7_input_ids.npy -o taken
[ -z "$(ls taken)" ] || fail "something in the folder that was there before"
expect 73 'no/such/out' "$incise" prune m -o no/such/out --pattern element --sparsity 0.5
expect 73 'm/openvino_model.xml/out' "$incise" prune m -o m/openvino_model.xml/out --pattern element --sparsity 0.5
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod a-w locked
    expect 73 'locked/out' "$incise" prune m -o locked/out --pattern element --sparsity 0.5
elif mkdir disk && mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then
    expect 75 'disk/out.*No space' "$incise" prune m -o disk/out --pattern element --sparsity 0.5
    [ -z "$(ls disk)" ] || fail "left on the full disk: $(ls disk)"
    umount disk
else
    echo "SKIP: a full disk needs a tmpfs of its own"
fi
expect 74 'out.*File too large' bash -c 'ulimit -f 64; "$0" prune m -o out --pattern element --sparsity 0.5' "$incise"
expect 75 'stdout: No space left on device' bash -c '"$0" inspect m >/dev/full' "$incise"
expect 2 'no_such_layer' "$incise" prune m -o out --pattern element --sparsity 0.5 --select no_such_layer

# ---- a file that shrinks and grows while it is read: an old or a new meaning, or an error, never anything else
model bert
cp m/openvino_model.bin whole.bin
(while :; do truncate -s 100000 m/openvino_model.bin && cat whole.bin >m/openvino_model.bin; done) 2>/dev/null &
writer=$!
for ((i = 0; i < 40; i++)); do
    inspect >stdout 2>stderr
    code=$?
    checks=$((checks + 1))
    [[ " 0 65 74 " == *" $code "* ]] || fail "exit $code while the file changes"
done
kill $writer
wait $writer 2>/dev/null

# ---- killed at any moment: OUT is whole or absent, and the next run works whatever was left
model bert
prune >stdout 2>stderr && mv out expected
for ((i = 0; i < 20; i++)); do
    "$incise" prune m -o out --pattern block:32x32 --sparsity 0.5 >stdout 2>stderr &
    victim=$!
    sleep "0.0$(printf %02d $((RANDOM % 40)))"
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    checks=$((checks + 1))
    if [ -e out ]; then
        diff -r expected out || fail "killed: a half-written out"
        rm -r out
    fi
done
rm -rf ./*.tmp.*
mkdir left
expect 0 '' bash -c 'mkdir "left/out.tmp.$$" "left/out.tmp.$$.1" && exec "$0" prune m -o left/out --pattern block:32x32 --sparsity 0.5' "$incise"
diff -r expected left/out || fail "a run with the process id of a killed one"

echo "$checks checks, $failed failed"
[ $failed -eq 0 ]
