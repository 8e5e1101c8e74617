/* SPDX-License-Identifier: Apache-2.0 */
/* One rendering: what the evaluator and the named operations share. Inside engine/text/template*.c
 * only. */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_RUN_H
#define SPATE_ENGINE_TEXT_TEMPLATE_RUN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/text/template_tree.h"
#include "engine/text/template_value.h"

enum {
    RUN_DEPTH_MAX = 400,     /* of evaluation, macros included: bounds the C stack */
    RUN_ARGUMENTS_MAX = 16,  /* of one call */
    RUN_RANGE_MAX = 1 << 16, /* numbers of one range() */
};

struct scope;

struct run {
    const struct template *t;
    struct arena arena; /* of all values */
    struct buf *out;
    struct scope *scope;
    uint64_t steps;
    int depth;
    const struct clock *clock;
    struct err *err;
};

/* Arguments of a call, evaluated. */
struct arguments {
    struct value values[RUN_ARGUMENTS_MAX];
    struct str keywords[RUN_ARGUMENTS_MAX]; /* ptr NULL: given by position */
    int count;
};

int run_fault(struct run *run, const struct node *at, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int run_no_memory(struct run *run, const struct node *at);
/* Charges steps; fails at the limit. */
int run_charge(struct run *run, const struct node *at, uint64_t steps);
/* Fails if the value is undefined. */
int run_defined(struct run *run, const struct node *at, struct value v);
/* The text that `print` writes into the arena. */
int run_capture(struct run *run, const struct node *at, size_t mark, struct value *out);

/* The argument `index` or of that name; NULL: not given. */
const struct value *argument_get(const struct arguments *args, int index, const char *keyword);

/* What Python iterates over: a list, the keys of a dict, the characters of a text. */
int run_iterate(struct run *run, const struct node *at, struct value v, struct value_list **out);
/* a.name or a[key]: undefined where there is none. */
int run_attribute(struct run *run, const struct node *at, struct value subject, struct value key,
                  struct value *out);
int run_in(struct run *run, const struct node *at, struct value needle, struct value haystack,
           bool *out);

/* Operations by name; `at` gives name and place. */
int run_filter(struct run *run, const struct node *at, struct value subject,
               const struct arguments *args, struct value *out);
int run_test(struct run *run, const struct node *at, struct str name, struct value subject,
             const struct arguments *args, bool *out);
int run_method(struct run *run, const struct node *at, struct str name, struct value subject,
               const struct arguments *args, struct value *out);
int run_function(struct run *run, const struct node *at, struct str name,
                 const struct arguments *args, struct value *out);

#endif
