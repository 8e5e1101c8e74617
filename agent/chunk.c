/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks: see chunk.h. */
#include "agent/chunk.h"

#include "base/json.h"
#include "base/str.h"

static void put_bytes(struct json_writer *w, struct str piece)
{
    json_key(w, "bytes");
    json_open(w, '[');
    for (size_t i = 0; i < piece.len; i++)
        json_add_u64(w, (unsigned char)piece.ptr[i]);
    json_close(w, ']');
}

static void put_token(struct json_writer *w, const struct tokenizer *t,
                      const struct engine_logprob *lp)
{
    struct str piece = tokenizer_piece(t, lp->id);

    json_put_str(w, "token", piece);
    json_put_f64(w, "logprob", (double)lp->logprob);
    put_bytes(w, piece);
}

/* {"content":[{token, logprob, bytes, top_logprobs:[...]}], "refusal":null} */
static void put_chat_logprobs(struct json_writer *w, const struct chunk_logprobs *l)
{
    const struct engine_event *e = l->event;

    json_open(w, '{');
    json_key(w, "content");
    json_open(w, '[');
    json_open(w, '{');
    put_token(w, l->tokenizer, &e->chosen[l->index]);
    json_key(w, "top_logprobs");
    json_open(w, '[');
    for (int k = 0; k < e->logprob_count; k++) {
        json_open(w, '{');
        put_token(w, l->tokenizer, &e->top[l->index][k]);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
    json_close(w, ']');
    json_put_null(w, "refusal");
    json_close(w, '}');
}

/* A key must be text: a token that is none is written as OpenAI does, "bytes:\\xe2\\x80". */
static void put_key(struct buf *out, struct str piece)
{
    if (utf8_valid(piece) && str_find_char(piece, '\0') < 0) {
        json_escape(out, piece);
        return;
    }
    buf_append_text(out, "\"bytes:");
    for (size_t i = 0; i < piece.len; i++)
        buf_printf(out, "\\\\x%02x", (unsigned char)piece.ptr[i]);
    buf_append_char(out, '"');
}

/* Keys are unique in JSON, texts of tokens are not: the likelier of two equal ones stays. */
static bool is_repeated(const struct tokenizer *t, const struct engine_logprob *top, int index)
{
    for (int i = 0; i < index; i++) {
        if (str_eq(tokenizer_piece(t, top[i].id), tokenizer_piece(t, top[index].id)))
            return true;
    }
    return false;
}

static void put_top_object(struct json_writer *w, const struct tokenizer *t,
                           const struct engine_logprob *top, int count)
{
    json_open(w, '{');
    for (int k = 0; k < count; k++) {
        if (is_repeated(t, top, k))
            continue;
        if (k > 0)
            buf_append_char(w->out, ',');
        put_key(w->out, tokenizer_piece(t, top[k].id));
        buf_append_char(w->out, ':');
        w->after_key = true;
        json_add_f64(w, (double)top[k].logprob);
    }
    json_close(w, '}');
}

/* {"tokens":[], "token_logprobs":[], "top_logprobs":[{token: logprob}], "text_offset":[]} */
static void put_completion_logprobs(struct json_writer *w, const struct chunk_logprobs *l)
{
    const struct engine_event *e = l->event;

    json_open(w, '{');
    json_key(w, "tokens");
    json_open(w, '[');
    json_add_str(w, tokenizer_piece(l->tokenizer, e->ids[l->index]));
    json_close(w, ']');
    json_key(w, "token_logprobs");
    json_open(w, '[');
    json_add_f64(w, (double)e->chosen[l->index].logprob);
    json_close(w, ']');
    json_key(w, "top_logprobs");
    json_open(w, '[');
    put_top_object(w, l->tokenizer, e->top[l->index], e->logprob_count);
    json_close(w, ']');
    json_key(w, "text_offset");
    json_open(w, '[');
    json_add_u64(w, l->text_offset);
    json_close(w, ']');
    json_close(w, '}');
}

static void put_logprobs(struct json_writer *w, enum openai_endpoint endpoint,
                         const struct chunk_logprobs *l)
{
    json_key(w, "logprobs");
    if (!l->wanted)
        json_add_null(w);
    else if (endpoint == OPENAI_CHAT)
        put_chat_logprobs(w, l);
    else
        put_completion_logprobs(w, l);
}

static void put_head(struct json_writer *w, const struct chunk_head *head)
{
    json_put_str(w, "id", head->id);
    json_put_text(w, "object",
                  head->endpoint == OPENAI_CHAT ? "chat.completion.chunk" : "text_completion");
    json_put_i64(w, "created", head->created_s);
    json_put_str(w, "model", head->model);
}

static void put_delta(struct json_writer *w, const struct chunk_head *head,
                      const struct chunk *chunk)
{
    if (head->endpoint == OPENAI_COMPLETIONS) {
        json_put_str(w, "text", chunk->text.content);
        return;
    }
    json_key(w, "delta");
    json_open(w, '{');
    if (chunk->with_role)
        json_put_text(w, "role", "assistant");
    if (chunk->text.reasoning.len > 0) {
        json_put_str(w, "reasoning_content", chunk->text.reasoning);
        if (head->reasoning_alias)
            json_put_str(w, "reasoning", chunk->text.reasoning);
    }
    if (chunk->text.content.len > 0 || (chunk->with_role && chunk->text.reasoning.len == 0))
        json_put_str(w, "content", chunk->text.content);
    json_close(w, '}');
}

static void put_ids(struct json_writer *w, const char *key, const int32_t *ids, int count)
{
    json_key(w, key);
    json_open(w, '[');
    for (int i = 0; i < count; i++)
        json_add_i64(w, ids[i]);
    json_close(w, ']');
}

void chunk_write(struct buf *out, const struct chunk_head *head, const struct chunk *chunk)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    put_head(&w, head);
    json_key(&w, "choices");
    json_open(&w, '[');
    json_open(&w, '{');
    json_put_i64(&w, "index", 0);
    put_delta(&w, head, chunk);
    put_logprobs(&w, head->endpoint, &chunk->logprobs);
    if (chunk->finish == NULL)
        json_put_null(&w, "finish_reason");
    else
        json_put_text(&w, "finish_reason", chunk->finish);
    if (chunk->ids != NULL)
        put_ids(&w, "token_ids", chunk->ids, chunk->id_count);
    json_close(&w, '}');
    json_close(&w, ']');
    if (head->usage_null)
        json_put_null(&w, "usage");
    if (chunk->prompt_ids != NULL)
        put_ids(&w, "prompt_token_ids", chunk->prompt_ids, chunk->prompt_id_count);
    json_close(&w, '}');
}

void chunk_write_usage(struct buf *out, const struct chunk_head *head,
                       const struct openai_usage *usage)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    put_head(&w, head);
    json_key(&w, "choices");
    json_open(&w, '[');
    json_close(&w, ']');
    json_key(&w, "usage");
    openai_usage_write(&w, usage);
    json_close(&w, '}');
}
