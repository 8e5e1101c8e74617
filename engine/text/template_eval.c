/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluating a template: statements and expressions. Each node costs a step; depth, memory and
 * output have ceilings, so a rendering ends whatever the template says.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
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

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE }; /* results of statements, beside errors */

static int evaluate(struct run *run, const struct node *node, struct value *out);
static int execute_all(struct run *run, const struct node *list);

int run_fault(struct run *run, const struct node *at, enum err_code code, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = err_setv(run->err, code, format, args);
    va_end(args);
    return err_wrap(run->err, r, "%s, line %d", run->t->name, at->line);
}

int run_no_memory(struct run *run, const struct node *at)
{
    /* The arena does not say whether its ceiling or the machine's memory was met. */
    if (run->arena.used > run->arena.max / 4)
        return run_fault(run, at, ERR_LIMIT,
                         "the values of the template need more than %d bytes; shorten the messages",
                         TEMPLATE_VALUE_BYTES_MAX);
    return err_no_memory(run->err);
}

int run_charge(struct run *run, const struct node *at, uint64_t steps)
{
    run->steps += steps;
    if (run->steps > TEMPLATE_STEPS_MAX)
        return run_fault(run, at, ERR_LIMIT,
                         "the template takes more than %d steps; send fewer messages",
                         TEMPLATE_STEPS_MAX);
    return 0;
}

int run_defined(struct run *run, const struct node *at, struct value v)
{
    if (v.type != VALUE_UNDEFINED)
        return 0;
    return run_fault(run, at, ERR_INVALID, "'%.*s' is undefined; the messages lack it",
                     STR_ARG(str_slice(v.text, 0, 64)));
}

int run_capture(struct run *run, const struct node *at, size_t mark, struct value *out)
{
    struct str text = {run->out->ptr == NULL ? "" : run->out->ptr + mark, run->out->len - mark};

    if (run->out->failed)
        return buf_check(run->out, "the rendered chat", run->err);
    text = arena_str(&run->arena, text);
    if (text.ptr == NULL)
        return run_no_memory(run, at);
    run->out->len = mark;
    *out = value_text(text);
    return run_charge(run, at, text.len / 64);
}

/* --- variables ------------------------------------------------------------------------------- */

static struct scope *scope_new(struct run *run, struct scope *parent)
{
    struct scope *scope = arena_alloc(&run->arena, sizeof(*scope));

    if (scope != NULL)
        scope->parent = parent;
    return scope;
}

static struct variable *find_here(struct run *run, const struct scope *scope, struct str name)
{
    for (struct variable *v = scope->variables; v != NULL; v = v->next) {
        run->steps++;
        if (str_eq(v->name, name))
            return v;
    }
    return NULL;
}

/* *where: the scope that holds it. */
static struct variable *find(struct run *run, struct str name, struct scope **where)
{
    for (struct scope *scope = run->scope; scope != NULL; scope = scope->parent) {
        struct variable *v = find_here(run, scope, name);

        if (v != NULL) {
            *where = scope;
            return v;
        }
    }
    return NULL;
}

static int assign(struct run *run, const struct node *at, struct str name, struct value value)
{
    struct variable *v = find_here(run, run->scope, name);

    if (v == NULL) {
        v = run->scope->spare;
        if (v != NULL)
            run->scope->spare = v->next;
        else
            v = arena_alloc(&run->arena, sizeof(*v));
        if (v == NULL)
            return run_no_memory(run, at);
        v->name = name;
        v->next = run->scope->variables;
        run->scope->variables = v;
    }
    v->value = value;
    return 0;
}

/* --- expressions ----------------------------------------------------------------------------- */

/* strftime_now is there only if the caller gave a clock. */
static bool has_function(const struct run *run, struct str name)
{
    return template_knows_function(name) && (run->clock != NULL || !str_is(name, "strftime_now"));
}

static int evaluate_name(struct run *run, const struct node *node, struct value *out)
{
    struct scope *where;
    const struct variable *v = find(run, node->text, &where);

    if (v != NULL)
        *out = v->value;
    else if (has_function(run, node->text))
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

/* Byte offset of the character `index` of a text; its length in characters if index is too large.
 */
static size_t character_offset(struct str s, int64_t index)
{
    size_t at = 0;

    while (index > 0 && at < s.len) {
        at++;
        while (at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
            at++;
        index--;
    }
    return at;
}

static int64_t character_count(struct str s)
{
    int64_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return count;
}

static int item_of_text(struct run *run, const struct node *at, struct str s, int64_t index,
                        struct value *out)
{
    int64_t count = character_count(s);
    size_t start;

    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return 0;
    start = character_offset(s, index);
    *out = value_text(str_slice(s, start, start + character_offset(str_slice(s, start, s.len), 1)));
    return run_charge(run, at, s.len / 64);
}

int run_attribute(struct run *run, const struct node *at, struct value subject, struct value key,
                  struct value *out)
{
    struct value *found = NULL;
    int r = run_defined(run, at, subject);

    if (r < 0)
        return r;
    *out = value_undefined(key.type == VALUE_TEXT ? key.text : STR("element"));
    if (subject.type == VALUE_DICT || subject.type == VALUE_NAMESPACE)
        found = value_dict_get(subject.dict, key, &run->steps);
    if (found != NULL)
        *out = *found;
    if (key.type != VALUE_INT)
        return 0;
    if (subject.type == VALUE_TEXT)
        return item_of_text(run, at, subject.text, key.integer, out);
    if (subject.type == VALUE_LIST) {
        int64_t count = (int64_t)subject.list->count;
        int64_t index = key.integer < 0 ? key.integer + count : key.integer;

        if (index >= 0 && index < count)
            *out = subject.list->items[index];
    }
    return 0;
}

/* loop.index and its like, of the innermost loop. */
static int loop_attribute(struct run *run, const struct node *node, struct value *out)
{
    const struct scope *scope = run->scope;
    const struct loop *loop;
    size_t count;

    while (scope != NULL && scope->loop == NULL)
        scope = scope->parent;
    if (scope == NULL)
        return run_fault(run, node, ERR_INVALID, "'loop' is used outside of a loop");
    loop = scope->loop;
    count = loop->items->count;
    if (str_is(node->text, "index"))
        *out = value_int((int64_t)loop->index + 1);
    else if (str_is(node->text, "index0"))
        *out = value_int((int64_t)loop->index);
    else if (str_is(node->text, "revindex"))
        *out = value_int((int64_t)(count - loop->index));
    else if (str_is(node->text, "revindex0"))
        *out = value_int((int64_t)(count - loop->index) - 1);
    else if (str_is(node->text, "first"))
        *out = value_bool(loop->index == 0);
    else if (str_is(node->text, "last"))
        *out = value_bool(loop->index + 1 == count);
    else if (str_is(node->text, "length"))
        *out = value_int((int64_t)count);
    else if (str_is(node->text, "previtem"))
        *out = loop->index > 0 ? loop->items->items[loop->index - 1] : value_undefined(node->text);
    else if (str_is(node->text, "nextitem"))
        *out = loop->index + 1 < count ? loop->items->items[loop->index + 1]
                                       : value_undefined(node->text);
    else
        return run_fault(run, node, ERR_UNSUPPORTED, "loop.%.*s is not supported",
                         STR_ARG(str_slice(node->text, 0, 64)));
    return 0;
}

static int evaluate_attribute(struct run *run, const struct node *node, struct value *out)
{
    struct value subject;
    struct scope *where;
    int r;

    if (node->left->kind == NODE_NAME && str_is(node->left->text, "loop") &&
        find(run, STR("loop"), &where) == NULL)
        return loop_attribute(run, node, out);
    r = evaluate(run, node->left, &subject);
    return r < 0 ? r : run_attribute(run, node, subject, value_text(node->text), out);
}

static int evaluate_item(struct run *run, const struct node *node, struct value *out)
{
    struct value subject;
    struct value key;
    int r = evaluate(run, node->left, &subject);

    if (r >= 0)
        r = evaluate(run, node->right, &key);
    return r < 0 ? r : run_attribute(run, node, subject, key, out);
}

/* One bound of a slice as Python clips it. */
static int64_t clip(struct value v, int64_t otherwise, int64_t count, int64_t low, int64_t high)
{
    int64_t index;

    if (v.type == VALUE_NONE)
        return otherwise;
    index = v.integer < 0 ? v.integer + count : v.integer;
    if (index < low)
        return low;
    return index > high ? high : index;
}

static int slice_of_list(struct run *run, const struct node *at, const struct value_list *list,
                         const struct value bounds[3], struct value *out)
{
    int64_t count = (int64_t)list->count;
    int64_t step = bounds[2].type == VALUE_NONE ? 1 : bounds[2].integer;
    int64_t low = step < 0 ? -1 : 0;
    int64_t high = step < 0 ? count - 1 : count;
    int64_t start = clip(bounds[0], step < 0 ? high : low, count, low, high);
    int64_t stop = clip(bounds[1], step < 0 ? low : high, count, low, high);
    struct value_list *part = value_list_new(&run->arena);

    if (part == NULL)
        return run_no_memory(run, at);
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
        if (!value_list_add(&run->arena, part, list->items[i]))
            return run_no_memory(run, at);
    }
    *out = value_of_list(part);
    return run_charge(run, at, part->count);
}

static int slice_of_text(struct run *run, const struct node *at, struct str s,
                         const struct value bounds[3], struct value *out)
{
    int64_t count = character_count(s);
    int64_t start = clip(bounds[0], 0, count, 0, count);
    int64_t stop = clip(bounds[1], count, count, 0, count);
    size_t from = character_offset(s, start);

    if (bounds[2].type != VALUE_NONE && bounds[2].integer != 1)
        return run_fault(run, at, ERR_UNSUPPORTED, "slicing a string with a step is not supported");
    *out = value_text(STR(""));
    if (stop > start) {
        struct str rest = str_slice(s, from, s.len);

        *out = value_text(str_slice(rest, 0, character_offset(rest, stop - start)));
    }
    return run_charge(run, at, s.len / 64);
}

static int evaluate_slice(struct run *run, const struct node *node, struct value *out)
{
    const struct node *part = node->children;
    struct value bounds[3];
    struct value subject;
    int r = evaluate(run, node->left, &subject);

    for (int i = 0; r >= 0 && i < 3; i++, part = part->next) {
        r = evaluate(run, part, &bounds[i]);
        if (r >= 0 && bounds[i].type != VALUE_NONE && bounds[i].type != VALUE_INT)
            return run_fault(run, node, ERR_INVALID, "a slice needs integers, not %s",
                             value_type_name(bounds[i]));
    }
    if (r < 0)
        return r;
    if (bounds[2].type == VALUE_INT && (bounds[2].integer == 0 || bounds[2].integer == INT64_MIN))
        return run_fault(run, node, ERR_INVALID, "the step of a slice must not be 0");
    for (int i = 0; i < 3; i++) { /* sums with a length must not overflow */
        if (bounds[i].type == VALUE_INT && bounds[i].integer > INT32_MAX)
            bounds[i].integer = INT32_MAX;
        if (bounds[i].type == VALUE_INT && bounds[i].integer < -INT32_MAX)
            bounds[i].integer = -INT32_MAX;
    }
    if (subject.type == VALUE_LIST)
        return slice_of_list(run, node, subject.list, bounds, out);
    if (subject.type == VALUE_TEXT)
        return slice_of_text(run, node, subject.text, bounds, out);
    r = run_defined(run, node, subject);
    return r < 0
               ? r
               : run_fault(run, node, ERR_INVALID, "%s cannot be sliced", value_type_name(subject));
}

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
            r = assign(run, at, param->text, value);
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

static int evaluate_call(struct run *run, const struct node *node, struct value *out)
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
    v = find(run, callee->text, &where);
    if (v == NULL && has_function(run, callee->text))
        return run_function(run, node, callee->text, &args, out);
    if (v == NULL || v->value.type != VALUE_MACRO || v->value.macro == NULL)
        return run_fault(run, node, ERR_INVALID, "'%.*s' cannot be called here",
                         STR_ARG(callee->text));
    return call_macro(run, node, v->value.macro, where, &args, out);
}

static int evaluate_filter(struct run *run, const struct node *node, struct value *out)
{
    struct arguments args;
    struct value subject;
    int r = evaluate(run, node->left, &subject);

    if (r >= 0)
        r = evaluate_arguments(run, node, &args);
    return r < 0 ? r : run_filter(run, node, subject, &args, out);
}

static int evaluate_test(struct run *run, const struct node *node, struct value *out)
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

static bool is_integer(struct value v)
{
    return v.type == VALUE_INT || v.type == VALUE_BOOL;
}

static bool is_number(struct value v)
{
    return is_integer(v) || v.type == VALUE_REAL;
}

static int64_t integer_of(struct value v)
{
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

static double real_of(struct value v)
{
    return v.type == VALUE_REAL ? v.real : (double)integer_of(v);
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

static int evaluate_binary(struct run *run, const struct node *node, struct value *out)
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
    if (is_integer(a) && is_integer(b) && node->op != OP_DIVIDE)
        return integer_arithmetic(run, node, integer_of(a), integer_of(b), out);
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
    else if (is_integer(a) && is_integer(b))
        sign = (integer_of(a) > integer_of(b)) - (integer_of(a) < integer_of(b));
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
static int evaluate_compare(struct run *run, const struct node *node, struct value *out)
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
    else if (is_integer(*out) && integer_of(*out) != INT64_MIN)
        *out = value_int(-integer_of(*out));
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

/* Entering a node, of either kind. */
static int descend(struct run *run, const struct node *node)
{
    if (++run->depth > RUN_DEPTH_MAX)
        return run_fault(
            run, node, ERR_LIMIT,
            "the template nests deeper than %d when it runs; does a macro call itself?",
            RUN_DEPTH_MAX);
    return run_charge(run, node, 1);
}

static int evaluate(struct run *run, const struct node *node, struct value *out)
{
    int r = descend(run, node);

    if (r >= 0)
        r = evaluate_kind(run, node, out);
    run->depth--;
    return r;
}

/* --- statements ------------------------------------------------------------------------------ */

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
    const struct variable *v = find(run, target->text, &where);

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
    return assign(run, target, target->text, value);
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
static int filter_items(struct run *run, const struct node *node, struct value_list **items)
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

static int run_body(struct run *run, const struct node *node, struct value_list *items)
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
    r = filter_items(run, node, &items);
    if (r >= 0)
        r = run_body(run, node, items);
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
        return assign(run, node, node->text, (struct value){.type = VALUE_MACRO, .macro = node});
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
static int execute_all(struct run *run, const struct node *list)
{
    int r = FLOW_ON;

    for (const struct node *node = list; r == FLOW_ON && node != NULL; node = node->next) {
        r = descend(run, node);
        if (r >= 0)
            r = execute_kind(run, node);
        run->depth--;
    }
    return r;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int assign_json(struct run *run, const struct node *at, struct str name, const json_t *json)
{
    struct value value;

    if (!value_from_json(&run->arena, json, &value))
        return run_no_memory(run, at);
    return assign(run, at, name, value);
}

/* The same variables as transformers gives. */
static int assign_input(struct run *run, const struct node *at, const struct template_input *input)
{
    const char *key;
    json_t *value;
    int r = assign_json(run, at, STR("messages"), input->messages);

    if (r >= 0)
        r = assign_json(run, at, STR("tools"), input->tools);
    if (r >= 0)
        r = assign(run, at, STR("documents"), value_none());
    if (r >= 0)
        r = assign(run, at, STR("add_generation_prompt"), value_bool(input->add_generation_prompt));
    if (r >= 0 && input->bos_token.len > 0)
        r = assign(run, at, STR("bos_token"), value_text(input->bos_token));
    if (r >= 0 && input->eos_token.len > 0)
        r = assign(run, at, STR("eos_token"), value_text(input->eos_token));
    json_object_foreach ((json_t *)(uintptr_t)input->extra, key, value) {
        if (r >= 0)
            r = assign_json(run, at, str_of(key), value);
    }
    return r;
}

int template_render(const struct template *t, const struct template_input *input, struct buf *out,
                    struct err *err)
{
    static const struct node start = {.line = 1};
    struct run run = {.t = t, .out = out, .clock = input->clock, .err = err};
    int r = 0;

    if (input->extra != NULL && !json_is_object(input->extra))
        return err_set(err, ERR_INVALID, "chat_template_kwargs must be an object, not %s",
                       json_type_name(input->extra));
    arena_init(&run.arena, TEMPLATE_VALUE_BYTES_MAX);
    run.scope = scope_new(&run, NULL);
    if (run.scope == NULL)
        r = run_no_memory(&run, &start);
    if (r >= 0)
        r = assign_input(&run, &start, input);
    if (r >= 0)
        r = execute_all(&run, t->body);
    arena_fini(&run.arena);
    return r < 0 ? r : 0;
}
