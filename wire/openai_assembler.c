/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From chunks to a whole answer: see openai.h. Text and logprobs grow in ceilinged buffers; the
 * rest (id, created, model, finish_reason, usage) is taken from the chunks as it comes.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/openai.h"

struct openai_assembler {
    enum openai_endpoint endpoint;
    struct buf content;
    struct buf reasoning;
    struct buf logprobs;       /* chat: the members of "content"; completions: of "tokens" */
    struct buf token_logprobs; /* completions only */
    struct buf top_logprobs;
    struct buf text_offsets;
    struct buf token_ids;   /* members of "token_ids" */
    char *prompt_token_ids; /* JSON, or NULL */
    char *id;
    char *model;
    int64_t created;
    char finish[24];
    char *usage; /* JSON, or NULL */
    bool has_reasoning;
    bool has_logprobs;
    bool has_token_ids;
    bool broken; /* a chunk is missing: there is no whole answer */
};

int openai_assembler_new(struct openai_assembler **out, enum openai_endpoint endpoint,
                         size_t max_bytes, struct err *err)
{
    struct openai_assembler *a = mem_alloc(sizeof(*a));

    if (a == NULL)
        return err_no_memory(err);
    a->endpoint = endpoint;
    buf_init(&a->content, max_bytes);
    buf_init(&a->reasoning, max_bytes);
    buf_init(&a->logprobs, max_bytes);
    buf_init(&a->token_logprobs, max_bytes);
    buf_init(&a->top_logprobs, max_bytes);
    buf_init(&a->text_offsets, max_bytes);
    buf_init(&a->token_ids, max_bytes);
    *out = a;
    return 0;
}

void openai_assembler_free(struct openai_assembler *a)
{
    if (a == NULL)
        return;
    buf_fini(&a->content);
    buf_fini(&a->reasoning);
    buf_fini(&a->logprobs);
    buf_fini(&a->token_logprobs);
    buf_fini(&a->top_logprobs);
    buf_fini(&a->text_offsets);
    buf_fini(&a->token_ids);
    mem_free(a->prompt_token_ids);
    mem_free(a->id);
    mem_free(a->model);
    mem_free(a->usage);
    mem_free(a);
}

/* Appends the members of a JSON array, without its brackets, separated by commas. */
static void append_members(struct buf *out, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_writer w;

        if (out->len > 0)
            buf_append_char(out, ',');
        json_writer_init(&w, out);
        json_add_tree(&w, json_array_get(array, i));
    }
}

/* A copy of the tree as JSON text that replaces *kept; NULL and "null" keep what is there. */
static int keep_json(char **kept, const json_t *tree, struct err *err)
{
    struct buf text;
    struct json_writer w;

    if (tree == NULL || json_is_null(tree))
        return 0;
    buf_init(&text, json_limits_default.max_bytes);
    json_writer_init(&w, &text);
    json_add_tree(&w, tree);
    if (text.failed || buf_cstr(&text) == NULL) {
        buf_fini(&text);
        return err_no_memory(err);
    }
    mem_free(*kept);
    *kept = STEAL(text.ptr);
    return 0;
}

static int keep_text(char **kept, const json_t *string, struct err *err)
{
    struct str text = json_str(string);

    if (*kept != NULL || text.ptr == NULL)
        return 0;
    *kept = mem_strndup(text.ptr, text.len);
    return *kept == NULL ? err_no_memory(err) : 0;
}

static void add_logprobs(struct openai_assembler *a, const json_t *logprobs)
{
    if (!json_is_object(logprobs))
        return;
    a->has_logprobs = true;
    if (a->endpoint == OPENAI_CHAT) {
        append_members(&a->logprobs, json_object_get(logprobs, "content"));
        return;
    }
    append_members(&a->logprobs, json_object_get(logprobs, "tokens"));
    append_members(&a->token_logprobs, json_object_get(logprobs, "token_logprobs"));
    append_members(&a->top_logprobs, json_object_get(logprobs, "top_logprobs"));
    append_members(&a->text_offsets, json_object_get(logprobs, "text_offset"));
}

static void add_text(struct openai_assembler *a, const json_t *choice)
{
    const json_t *delta = json_object_get(choice, "delta");
    struct str reasoning = json_str(json_object_get(delta, "reasoning_content"));

    if (a->endpoint == OPENAI_COMPLETIONS) {
        buf_append_str(&a->content, json_str(json_object_get(choice, "text")));
        return;
    }
    buf_append_str(&a->content, json_str(json_object_get(delta, "content")));
    if (reasoning.ptr != NULL) {
        a->has_reasoning = true;
        buf_append_str(&a->reasoning, reasoning);
    }
}

static void add_choice(struct openai_assembler *a, const json_t *choice)
{
    struct str finish = json_str(json_object_get(choice, "finish_reason"));
    const json_t *ids = json_object_get(choice, "token_ids");

    add_text(a, choice);
    add_logprobs(a, json_object_get(choice, "logprobs"));
    if (json_is_array(ids)) {
        a->has_token_ids = true;
        append_members(&a->token_ids, ids);
    }
    if (finish.len > 0)
        snprintf(a->finish, sizeof(a->finish), "%.*s", STR_ARG(finish));
}

static int check_parts(const struct openai_assembler *a, struct err *err)
{
    const struct buf *const parts[] = {&a->content,        &a->reasoning,    &a->logprobs,
                                       &a->token_logprobs, &a->top_logprobs, &a->text_offsets,
                                       &a->token_ids};

    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        int r = buf_check(parts[i], "the answer", err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int add(struct openai_assembler *a, struct str chunk, struct err *err)
{
    json_auto_t *tree = NULL;
    const json_t *choices;
    int r = json_read(&tree, chunk, &json_limits_default, "chunk", err);

    if (r < 0)
        return r;
    if ((r = keep_text(&a->id, json_object_get(tree, "id"), err)) < 0 ||
        (r = keep_text(&a->model, json_object_get(tree, "model"), err)) < 0 ||
        (r = keep_json(&a->usage, json_object_get(tree, "usage"), err)) < 0 ||
        (r = keep_json(&a->prompt_token_ids, json_object_get(tree, "prompt_token_ids"), err)) < 0)
        return r;
    a->created = json_integer_value(json_object_get(tree, "created"));
    choices = json_object_get(tree, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        add_choice(a, json_array_get(choices, i));
    return check_parts(a, err);
}

int openai_assembler_add(struct openai_assembler *a, struct str chunk, struct err *err)
{
    int r = add(a, chunk, err);

    a->broken = a->broken || r < 0;
    return r;
}

bool openai_assembler_is_broken(const struct openai_assembler *a)
{
    return a->broken;
}

static void put_array(struct json_writer *w, const char *key, const struct buf *members)
{
    json_key(w, key);
    json_open(w, '[');
    if (members->len > 0)
        json_add_raw(w, buf_str(members));
    json_close(w, ']');
}

static void put_logprobs(struct json_writer *w, const struct openai_assembler *a)
{
    if (!a->has_logprobs) {
        json_put_null(w, "logprobs");
        return;
    }
    json_key(w, "logprobs");
    json_open(w, '{');
    if (a->endpoint == OPENAI_CHAT) {
        put_array(w, "content", &a->logprobs);
        json_put_null(w, "refusal");
    } else {
        put_array(w, "tokens", &a->logprobs);
        put_array(w, "token_logprobs", &a->token_logprobs);
        put_array(w, "top_logprobs", &a->top_logprobs);
        put_array(w, "text_offset", &a->text_offsets);
    }
    json_close(w, '}');
}

static void put_choice(struct json_writer *w, const struct openai_assembler *a)
{
    json_open(w, '{');
    json_put_i64(w, "index", 0);
    if (a->endpoint == OPENAI_CHAT) {
        json_key(w, "message");
        json_open(w, '{');
        json_put_text(w, "role", "assistant");
        json_put_str(w, "content", buf_str(&a->content));
        if (a->has_reasoning)
            json_put_str(w, "reasoning_content", buf_str(&a->reasoning));
        json_put_null(w, "refusal");
        json_close(w, '}');
    } else {
        json_put_str(w, "text", buf_str(&a->content));
    }
    put_logprobs(w, a);
    if (a->finish[0] == '\0')
        json_put_null(w, "finish_reason");
    else
        json_put_text(w, "finish_reason", a->finish);
    if (a->has_token_ids)
        put_array(w, "token_ids", &a->token_ids);
    json_close(w, '}');
}

int openai_assembler_write(const struct openai_assembler *a, struct buf *out, struct err *err)
{
    struct json_writer w;

    if (a->broken)
        return err_set(err, ERR_LIMIT, "the answer is too long to be sent whole: ask for a stream");
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "id", a->id == NULL ? "" : a->id);
    json_put_text(&w, "object", a->endpoint == OPENAI_CHAT ? "chat.completion" : "text_completion");
    json_put_i64(&w, "created", a->created);
    json_put_text(&w, "model", a->model == NULL ? "" : a->model);
    json_key(&w, "choices");
    json_open(&w, '[');
    put_choice(&w, a);
    json_close(&w, ']');
    if (a->usage != NULL) {
        json_key(&w, "usage");
        json_add_raw(&w, str_of(a->usage));
    }
    if (a->prompt_token_ids != NULL) {
        json_key(&w, "prompt_token_ids");
        json_add_raw(&w, str_of(a->prompt_token_ids));
    }
    json_close(&w, '}');
    return buf_check(out, "the answer", err);
}
