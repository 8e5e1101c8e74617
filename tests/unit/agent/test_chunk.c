/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks, byte for byte as OpenAI clients expect them; and that our own reader takes each. */
#include "cmocka_plain.h"

#include <string.h>

#include "agent/chunk.h"
#include "base/mem.h"
#include "engine_text/tiny_tokenizer.h"

enum { BYTES = 1 << 16 };

static struct engine_event event; /* large */

static const struct chunk_head chat = {
    .endpoint = OPENAI_CHAT, .id = {"chatcmpl-1", 10}, .model = {"m", 1}, .created_s = 7};
static const struct chunk_head text = {
    .endpoint = OPENAI_COMPLETIONS, .id = {"cmpl-1", 6}, .model = {"m", 1}, .created_s = 7};

static void expect(const struct chunk_head *head, const struct chunk *chunk, const char *expected)
{
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct buf out;

    buf_init(&out, BYTES);
    chunk_write(&out, head, chunk);
    assert_string_equal(buf_cstr(&out), expected);
    if (json_read(&tree, buf_str(&out), &json_limits_default, "chunk", &err) < 0)
        fail_msg("%s: %s", out.ptr, err.message);
    buf_fini(&out);
}

#define CHAT_HEAD \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
#define TEXT_HEAD "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","

static void deltas_of_a_chat(void **state)
{
    struct chunk_head with_usage = chat;
    struct chunk_head with_alias = chat;

    (void)state;
    with_usage.usage_null = true;
    with_alias.reasoning_alias = true;
    expect(&chat, &(struct chunk){.with_role = true},
           CHAT_HEAD
           "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
           "\"logprobs\":null,\"finish_reason\":null}]}");
    expect(&chat, &(struct chunk){.with_role = true, .text = {.reasoning = STR("r")}},
           CHAT_HEAD "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                     "\"reasoning_content\":\"r\"},\"logprobs\":null,\"finish_reason\":null}]}");
    expect(&with_alias, &(struct chunk){.text = {.reasoning = STR("r"), .content = STR("c\n\"")}},
           CHAT_HEAD "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"r\","
                     "\"reasoning\":\"r\",\"content\":\"c\\n\\\"\"},\"logprobs\":null,"
                     "\"finish_reason\":null}]}");
    expect(&with_usage, &(struct chunk){.finish = "stop"},
           CHAT_HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":"
                     "\"stop\"}],\"usage\":null}");
}

static void token_ids_when_asked_for(void **state)
{
    static const int32_t prompt[] = {1, 2};
    static const int32_t ids[] = {3};

    (void)state;
    expect(&text,
           &(struct chunk){.text = {.content = STR("x")},
                           .ids = ids,
                           .id_count = 1,
                           .prompt_ids = prompt,
                           .prompt_id_count = 2},
           TEXT_HEAD "\"choices\":[{\"index\":0,\"text\":\"x\",\"logprobs\":null,\"finish_reason\":"
                     "null,\"token_ids\":[3]}],\"prompt_token_ids\":[1,2]}");
}

static void the_usage_chunk(void **state)
{
    struct openai_usage usage = {
        .prompt_tokens = 10, .completion_tokens = 4, .cached_tokens = 8, .reasoning_tokens = 3};
    struct buf out;

    (void)state;
    buf_init(&out, BYTES);
    chunk_write_usage(&out, &chat, &usage);
    assert_string_equal(buf_cstr(&out), CHAT_HEAD
                        "\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,"
                        "\"total_tokens\":14,\"prompt_tokens_details\":{\"cached_tokens\":8},"
                        "\"completion_tokens_details\":{\"reasoning_tokens\":3},"
                        "\"prompt_cache_hit_tokens\":8,\"prompt_cache_miss_tokens\":2}}");
    buf_fini(&out);
}

static struct chunk_logprobs logprobs_of(const struct tokenizer *t)
{
    return (struct chunk_logprobs){
        .wanted = true, .tokenizer = t, .event = &event, .text_offset = 5};
}

static void logprobs_of_a_chat(void **state)
{
    struct tokenizer *t = tiny_tokenizer(true);
    struct chunk chunk = {.logprobs = logprobs_of(t)};

    (void)state;
    event = (struct engine_event){.id_count = 1, .ids = {'a'}, .logprob_count = 2};
    event.chosen[0] = (struct engine_logprob){'a', -0.5F};
    event.top[0][0] = (struct engine_logprob){TINY_HE, -0.25F};
    event.top[0][1] = (struct engine_logprob){0xe2, -0.5F}; /* no text of its own */
    expect(&chat, &chunk,
           CHAT_HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":{\"content\":[{\"token\":"
                     "\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[{\"token\":\"he\","
                     "\"logprob\":-0.25,\"bytes\":[104,101]},{\"token\":\"\xef\xbf\xbd\","
                     "\"logprob\":-0.5,\"bytes\":[226]}]}],\"refusal\":null},\"finish_reason\":"
                     "null}]}");
    tokenizer_free(t);
}

/* Keys are unique, whatever the tokens: two broken ones, and two of the same text. */
static void logprobs_of_completions(void **state)
{
    struct tokenizer *t = tiny_tokenizer(true);
    struct chunk chunk = {.text = {.content = STR("a")}, .logprobs = logprobs_of(t)};

    (void)state;
    event = (struct engine_event){.id_count = 1, .ids = {'a'}, .logprob_count = 4};
    event.chosen[0] = (struct engine_logprob){'a', -0.5F};
    event.top[0][0] = (struct engine_logprob){0xe2, -0.25F};
    event.top[0][1] = (struct engine_logprob){0x80, -0.5F};
    event.top[0][2] = (struct engine_logprob){0xe2, -1};
    event.top[0][3] = (struct engine_logprob){'"', -2};
    expect(&text, &chunk,
           TEXT_HEAD "\"choices\":[{\"index\":0,\"text\":\"a\",\"logprobs\":{\"tokens\":[\"a\"],"
                     "\"token_logprobs\":[-0.5],\"top_logprobs\":[{\"bytes:\\\\xe2\":-0.25,"
                     "\"bytes:\\\\x80\":-0.5,\"\\\"\":-2}],\"text_offset\":[5]},"
                     "\"finish_reason\":null}]}");
    tokenizer_free(t);
}

/* Every pair of bytes as alternatives makes a chunk that reads back. */
static void any_two_tokens_read_back(void **state)
{
    struct tokenizer *t = tiny_tokenizer(true);
    struct chunk chunk = {.logprobs = logprobs_of(t)};
    struct buf out;

    (void)state;
    buf_init(&out, BYTES);
    event = (struct engine_event){.id_count = 1, .ids = {'a'}, .logprob_count = 2};
    for (int32_t a = 0; a < TINY_SIZE; a += 7) {
        for (int32_t b = 0; b < TINY_SIZE; b++) {
            json_auto_t *tree = NULL;
            struct err err = {0};

            event.top[0][0].id = a;
            event.top[0][1].id = b;
            buf_clear(&out);
            chunk_write(&out, &text, &chunk);
            if (json_read(&tree, buf_str(&out), &json_limits_default, "chunk", &err) < 0)
                fail_msg("ids %d and %d: %s", a, b, err.message);
        }
    }
    buf_fini(&out);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_of_a_chat),        cmocka_unit_test(token_ids_when_asked_for),
        cmocka_unit_test(the_usage_chunk),         cmocka_unit_test(logprobs_of_a_chat),
        cmocka_unit_test(logprobs_of_completions), cmocka_unit_test(any_two_tokens_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
