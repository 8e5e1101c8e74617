/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that evaluate a template share: its variables, and the evaluation of each kind of
 * node. Functions return 0 (statements: enum flow) or a negative error that names the line. Inside
 * engine/text/template*.c only.
 */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_EVAL_H
#define SPATE_ENGINE_TEXT_TEMPLATE_EVAL_H

#include "engine/text/template_run.h"

struct variable {
    struct variable *next;
    struct str name;
    struct value value;
};

/* A loop that runs: what `loop.` tells. */
struct loop {
    const struct value_list *items;
    size_t index;
};

struct scope {
    struct scope *parent;
    struct variable *variables;
    struct variable *spare;  /* those of earlier rounds of a loop, to be used again */
    const struct loop *loop; /* of a loop's body */
};

/* Of the run's arena; NULL: no memory. */
struct scope *scope_new(struct run *run, struct scope *parent);
/* From the current scope outwards; *where: the scope that holds it. NULL: there is none. */
struct variable *scope_find(struct run *run, struct str name, struct scope **where);
/* In the current scope. */
int scope_assign(struct run *run, const struct node *at, struct str name, struct value value);

/* Entering a node, of either kind; the caller takes one from run->depth when it leaves. */
int run_descend(struct run *run, const struct node *node);
/* Whether this rendering has the function: strftime_now is there only if the caller gave a clock.
 */
bool run_has_function(const struct run *run, struct str name);

/* Results of statements, beside errors. */
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

/* The first that is not FLOW_ON ends the list and is returned. */
int execute_all(struct run *run, const struct node *list);

int evaluate(struct run *run, const struct node *node, struct value *out);
int evaluate_attribute(struct run *run, const struct node *node, struct value *out);
int evaluate_item(struct run *run, const struct node *node, struct value *out);
int evaluate_slice(struct run *run, const struct node *node, struct value *out);
int evaluate_call(struct run *run, const struct node *node, struct value *out);
int evaluate_filter(struct run *run, const struct node *node, struct value *out);
int evaluate_test(struct run *run, const struct node *node, struct value *out);
int evaluate_binary(struct run *run, const struct node *node, struct value *out);
int evaluate_compare(struct run *run, const struct node *node, struct value *out);

/* True and False count as 1 and 0. */
bool value_is_integer(struct value v);
int64_t value_integer_of(struct value v);

#endif
