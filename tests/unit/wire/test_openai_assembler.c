/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers out of chunks, and the error objects of the API. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "wire/openai.h"

enum { BYTES = 1 << 16 };

#define HEAD "\"id\":\"chatcmpl-1\",\"created\":7,\"model\":\"m\""

static const char *const chat_chunks[] = {
    "{" HEAD ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":"
    "\"th\"},\"logprobs\":{\"content\":[{\"token\":\"th\"}]},\"finish_reason\":null,"
    "\"token_ids\":[1]}],\"prompt_token_ids\":[9,8]}",
    "{" HEAD
    ",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"ink\",\"content\":\"\\u00e9\"}"
    ",\"logprobs\":{\"content\":[{\"token\":\"x\"},{\"token\":\"y\"}]},\"token_ids\":[2,3]}]}",
    "{" HEAD
    ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":null}",
    "{" HEAD ",\"choices\":[],\"usage\":{\"total_tokens\":5}}",
};

static json_t *assemble(enum openai_endpoint endpoint, const char *const *chunks, size_t count)
{
    struct openai_assembler *a = NULL;
    json_t *tree = NULL;
    struct err err = {0};
    struct buf text;

    buf_init(&text, BYTES);
    assert_int_equal(openai_assembler_new(&a, endpoint, BYTES, &err), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(openai_assembler_add(a, str_of(chunks[i]), &err), 0);
    assert_false(openai_assembler_is_broken(a));
    assert_int_equal(openai_assembler_write(a, &text, &err), 0);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "answer", &err), 0);
    openai_assembler_free(a);
    buf_fini(&text);
    return tree;
}

static void a_chat_is_assembled(void **state)
{
    json_auto_t *expected = NULL;
    json_auto_t *answer = assemble(OPENAI_CHAT, chat_chunks, ARRAY_COUNT(chat_chunks));
    struct err err;

    (void)state;
    assert_int_equal(
        json_read(&expected,
                  STR("{" HEAD ",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"
                      "\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9\","
                      "\"reasoning_content\":\"think\",\"refusal\":null},\"logprobs\":{\"content\":"
                      "[{\"token\":\"th\"},{\"token\":\"x\"},{\"token\":\"y\"}],\"refusal\":null},"
                      "\"finish_reason\":\"stop\",\"token_ids\":[1,2,3]}],\"usage\":"
                      "{\"total_tokens\":5},\"prompt_token_ids\":[9,8]}"),
                  &json_limits_default, "expected", &err),
        0);
    assert_true(json_equal(answer, expected));
}

static void a_completion_is_assembled(void **state)
{
    static const char *const chunks[] = {
        "{\"id\":\"cmpl-1\",\"created\":7,\"model\":\"m\",\"choices\":[{\"text\":\"a\","
        "\"logprobs\":"
        "{\"tokens\":[\"a\"],\"token_logprobs\":[-0.5],\"top_logprobs\":[{\"a\":-0.5}],"
        "\"text_offset\":[0]}}]}",
        "{\"choices\":[{\"text\":\"b\",\"logprobs\":{\"tokens\":[\"b\"],\"token_logprobs\":[-1.5],"
        "\"top_logprobs\":[{}],\"text_offset\":[1]},\"finish_reason\":\"length\"}],\"created\":7}",
    };
    json_auto_t *expected = NULL;
    json_auto_t *answer = assemble(OPENAI_COMPLETIONS, chunks, ARRAY_COUNT(chunks));
    struct err err;

    (void)state;
    assert_int_equal(
        json_read(
            &expected,
            STR("{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","
                "\"choices\":[{\"index\":0,\"text\":\"ab\",\"logprobs\":{\"tokens\":[\"a\",\"b\"]"
                ",\"token_logprobs\":[-0.5,-1.5],\"top_logprobs\":[{\"a\":-0.5},{}],"
                "\"text_offset\":[0,1]},\"finish_reason\":\"length\"}]}"),
            &json_limits_default, "expected", &err),
        0);
    assert_true(json_equal(answer, expected));
}

/* An answer with a gap is never given out, whatever came after the gap. */
static void a_lost_chunk_breaks_the_answer(void **state)
{
    static const char *const broken[] = {
        "{", "{\"a\":1,\"a\":2}",
        "{\"choices\":[{\"delta\":{\"content\":\"this is longer than the thirty-two bytes\"}}]}",
        "{\"choices\":[{\"delta\":{},\"token_ids\":[1000000,1000000,1000000,1000000,1000000]}]}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct openai_assembler *a = NULL;
        struct err err = {0};
        struct buf text;

        buf_init(&text, BYTES);
        assert_int_equal(openai_assembler_new(&a, OPENAI_CHAT, 32, &err), 0);
        assert_true(openai_assembler_add(a, str_of(broken[i]), &err) < 0);
        (void)openai_assembler_add(a, str_of(chat_chunks[3]), &err);
        assert_true(openai_assembler_is_broken(a));
        assert_true(openai_assembler_write(a, &text, &err) < 0);
        openai_assembler_free(a);
        buf_fini(&text);
    }
}

static void a_failing_allocation_breaks_the_answer(void **state)
{
    bool done = false;
    int failures = 0;

    (void)state;
    for (int n = 0; n < 1000 && !done; n++) {
        struct openai_assembler *a = NULL;
        struct err err = {0};
        struct buf text;
        bool failed = false;

        buf_init(&text, BYTES);
        mem_fail_after(n);
        failed = openai_assembler_new(&a, OPENAI_CHAT, BYTES, &err) < 0;
        for (size_t i = 0; i < ARRAY_COUNT(chat_chunks) && a != NULL; i++)
            failed = openai_assembler_add(a, str_of(chat_chunks[i]), &err) < 0 || failed;
        if (a != NULL)
            failed = openai_assembler_write(a, &text, &err) < 0 || failed;
        done = !mem_fail_seen();
        mem_fail_after(-1);
        assert_int_equal(failed, !done);
        failures += failed;
        openai_assembler_free(a);
        buf_fini(&text);
    }
    assert_true(done && failures > 5);
}

static void errors_are_objects(void **state)
{
    struct openai_error error;
    json_auto_t *tree = NULL;
    json_auto_t *expected = NULL;
    struct err err;
    struct buf text;

    (void)state;
    buf_init(&text, BYTES);
    assert_int_equal(openai_error_set(&error, OPENAI_CONTEXT, NULL, "a \"%s\"\n", "b"), -1);
    openai_error_write(&text, &error);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "error", &err), 0);
    assert_int_equal(json_read(&expected,
                               STR("{\"error\":{\"message\":\"a \\\"b\\\"\\n\",\"type\":"
                                   "\"invalid_request_error\",\"param\":null,\"code\":"
                                   "\"context_length_exceeded\"}}"),
                               &json_limits_default, "expected", &err),
                     0);
    assert_true(json_equal(tree, expected));
    (void)err_set(&err, ERR_SYNTAX, "not JSON");
    assert_int_equal(openai_error_from(&error, OPENAI_BAD_JSON, "p", &err), -1);
    assert_int_equal(error.code, OPENAI_BAD_JSON);
    assert_string_equal(error.param, "p");
    (void)err_no_memory(&err); /* not the client's fault */
    assert_int_equal(openai_error_from(&error, OPENAI_BAD_JSON, "p", &err), -1);
    assert_int_equal(error.code, OPENAI_SERVER);
    buf_fini(&text);
}

/* What clients decide on: retries and exception classes hang on the status. */
static void every_error_has_a_status_that_fits(void **state)
{
    (void)state;
    for (int i = 0; i < OPENAI_ERROR_COUNT; i++) {
        const struct openai_error_fact *fact = openai_error_fact((enum openai_error_code)i);

        assert_true(fact->status >= 400 && fact->status < 600);
        assert_int_not_equal(fact->status, 409); /* clients retry it */
        assert_int_equal(strcmp(fact->type, "server_error") == 0, fact->status >= 500);
        assert_true(fact->code[0] != '\0' && fact->meaning[0] != '\0' && fact->cure[0] != '\0');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(fact->code, openai_error_fact((enum openai_error_code)k)->code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_is_assembled),
        cmocka_unit_test(a_completion_is_assembled),
        cmocka_unit_test(a_lost_chunk_breaks_the_answer),
        cmocka_unit_test(a_failing_allocation_breaks_the_answer),
        cmocka_unit_test(errors_are_objects),
        cmocka_unit_test(every_error_has_a_status_that_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
