/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the operator. Reconciling is level-triggered, so the operator may end itself when a
 * small allocation fails: the next run adopts what is there. That keeps error paths out of code
 * that decides.
 */
#ifndef SPATE_OPERATOR_MUST_H
#define SPATE_OPERATOR_MUST_H

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

/* Returns `pointer`, or ends the process if it is NULL. */
static inline void *must(void *pointer)
{
    if (pointer == NULL) {
        log_error("out of memory: the operator ends and adopts its pods at the next start");
        abort();
    }
    return pointer;
}

/* Text of a view on the heap. */
static inline char *must_text(struct str text)
{
    return must(mem_strndup(text.ptr != NULL ? text.ptr : "", text.len));
}

/* Replaces an owned text. */
static inline void must_replace(char **owned, struct str text)
{
    char *copy = must_text(text);

    mem_free(*owned);
    *owned = copy;
}

/* An arena's answer, of an arena whose ceiling is only a fuse. */
static inline struct str must_str(struct str text)
{
    if (text.len > 0)
        (void)must((void *)(uintptr_t)text.ptr);
    return text;
}

#endif
