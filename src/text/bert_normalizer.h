/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizer of BERT's tokenizers, as Hugging Face's BertNormalizer does it. */
#ifndef INC_TEXT_BERT_NORMALIZER_H
#define INC_TEXT_BERT_NORMALIZER_H

#include "text/tokenizer.h"

struct inc_bert_normalizer {
    bool clean_text, chinese_chars, strip_accents, lowercase;
    unsigned char ascii[128]; /* what a character becomes; 0xff: nothing */
};

void inc_bert_normalizer_init(struct inc_bert_normalizer *bert, bool clean_text, bool chinese_chars, bool strip_accents,
                              bool lowercase);
/* Valid UTF-8 of `n` bytes into out->text. */
enum incise_status inc_bert_normalize(const struct inc_bert_normalizer *bert, const char *text, size_t n,
                                      struct inc_ids *out) __attribute__((warn_unused_result));

#endif
