/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic and comparison, with Python's rules. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_eval.h"

bool value_is_integer(struct value v)
{
    return v.type == VALUE_INT || v.type == VALUE_BOOL;
}

static bool is_number(struct value v)
{
    return value_is_integer(v) || v.type == VALUE_REAL;
}

int64_t value_integer_of(struct value v)
{
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

static double real_of(struct value v)
{
    return v.type == VALUE_REAL ? v.real : (double)value_integer_of(v);
}

static int join_texts(struct run *run, const struct node *at, struct str a, struct str b,
                      struct value *out)
{
    char *text;

    if (a.len == 0 || b.len == 0) {
        *out = value_text(a.len == 0 ? b : a);
        return 0;
    }
    text = arena_alloc(&run->arena, a.len + b.len);
    if (text == NULL)
        return run_no_memory(run, at);
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, b.ptr, b.len);
    *out = value_text((struct str){text, a.len + b.len});
    return run_charge(run, at, (a.len + b.len) / 64);
}

static int join_lists(struct run *run, const struct node *at, struct value a, struct value b,
                      struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    const struct value_list *parts[] = {a.list, b.list};

    if (list == NULL)
        return run_no_memory(run, at);
    for (size_t k = 0; k < ARRAY_COUNT(parts); k++) {
        for (size_t i = 0; i < parts[k]->count; i++) {
            if (!value_list_add(&run->arena, list, parts[k]->items[i]))
                return run_no_memory(run, at);
        }
    }
    *out = value_of_list(list);
    out->is_tuple = a.is_tuple;
    return run_charge(run, at, list->count);
}

static int integer_arithmetic(struct run *run, const struct node *at, int64_t a, int64_t b,
                              struct value *out)
{
    int64_t result = 0;
    bool overflow = false;

    switch (at->op) {
    case OP_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case OP_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case OP_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    default: /* floor division and modulo, rounding down as Python does */
        if (b == 0 || (a == INT64_MIN && b == -1))
            return run_fault(run, at, ERR_INVALID, "division by zero");
        result = at->op == OP_MODULO ? a % b : a / b;
        if (a % b != 0 && (a < 0) != (b < 0))
            result += at->op == OP_MODULO ? b : -1;
        break;
    }
    if (overflow)
        return run_fault(run, at, ERR_INVALID, "the number is too large");
    *out = value_int(result);
    return 0;
}

static int real_arithmetic(struct run *run, const struct node *at, double a, double b,
                           struct value *out)
{
    bool divides = at->op == OP_DIVIDE || at->op == OP_FLOOR_DIVIDE || at->op == OP_MODULO;
    double result;

    if (divides && !(b < 0) && !(b > 0))
        return run_fault(run, at, ERR_INVALID, "division by zero");
    switch (at->op) {
    case OP_ADD:
        result = a + b;
        break;
    case OP_SUBTRACT:
        result = a - b;
        break;
    case OP_MULTIPLY:
        result = a * b;
        break;
    case OP_DIVIDE:
        result = a / b;
        break;
    case OP_FLOOR_DIVIDE:
        result = floor(a / b);
        break;
    default:
        result = a - floor(a / b) * b;
        break;
    }
    *out = value_real(result);
    return 0;
}

/* a ~ b: both as they print. */
static int concatenate(struct run *run, const struct node *at, struct value a, struct value b,
                       struct value *out)
{
    size_t mark = run->out->len;

    if (a.type == VALUE_TEXT && b.type == VALUE_TEXT)
        return join_texts(run, at, a.text, b.text, out);
    value_print(run->out, a);
    value_print(run->out, b);
    return run_capture(run, at, mark, out);
}

static const char *operator_name(enum operation op)
{
    static const char *const names[] = {
        [OP_ADD] = "+",
        [OP_SUBTRACT] = "-",
        [OP_MULTIPLY] = "*",
        [OP_DIVIDE] = "/",
        [OP_FLOOR_DIVIDE] = "//",
        [OP_MODULO] = "%",
        [OP_CONCAT] = "~",
        [OP_EQUAL] = "==",
        [OP_NOT_EQUAL] = "!=",
        [OP_LESS] = "<",
        [OP_LESS_EQUAL] = "<=",
        [OP_GREATER] = ">",
        [OP_GREATER_EQUAL] = ">=",
        [OP_IN] = "in",
        [OP_NOT_IN] = "not in",
    };

    return names[op];
}

int evaluate_binary(struct run *run, const struct node *node, struct value *out)
{
    struct value a;
    struct value b;
    int r = evaluate(run, node->left, &a);

    if (r >= 0)
        r = evaluate(run, node->right, &b);
    if (r < 0)
        return r;
    if (node->op == OP_CONCAT)
        return concatenate(run, node, a, b, out);
    r = run_defined(run, node, a);
    if (r >= 0)
        r = run_defined(run, node, b);
    if (r < 0)
        return r;
    if (node->op == OP_ADD && a.type == VALUE_TEXT && b.type == VALUE_TEXT)
        return join_texts(run, node, a.text, b.text, out);
    if (node->op == OP_ADD && a.type == VALUE_LIST && b.type == VALUE_LIST)
        return join_lists(run, node, a, b, out);
    if (value_is_integer(a) && value_is_integer(b) && node->op != OP_DIVIDE)
        return integer_arithmetic(run, node, value_integer_of(a), value_integer_of(b), out);
    if (is_number(a) && is_number(b))
        return real_arithmetic(run, node, real_of(a), real_of(b), out);
    return run_fault(run, node, ERR_INVALID, "%s %s %s is not possible", value_type_name(a),
                     operator_name(node->op), value_type_name(b));
}

int run_in(struct run *run, const struct node *at, struct value needle, struct value haystack,
           bool *out)
{
    *out = false;
    if (haystack.type == VALUE_UNDEFINED)
        return 0;
    if (haystack.type == VALUE_TEXT && needle.type == VALUE_TEXT) {
        *out = needle.text.len == 0 ||
               (haystack.text.len > 0 && memmem(haystack.text.ptr, haystack.text.len,
                                                needle.text.ptr, needle.text.len) != NULL);
        return run_charge(run, at, haystack.text.len / 64);
    }
    if (haystack.type == VALUE_DICT) {
        *out = value_dict_get(haystack.dict, needle, &run->steps) != NULL;
        return run_charge(run, at, 1);
    }
    if (haystack.type != VALUE_LIST)
        return run_fault(run, at, ERR_INVALID, "%s cannot be in %s", value_type_name(needle),
                         value_type_name(haystack));
    for (size_t i = 0; i < haystack.list->count && !*out; i++)
        *out = value_equal(needle, haystack.list->items[i], &run->steps);
    return run_charge(run, at, 1);
}

/* < <= > >= */
static int order(struct run *run, const struct node *at, struct value a, struct value b, bool *out)
{
    int sign;
    int r = run_defined(run, at, a);

    if (r >= 0)
        r = run_defined(run, at, b);
    if (r < 0)
        return r;
    if (a.type == VALUE_TEXT && b.type == VALUE_TEXT)
        sign = str_compare(a.text, b.text);
    else if (value_is_integer(a) && value_is_integer(b))
        sign = (value_integer_of(a) > value_integer_of(b)) -
               (value_integer_of(a) < value_integer_of(b));
    else if (is_number(a) && is_number(b))
        sign = (real_of(a) > real_of(b)) - (real_of(a) < real_of(b));
    else
        return run_fault(run, at, ERR_INVALID, "%s %s %s is not possible", value_type_name(a),
                         operator_name(at->op), value_type_name(b));
    *out = at->op == OP_LESS         ? sign < 0
           : at->op == OP_LESS_EQUAL ? sign <= 0
           : at->op == OP_GREATER    ? sign > 0
                                     : sign >= 0;
    return 0;
}

static int compare(struct run *run, const struct node *at, struct value a, struct value b,
                   bool *out)
{
    int r;

    switch (at->op) {
    case OP_EQUAL:
    case OP_NOT_EQUAL:
        *out = value_equal(a, b, &run->steps) == (at->op == OP_EQUAL);
        return run_charge(run, at, 0);
    case OP_IN:
    case OP_NOT_IN:
        r = run_in(run, at, a, b, out);
        *out = *out == (at->op == OP_IN);
        return r;
    default:
        return order(run, at, a, b, out);
    }
}

/* a < b < c: each with the next, until one is false. */
int evaluate_compare(struct run *run, const struct node *node, struct value *out)
{
    struct value left;
    bool result = true;
    int r = evaluate(run, node->left, &left);

    for (const struct node *operand = node->children; r >= 0 && result && operand != NULL;
         operand = operand->next) {
        struct value right;

        r = evaluate(run, operand->left, &right);
        if (r >= 0)
            r = compare(run, operand, left, right, &result);
        left = right;
    }
    *out = value_bool(result);
    return r;
}
