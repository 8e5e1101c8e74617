/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: any body is a request within its limits, or an error of one line; the gateway's peek
 * agrees with the agent's reading. The first byte chooses the endpoint. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/openai.h"

enum { ARENA_BYTES = 1 << 20 };

static void check_request(const struct openai_request *q)
{
    if (q->message_count > OPENAI_MESSAGES_MAX || q->stop_count > OPENAI_STOPS_MAX ||
        q->stop_id_count > OPENAI_STOP_IDS_MAX || q->bias_count > OPENAI_BIAS_MAX ||
        q->logprobs < -1 || q->logprobs > OPENAI_LOGPROBS_MAX || q->echo)
        abort();
    if (!(q->temperature >= 0 && q->temperature <= 2) || !(q->top_p > 0 && q->top_p <= 1) ||
        !(q->repetition_penalty > 0) || q->top_k < 0)
        abort();
    for (int i = 0; i < q->stop_id_count; i++) {
        if (q->stop_ids[i] < 0)
            abort();
    }
    for (int i = 0; i < q->prompt_id_count; i++) {
        if (q->prompt_ids[i] < 0)
            abort();
    }
}

static void check_error(const struct openai_error *e)
{
    json_auto_t *tree = NULL;
    struct buf text;

    if (e->message[0] == '\0' || (unsigned)e->code >= OPENAI_ERROR_COUNT)
        abort();
    buf_init(&text, 1 << 16);
    openai_error_write(&text, e);
    if (text.failed || json_read(&tree, buf_str(&text), &json_limits_default, "error", NULL) < 0)
        abort();
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum openai_endpoint endpoint = size > 0 && data[0] % 2 == 1 ? OPENAI_COMPLETIONS : OPENAI_CHAT;
    struct str body = {(const char *)data + 1, size - 1};
    json_auto_t *tree = NULL;
    struct openai_request request = {0};
    struct openai_peek peek = {0};
    struct openai_error error = {0};
    struct arena arena;
    int r;

    if (size == 0 || json_read(&tree, body, &json_limits_default, "body", NULL) < 0)
        return 0;
    arena_init(&arena, ARENA_BYTES);
    r = openai_request_read(&request, endpoint, tree, &arena, &error);
    if (r == 0)
        check_request(&request);
    else
        check_error(&error);
    if (openai_peek(&peek, tree, &error) < 0) {
        if (r == 0)
            abort(); /* the gateway refuses less than the agent */
    } else if (r == 0 && (peek.stream != request.stream || peek.has_seed != request.has_seed ||
                          peek.seed != request.seed || !str_eq(peek.model, request.model) ||
                          peek.include_usage != request.include_usage)) {
        abort();
    }
    arena_fini(&arena);
    return 0;
}
