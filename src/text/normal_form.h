/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode's normal forms, and the canonical order of marks. */
#ifndef INC_TEXT_NORMAL_FORM_H
#define INC_TEXT_NORMAL_FORM_H

#include "text/transform.h"

/* A character that waits for the next starter. */
struct inc_mark {
    uint32_t code;
    uint32_t origin;
    uint8_t combining_class; /* > 0 */
    int8_t change;           /* see inc_transform */
};

struct inc_marks {
    const struct inc_ctx *ctx;
    struct inc_mark *items;
    size_t n, capacity;
};

typedef enum incise_status inc_mark_fn(void *user, const struct inc_mark *mark);

void inc_marks_init(struct inc_marks *marks, const struct inc_ctx *ctx);
void inc_marks_release(struct inc_marks *marks);
enum incise_status inc_marks_add(struct inc_marks *marks, const struct inc_mark *mark)
    __attribute__((warn_unused_result));
/* Passes them on, by rising class and in their order within one, and forgets them. */
enum incise_status inc_marks_flush(struct inc_marks *marks, inc_mark_fn *put, void *user)
    __attribute__((warn_unused_result));

/* Which form; bits. */
enum inc_form { INC_FORM_D = 0, INC_FORM_C = 1, INC_FORM_KD = 2, INC_FORM_KC = 3 };
#define INC_FORM_COMPOSED   1
#define INC_FORM_COMPATIBLE 2

/* Appends the source to `text`. `marks` and `blocked` are scratch memory. Takes time linear in the length. */
enum incise_status inc_normal_form(enum inc_form form, const struct inc_source *source, struct inc_text *text,
                                   struct inc_marks *marks, struct inc_marks *blocked)
    __attribute__((warn_unused_result));

#endif
