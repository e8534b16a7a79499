# SPDX-License-Identifier: Apache-2.0
# GGUF files convert to folders that run and embed; kept integers change no bit; what cannot be done says so.
tiny=$data/tiny/bert-gguf
inputs=(--input input_ids=$tiny/input_4x16_input_ids.npy --input attention_mask=$tiny/input_4x16_attention_mask.npy
    --input token_type_ids=$tiny/input_4x16_token_type_ids.npy)
for options in "" --keep-quantized "--task embedding"; do
    incise convert $tiny/model.gguf -o "out$options" $options && ls "out$options"
    incise run "out$options" "${inputs[@]}" -o "run$options" --format csv 2>/dev/null
    cli_check close "run$options/0_last_hidden_state.npy" $tiny/output_4x16.npy 1e-5 $tiny/input_4x16_attention_mask.npy &&
        echo "as recorded"
done
cmp run/0_last_hidden_state.npy run--keep-quantized/0_last_hidden_state.npy && echo "the same bits"
incise inspect out--keep-quantized --format csv | awk -F, '$3 == "i8" {n++} END {print n " integer linears"}'
echo "the cats sing." | incise embed out --as raw >pooled.raw
echo "the cats sing." | incise embed "out--task embedding" --as raw 2>/dev/null | wc -c
wc -c <pooled.raw

fails incise convert $data/tiny/types-gguf/model.gguf -o types
fails incise convert $data/tiny/bert-hf -o bert --keep-quantized
fails incise convert missing.gguf -o missing
head -c 5000 $tiny/model.gguf >cut.gguf
fails incise convert cut.gguf -o cut
ln -s $tiny/model.gguf link.gguf && incise convert link.gguf -o linked && echo "links are followed"
ls
