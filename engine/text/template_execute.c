/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of a template: output, conditions, loops, assignments. */
#include "base/mem.h"
#include "engine/text/template_eval.h"

static int print_text(struct run *run, const struct node *node, struct str text)
{
    if (buf_append_str(run->out, text) < 0)
        return buf_check(run->out, "the rendered chat", run->err);
    return run_charge(run, node, text.len / 64);
}

static int execute_print(struct run *run, const struct node *node)
{
    size_t before = run->out->len;
    struct value v;
    int r = evaluate(run, node->left, &v);

    if (r < 0)
        return r;
    value_print(run->out, v);
    if (run->out->failed)
        return buf_check(run->out, "the rendered chat", run->err);
    return run_charge(run, node, (run->out->len - before) / 64);
}

static int execute_if(struct run *run, const struct node *node)
{
    for (const struct node *branch = node->children; branch != NULL; branch = branch->next) {
        struct value condition = value_bool(true);
        int r = branch->left == NULL ? 0 : evaluate(run, branch->left, &condition);

        if (r < 0)
            return r;
        if (value_true(condition))
            return execute_all(run, branch->children);
    }
    return FLOW_ON;
}

static int assign_attribute(struct run *run, const struct node *target, struct value value)
{
    struct scope *where;
    const struct variable *v = scope_find(run, target->text, &where);

    if (v == NULL || v->value.type != VALUE_NAMESPACE)
        return run_fault(run, target, ERR_INVALID,
                         "'%.*s' is no namespace: only attributes of a "
                         "namespace can be set",
                         STR_ARG(str_slice(target->text, 0, 64)));
    if (!value_dict_put(&run->arena, v->value.dict, target->right->value, value, &run->steps))
        return run_no_memory(run, target);
    return 0;
}

static int assign_target(struct run *run, const struct node *target, struct value value)
{
    if (target->right != NULL)
        return assign_attribute(run, target, value);
    return scope_assign(run, target, target->text, value);
}

static int assign_targets(struct run *run, const struct node *targets, struct value value)
{
    struct value_list *items;
    size_t index = 0;
    int r;

    if (targets->next == NULL)
        return assign_target(run, targets, value);
    r = run_iterate(run, targets, value, &items);
    for (const struct node *target = targets; r >= 0 && target != NULL; target = target->next) {
        if (index >= items->count)
            return run_fault(run, target, ERR_INVALID, "there are only %zu values to assign",
                             items->count);
        r = assign_target(run, target, items->items[index++]);
    }
    if (r >= 0 && index < items->count)
        return run_fault(run, targets, ERR_INVALID, "there are %zu values for %zu names",
                         items->count, index);
    return r;
}

static int execute_set(struct run *run, const struct node *node)
{
    size_t mark = run->out->len;
    struct value value;
    int r;

    if (node->flag) {
        r = execute_all(run, node->children);
        if (r >= 0)
            r = run_capture(run, node, mark, &value);
    } else {
        r = evaluate(run, node->left, &value);
    }
    return r < 0 ? r : assign_targets(run, node->names, value);
}

/* The items for which the loop's own condition holds. */
static int items_that_pass(struct run *run, const struct node *node, struct value_list **items)
{
    struct value_list *kept;
    int r = 0;

    if (node->right == NULL)
        return 0;
    kept = value_list_new(&run->arena);
    if (kept == NULL)
        return run_no_memory(run, node);
    for (size_t i = 0; r >= 0 && i < (*items)->count; i++) {
        struct value condition;

        r = run_charge(run, node, 1);
        if (r >= 0)
            r = assign_targets(run, node->names, (*items)->items[i]);
        if (r >= 0)
            r = evaluate(run, node->right, &condition);
        if (r >= 0 && value_true(condition) &&
            !value_list_add(&run->arena, kept, (*items)->items[i]))
            r = run_no_memory(run, node);
    }
    *items = kept;
    return r;
}

/* Each round of a loop has a scope of its own. */
static void clear_scope(struct scope *scope)
{
    while (scope->variables != NULL) {
        struct variable *v = scope->variables;

        scope->variables = v->next;
        v->next = scope->spare;
        scope->spare = v;
    }
}

static int loop_rounds(struct run *run, const struct node *node, struct value_list *items)
{
    struct loop loop = {.items = items};
    struct scope *scope = run->scope;
    int r = FLOW_ON;

    scope->loop = &loop;
    for (; r != FLOW_BREAK && loop.index < items->count; loop.index++) {
        clear_scope(scope);
        r = run_charge(run, node, 1);
        if (r >= 0)
            r = assign_targets(run, node->names, items->items[loop.index]);
        if (r >= 0)
            r = execute_all(run, node->children);
        if (r < 0)
            break;
    }
    scope->loop = NULL;
    return r < 0 ? r : FLOW_ON;
}

static int execute_for(struct run *run, const struct node *node)
{
    struct scope *outer = run->scope;
    struct value_list *items;
    struct value subject;
    int r = evaluate(run, node->left, &subject);

    if (r >= 0)
        r = run_iterate(run, node, subject, &items);
    if (r < 0)
        return r;
    run->scope = scope_new(run, outer);
    if (run->scope == NULL) {
        run->scope = outer;
        return run_no_memory(run, node);
    }
    r = items_that_pass(run, node, &items);
    if (r >= 0)
        r = loop_rounds(run, node, items);
    run->scope = outer;
    if (r >= 0 && items->count == 0 && node->third != NULL)
        r = execute_all(run, node->third->children);
    return r;
}

static int execute_kind(struct run *run, const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT:
        return print_text(run, node, node->text);
    case NODE_PRINT:
        return execute_print(run, node);
    case NODE_IF:
        return execute_if(run, node);
    case NODE_FOR:
        return execute_for(run, node);
    case NODE_SET:
        return execute_set(run, node);
    case NODE_MACRO:
        return scope_assign(run, node, node->text,
                            (struct value){.type = VALUE_MACRO, .macro = node});
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    case NODE_GROUP:
        return execute_all(run, node->children);
    default:
        return run_fault(run, node, ERR_INTERNAL, "node %d is no statement", (int)node->kind);
    }
}

/* The first that is not FLOW_ON ends the list and is returned. */
int execute_all(struct run *run, const struct node *list)
{
    int r = FLOW_ON;

    for (const struct node *node = list; r == FLOW_ON && node != NULL; node = node->next) {
        r = run_descend(run, node);
        if (r >= 0)
            r = execute_kind(run, node);
        run->depth--;
    }
    return r;
}
