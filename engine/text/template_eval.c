/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of a template: names, lists, dicts, logic, and the choice of what evaluates which. */
#include "engine/text/template_eval.h"
#include "base/mem.h"

/* strftime_now is there only if the caller gave a clock. */
bool run_has_function(const struct run *run, struct str name)
{
    return template_knows_function(name) && (run->clock != NULL || !str_is(name, "strftime_now"));
}

static int evaluate_name(struct run *run, const struct node *node, struct value *out)
{
    struct scope *where;
    const struct variable *v = scope_find(run, node->text, &where);

    if (v != NULL)
        *out = v->value;
    else if (run_has_function(run, node->text))
        *out = (struct value){.type = VALUE_MACRO};
    else
        *out = value_undefined(node->text);
    return 0;
}

static int evaluate_list(struct run *run, const struct node *node, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);

    if (list == NULL)
        return run_no_memory(run, node);
    for (const struct node *child = node->children; child != NULL; child = child->next) {
        struct value item;
        int r = evaluate(run, child, &item);

        if (r < 0)
            return r;
        if (!value_list_add(&run->arena, list, item))
            return run_no_memory(run, node);
    }
    *out = value_of_list(list);
    out->is_tuple = node->flag;
    return 0;
}

static int evaluate_dict(struct run *run, const struct node *node, struct value *out)
{
    struct value_dict *dict = value_dict_new(&run->arena);

    if (dict == NULL)
        return run_no_memory(run, node);
    for (const struct node *child = node->children; child != NULL; child = child->next->next) {
        struct value key;
        struct value value;
        int r = evaluate(run, child, &key);

        if (r >= 0)
            r = evaluate(run, child->next, &value);
        if (r < 0)
            return r;
        if (!value_dict_put(&run->arena, dict, key, value, &run->steps))
            return run_no_memory(run, node);
    }
    *out = value_of_dict(dict);
    return 0;
}

static int evaluate_logic(struct run *run, const struct node *node, struct value *out)
{
    int r = evaluate(run, node->left, out);

    if (r < 0 || value_true(*out) == (node->kind == NODE_OR))
        return r;
    return evaluate(run, node->right, out);
}

static int evaluate_choice(struct run *run, const struct node *node, struct value *out)
{
    struct value condition;
    int r = evaluate(run, node->left, &condition);

    if (r < 0)
        return r;
    if (value_true(condition))
        return evaluate(run, node->right, out);
    if (node->third != NULL)
        return evaluate(run, node->third, out);
    *out = value_undefined(STR("the else of an if"));
    return 0;
}

static int evaluate_sign(struct run *run, const struct node *node, struct value *out)
{
    int r = evaluate(run, node->left, out);

    if (r < 0)
        return r;
    if (node->kind == NODE_NOT) {
        *out = value_bool(!value_true(*out));
        return 0;
    }
    if (out->type == VALUE_REAL)
        *out = value_real(-out->real);
    else if (value_is_integer(*out) && value_integer_of(*out) != INT64_MIN)
        *out = value_int(-value_integer_of(*out));
    else
        return run_fault(run, node, ERR_INVALID, "- %s is not possible", value_type_name(*out));
    return 0;
}

static int evaluate_kind(struct run *run, const struct node *node, struct value *out)
{
    switch (node->kind) {
    case NODE_CONST:
        *out = node->value;
        return 0;
    case NODE_NAME:
        return evaluate_name(run, node, out);
    case NODE_LIST:
        return evaluate_list(run, node, out);
    case NODE_DICT:
        return evaluate_dict(run, node, out);
    case NODE_ATTRIBUTE:
        return evaluate_attribute(run, node, out);
    case NODE_ITEM:
        return evaluate_item(run, node, out);
    case NODE_SLICE:
        return evaluate_slice(run, node, out);
    case NODE_CALL:
        return evaluate_call(run, node, out);
    case NODE_FILTER:
        return evaluate_filter(run, node, out);
    case NODE_TEST:
        return evaluate_test(run, node, out);
    case NODE_NOT:
    case NODE_NEGATE:
        return evaluate_sign(run, node, out);
    case NODE_BINARY:
        return evaluate_binary(run, node, out);
    case NODE_COMPARE:
        return evaluate_compare(run, node, out);
    case NODE_AND:
    case NODE_OR:
        return evaluate_logic(run, node, out);
    case NODE_CHOICE:
        return evaluate_choice(run, node, out);
    default:
        return run_fault(run, node, ERR_INTERNAL, "node %d is no expression", (int)node->kind);
    }
}

int evaluate(struct run *run, const struct node *node, struct value *out)
{
    int r = run_descend(run, node);

    if (r >= 0)
        r = evaluate_kind(run, node, out);
    run->depth--;
    return r;
}
