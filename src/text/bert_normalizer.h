/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizer of BERT's tokenizers, as Hugging Face's BertNormalizer does it. */
#ifndef INC_TEXT_BERT_NORMALIZER_H
#define INC_TEXT_BERT_NORMALIZER_H

#include "text/normal_form.h"

struct inc_bert_normalizer {
    bool clean_text, chinese_chars, strip_accents, lowercase;
    unsigned char ascii[128]; /* what a character becomes; 0xff: nothing */
};

void inc_bert_normalizer_init(struct inc_bert_normalizer *bert, bool clean_text, bool chinese_chars, bool strip_accents,
                              bool lowercase);
/* Appends the source to `out`; `marks` is scratch memory. */
enum incise_status inc_bert_normalize(const struct inc_bert_normalizer *bert, const struct inc_source *source,
                                      struct inc_text *out, struct inc_marks *marks)
    __attribute__((warn_unused_result));

#endif
