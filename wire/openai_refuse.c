/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we know but do not do yet, and what would change the answer: refused by name. Each is in a
 * table, and accepted where its value asks nothing.
 */
#include "base/mem.h"
#include "wire/openai_parts.h"

bool openai_asks_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static int refuse_unsupported(const json_t *tree, struct openai_error *e)
{
    static const char *const names[] = {
        "tools",
        "functions",
        "function_call",
        "audio",
        "modalities",
        "prediction",
        "web_search_options",
        "suffix",
        "prompt_logprobs",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "use_beam_search",
        "length_penalty",
        "logits_processors",
        "documents",
        "typical_p",
        "allowed_token_ids",
        "bad_words",
        "chat_template",
        "truncate_prompt_tokens",
        "mirostat",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const json_t *value = json_object_get(tree, names[i]);

        if (value != NULL && !openai_asks_nothing(value))
            return openai_error_set(e, OPENAI_UNSUPPORTED, names[i],
                                    "'%s' is not supported by this version of Spate: leave it out",
                                    names[i]);
    }
    return 0;
}

static int refuse_counts(const json_t *tree, struct openai_error *e)
{
    static const char *const names[] = {"n", "best_of"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int64_t value = 1;
        int r = openai_get_i64(tree, names[i], 1, 128, &value, e);

        if (r < 0)
            return r;
        if (value != 1)
            return openai_error_set(e, OPENAI_UNSUPPORTED, names[i],
                                    "'%s' over 1 is not supported by this version of Spate: send "
                                    "several requests",
                                    names[i]);
    }
    return 0;
}

/* Thinking can't be switched off, nor left out of the answer. */
static int refuse_no_thinking(const json_t *tree, struct openai_error *e)
{
    const json_t *thinking = json_object_get(tree, "thinking");

    if (json_is_false(json_object_get(tree, "include_reasoning")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, "include_reasoning",
                                "'include_reasoning': false is not supported by this version of "
                                "Spate: leave it out");
    if (thinking == NULL || json_is_null(thinking) ||
        str_is(json_str(json_object_get(thinking, "type")), "enabled"))
        return 0;
    return openai_error_set(e, OPENAI_UNSUPPORTED, "thinking",
                            "'thinking' of another type than 'enabled' is not supported by this "
                            "version of Spate: leave it out");
}

static int refuse_formats(const json_t *tree, struct openai_error *e)
{
    const json_t *format = json_object_get(tree, "response_format");
    const json_t *choice = json_object_get(tree, "tool_choice");
    struct str type;

    if (choice != NULL && !json_is_null(choice) && !str_is(json_str(choice), "none") &&
        !str_is(json_str(choice), "auto"))
        return openai_error_set(e, OPENAI_UNSUPPORTED, "tool_choice",
                                "'tool_choice' is not supported by this version of Spate: leave it "
                                "out");
    if (format == NULL || json_is_null(format))
        return 0;
    type = json_str(json_object_get(format, "type"));
    if (str_is(type, "text"))
        return 0;
    return openai_error_set(e, OPENAI_UNSUPPORTED, "response_format",
                            "'response_format' of type '%.*s' is not supported by this version of "
                            "Spate: use text",
                            STR_ARG(str_slice(type, 0, 40)));
}

int openai_refuse(const json_t *tree, struct openai_error *e)
{
    if (refuse_unsupported(tree, e) < 0 || refuse_counts(tree, e) < 0 ||
        refuse_formats(tree, e) < 0)
        return -1;
    return refuse_no_thinking(tree, e);
}
