/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked: the messages of a chat, or the prompt of a completion. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/openai_parts.h"

/* Content: a string, null, or a list of {"type":"text","text":...} parts, which are joined. */
static int read_content(const json_t *content, size_t index, struct openai_message *m,
                        struct arena *arena, struct openai_error *e)
{
    char param[48];
    size_t total = 0;
    size_t at = 0;
    char *joined;

    snprintf(param, sizeof(param), "messages[%zu].content", index);
    if (content == NULL || json_is_null(content))
        return 0;
    m->has_content = true;
    if (json_is_string(content)) {
        m->content = arena_str(arena, json_str(content));
        return m->content.ptr == NULL ? openai_no_memory(e) : 0;
    }
    if (!json_is_array(content))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param,
                                "'%s' must be a string or a list of parts, not %s", param,
                                json_type_name(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        struct str type = json_str(json_object_get(part, "type"));

        if (!str_is(type, "text") || !json_is_string(json_object_get(part, "text")))
            return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                    "part %zu of '%s' is of type '%.*s'; only text is supported", i,
                                    param, STR_ARG(str_slice(type, 0, 40)));
        total += json_string_length(json_object_get(part, "text"));
    }
    joined = arena_alloc(arena, total + 1);
    if (joined == NULL)
        return openai_no_memory(e);
    for (size_t i = 0; i < json_array_size(content); i++) {
        struct str text = json_str(json_object_get(json_array_get(content, i), "text"));

        if (text.len > 0)
            memcpy(joined + at, text.ptr, text.len);
        at += text.len;
    }
    m->content = (struct str){joined, total};
    return 0;
}

static int read_role(const json_t *message, size_t index, struct openai_message *m,
                     struct openai_error *e)
{
    static const struct {
        const char *given;
        const char *meant;
    } roles[] = {
        {"system", "system"},
        {"developer", "system"},
        {"user", "user"},
        {"assistant", "assistant"},
    };
    struct str role = json_str(json_object_get(message, "role"));
    char param[48];

    snprintf(param, sizeof(param), "messages[%zu].role", index);
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        if (str_is(role, roles[i].given)) {
            m->role = str_of(roles[i].meant);
            return 0;
        }
    }
    if (str_is(role, "tool") || str_is(role, "function"))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s' is '%.*s', which is not supported by this version of Spate: "
                                "tools are not done yet",
                                param, STR_ARG(role));
    return openai_error_set(e, OPENAI_BAD_REQUEST, param,
                            "'%s' must be system, developer, user or assistant", param);
}

static int read_message(const json_t *message, size_t index, struct openai_message *m,
                        struct arena *arena, struct openai_error *e)
{
    char param[48];

    snprintf(param, sizeof(param), "messages[%zu]", index);
    if (!json_is_object(message))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param, "'%s' must be an object, not %s",
                                param, json_type_name(message));
    if (json_object_get(message, "tool_calls") != NULL &&
        !openai_asks_nothing(json_object_get(message, "tool_calls")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s.tool_calls' is not supported by this version of Spate", param);
    if (json_is_true(json_object_get(message, "prefix")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s.prefix' is not supported by this version of Spate: leave it "
                                "out",
                                param);
    if (read_role(message, index, m, e) < 0 ||
        read_content(json_object_get(message, "content"), index, m, arena, e) < 0 ||
        openai_get_text(message, "reasoning_content", false, &m->reasoning_content, arena, e) < 0 ||
        openai_get_text(message, "name", false, &m->name, arena, e) < 0)
        return -1;
    if (!m->has_content && !str_is(m->role, "assistant"))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param, "'%s.content' is missing", param);
    return 0;
}

int openai_read_messages(struct openai_request *out, const json_t *tree, struct arena *arena,
                         struct openai_error *e)
{
    const json_t *messages = json_object_get(tree, "messages");
    size_t count = json_array_size(messages);

    if (!json_is_array(messages))
        return openai_error_set(e, OPENAI_BAD_REQUEST, "messages",
                                "'messages' must be a list of messages, not %s",
                                json_type_name(messages));
    if (count == 0 || count > OPENAI_MESSAGES_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "messages",
                                "'messages' has %zu members; it must have 1 to %d", count,
                                OPENAI_MESSAGES_MAX);
    out->messages = arena_array(arena, count, sizeof(*out->messages));
    if (out->messages == NULL)
        return openai_no_memory(e);
    out->message_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (read_message(json_array_get(messages, i), i, &out->messages[i], arena, e) < 0)
            return -1;
    }
    return 0;
}

static int read_prompt_ids(struct openai_request *out, const json_t *prompt, struct arena *arena,
                           struct openai_error *e)
{
    size_t count = json_array_size(prompt);

    out->prompt_ids = arena_array(arena, count, sizeof(*out->prompt_ids));
    if (out->prompt_ids == NULL)
        return openai_no_memory(e);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(prompt, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return openai_error_set(e, OPENAI_BAD_REQUEST, "prompt",
                                    "'prompt[%zu]' is not a token id", i);
        out->prompt_ids[i] = (int32_t)json_integer_value(id);
    }
    out->prompt_id_count = (int)count;
    out->prompt_is_ids = true;
    return 0;
}

int openai_read_prompt(struct openai_request *out, const json_t *tree, struct arena *arena,
                       struct openai_error *e)
{
    const json_t *prompt = json_object_get(tree, "prompt");

    if (json_is_array(prompt) && json_array_size(prompt) == 1 &&
        !json_is_integer(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, 0); /* a batch of one */
    if (json_is_string(prompt)) {
        out->prompt = arena_str(arena, json_str(prompt));
        return out->prompt.ptr == NULL ? openai_no_memory(e) : 0;
    }
    if (json_is_array(prompt) && json_array_size(prompt) > 0 &&
        json_is_integer(json_array_get(prompt, 0)))
        return read_prompt_ids(out, prompt, arena, e);
    if (json_is_array(prompt) && json_array_size(prompt) > 1)
        return openai_error_set(e, OPENAI_UNSUPPORTED, "prompt",
                                "several prompts in one request are not supported by this version "
                                "of Spate: send several requests");
    return openai_error_set(e, OPENAI_BAD_REQUEST, "prompt",
                            "'prompt' must be a string or a list of token ids");
}
