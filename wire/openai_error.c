/* SPDX-License-Identifier: Apache-2.0 */
/* Error objects and usage of the OpenAI API: see openai.h. */
#include <stdarg.h>
#include <stdio.h>

#include "wire/openai.h"

static const struct openai_error_fact facts[OPENAI_ERROR_COUNT] = {
#define OPENAI_ERROR_FACT(name, code_, status_, type_, meaning_, cure_) \
    [name] = {code_, status_, type_, meaning_, cure_},
    OPENAI_ERRORS(OPENAI_ERROR_FACT)
#undef OPENAI_ERROR_FACT
};

const struct openai_error_fact *openai_error_fact(enum openai_error_code code)
{
    return &facts[(unsigned)code < OPENAI_ERROR_COUNT ? code : OPENAI_SERVER];
}

int openai_error_set(struct openai_error *e, enum openai_error_code code, const char *param,
                     const char *format, ...)
{
    va_list args;

    e->code = code;
    snprintf(e->param, sizeof(e->param), "%s", param == NULL ? "" : param);
    va_start(args, format);
    (void)vsnprintf(e->message, sizeof(e->message), format, args);
    va_end(args);
    return -1;
}

int openai_error_from(struct openai_error *e, enum openai_error_code code, const char *param,
                      const struct err *err)
{
    if (err->code == ERR_NO_MEMORY)
        return openai_error_set(e, OPENAI_SERVER, NULL, "%s", err_message(err));
    return openai_error_set(e, code, param, "%s", err_message(err));
}

void openai_error_write(struct buf *out, const struct openai_error *e)
{
    const struct openai_error_fact *fact = openai_error_fact(e->code);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "error");
    json_open(&w, '{');
    json_put_text(&w, "message", e->message);
    json_put_text(&w, "type", fact->type);
    if (e->param[0] == '\0')
        json_put_null(&w, "param");
    else
        json_put_text(&w, "param", e->param);
    json_put_text(&w, "code", fact->code);
    json_close(&w, '}');
    json_close(&w, '}');
}

void openai_usage_write(struct json_writer *w, const struct openai_usage *usage)
{
    json_open(w, '{');
    json_put_u64(w, "prompt_tokens", usage->prompt_tokens);
    json_put_u64(w, "completion_tokens", usage->completion_tokens);
    json_put_u64(w, "total_tokens", usage->prompt_tokens + usage->completion_tokens);
    json_key(w, "prompt_tokens_details");
    json_open(w, '{');
    json_put_u64(w, "cached_tokens", usage->cached_tokens);
    json_close(w, '}');
    json_key(w, "completion_tokens_details");
    json_open(w, '{');
    json_put_u64(w, "reasoning_tokens", usage->reasoning_tokens);
    json_close(w, '}');
    json_put_u64(w, "prompt_cache_hit_tokens", usage->cached_tokens);
    json_put_u64(w, "prompt_cache_miss_tokens", usage->prompt_tokens - usage->cached_tokens);
    json_close(w, '}');
}
