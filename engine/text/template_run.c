/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rendering: its variables, its ceilings and its errors. Each node costs a step; depth, memory
 * and output have ceilings, so a rendering ends whatever the template says.
 */
#include <stdarg.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/template_eval.h"

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

/* Entering a node, of either kind. */
int run_descend(struct run *run, const struct node *node)
{
    if (++run->depth > RUN_DEPTH_MAX)
        return run_fault(
            run, node, ERR_LIMIT,
            "the template nests deeper than %d when it runs; does a macro call itself?",
            RUN_DEPTH_MAX);
    return run_charge(run, node, 1);
}

struct scope *scope_new(struct run *run, struct scope *parent)
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
struct variable *scope_find(struct run *run, struct str name, struct scope **where)
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

int scope_assign(struct run *run, const struct node *at, struct str name, struct value value)
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

static int assign_json(struct run *run, const struct node *at, struct str name, const json_t *json)
{
    struct value value;

    if (!value_from_json(&run->arena, json, &value))
        return run_no_memory(run, at);
    return scope_assign(run, at, name, value);
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
        r = scope_assign(run, at, STR("documents"), value_none());
    if (r >= 0)
        r = scope_assign(run, at, STR("add_generation_prompt"),
                         value_bool(input->add_generation_prompt));
    if (r >= 0 && input->bos_token.len > 0)
        r = scope_assign(run, at, STR("bos_token"), value_text(input->bos_token));
    if (r >= 0 && input->eos_token.len > 0)
        r = scope_assign(run, at, STR("eos_token"), value_text(input->eos_token));
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
