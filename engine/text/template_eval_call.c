/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions that call by name: macros, functions, methods, filters and tests. */
#include "base/mem.h"
#include "engine/text/template_eval.h"

const struct value *argument_get(const struct arguments *args, int index, const char *keyword)
{
    int position = 0;

    for (int i = 0; i < args->count; i++) {
        if (args->keywords[i].ptr == NULL) {
            if (position++ == index)
                return &args->values[i];
        } else if (keyword != NULL && str_is(args->keywords[i], keyword)) {
            return &args->values[i];
        }
    }
    return NULL;
}

static int evaluate_arguments(struct run *run, const struct node *call, struct arguments *out)
{
    out->count = 0;
    for (const struct node *child = call->children; child != NULL; child = child->next) {
        int r;

        if (out->count == RUN_ARGUMENTS_MAX)
            return run_fault(run, call, ERR_LIMIT, "a call has more than %d arguments",
                             RUN_ARGUMENTS_MAX);
        r = evaluate(run, child->left, &out->values[out->count]);
        if (r < 0)
            return r;
        out->keywords[out->count++] = child->text;
    }
    return 0;
}

static int bind_parameters(struct run *run, const struct node *at, const struct node *macro,
                           const struct arguments *args)
{
    int index = 0;

    for (const struct node *param = macro->names; param != NULL; param = param->next, index++) {
        const struct value *given = NULL;
        struct value value = value_undefined(param->text);
        int position = 0;
        int r = 0;

        for (int i = 0; i < args->count; i++) {
            bool by_name = args->keywords[i].ptr != NULL;

            if (by_name ? str_eq(args->keywords[i], param->text) : position++ == index)
                given = &args->values[i];
        }
        if (given != NULL)
            value = *given;
        else if (param->left != NULL)
            r = evaluate(run, param->left, &value);
        if (r >= 0)
            r = scope_assign(run, at, param->text, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A macro sees its parameters and the scope in which it was defined. */
static int call_macro(struct run *run, const struct node *at, const struct node *macro,
                      struct scope *defined, const struct arguments *args, struct value *out)
{
    struct scope *caller = run->scope;
    struct scope *scope = scope_new(run, defined);
    size_t mark = run->out->len;
    int r;

    if (scope == NULL)
        return run_no_memory(run, at);
    run->scope = scope;
    r = bind_parameters(run, at, macro, args);
    if (r >= 0)
        r = execute_all(run, macro->children);
    run->scope = caller;
    return r < 0 ? r : run_capture(run, at, mark, out);
}

int evaluate_call(struct run *run, const struct node *node, struct value *out)
{
    const struct node *callee = node->left;
    struct arguments args;
    struct value subject;
    struct scope *where = NULL;
    const struct variable *v;
    int r;

    if (callee->kind == NODE_ATTRIBUTE) {
        r = evaluate(run, callee->left, &subject);
        if (r >= 0)
            r = run_defined(run, node, subject);
        if (r >= 0)
            r = evaluate_arguments(run, node, &args);
        return r < 0 ? r : run_method(run, node, callee->text, subject, &args, out);
    }
    r = evaluate_arguments(run, node, &args);
    if (r < 0)
        return r;
    v = scope_find(run, callee->text, &where);
    if (v == NULL && run_has_function(run, callee->text))
        return run_function(run, node, callee->text, &args, out);
    if (v == NULL || v->value.type != VALUE_MACRO || v->value.macro == NULL)
        return run_fault(run, node, ERR_INVALID, "'%.*s' cannot be called here",
                         STR_ARG(callee->text));
    return call_macro(run, node, v->value.macro, where, &args, out);
}

int evaluate_filter(struct run *run, const struct node *node, struct value *out)
{
    struct arguments args;
    struct value subject;
    int r = evaluate(run, node->left, &subject);

    if (r >= 0)
        r = evaluate_arguments(run, node, &args);
    return r < 0 ? r : run_filter(run, node, subject, &args, out);
}

int evaluate_test(struct run *run, const struct node *node, struct value *out)
{
    struct arguments args;
    struct value subject;
    bool result = false;
    int r = evaluate(run, node->left, &subject);

    if (r >= 0)
        r = evaluate_arguments(run, node, &args);
    if (r >= 0)
        r = run_test(run, node, node->text, subject, &args, &result);
    if (r >= 0)
        *out = value_bool(result != node->flag);
    return r;
}
