/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions that take a part of a value: a.name, a[key], a[from:to:step]. */
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_eval.h"

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

int evaluate_attribute(struct run *run, const struct node *node, struct value *out)
{
    struct value subject;
    struct scope *where;
    int r;

    if (node->left->kind == NODE_NAME && str_is(node->left->text, "loop") &&
        scope_find(run, STR("loop"), &where) == NULL)
        return loop_attribute(run, node, out);
    r = evaluate(run, node->left, &subject);
    return r < 0 ? r : run_attribute(run, node, subject, value_text(node->text), out);
}

int evaluate_item(struct run *run, const struct node *node, struct value *out)
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

int evaluate_slice(struct run *run, const struct node *node, struct value *out)
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
