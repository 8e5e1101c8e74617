/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of clients: what is accepted and with which meaning, what is refused and by what name.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/openai.h"

enum { ARENA_BYTES = 1 << 20, ALLOCATIONS_MAX = 2000 };

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* Reads a body; the tree and the arena live until the next call. */
static int read_body(struct openai_request *out, enum openai_endpoint endpoint, const char *body,
                     struct openai_error *error)
{
    static struct arena arena;
    static json_t *tree;
    struct err err;

    arena_fini(&arena);
    arena_init(&arena, ARENA_BYTES);
    json_decref(tree);
    tree = NULL;
    if (body == NULL)
        return 0;
    assert_int_equal(json_read(&tree, str_of(body), &json_limits_default, "body", &err), 0);
    return openai_request_read(out, endpoint, tree, &arena, error);
}

static struct openai_request accepted(enum openai_endpoint endpoint, const char *body)
{
    struct openai_request request = {0};
    struct openai_error error = {0};

    if (read_body(&request, endpoint, body, &error) < 0)
        fail_msg("%s: %s", body, error.message);
    return request;
}

static void defaults_of_a_chat(void **state)
{
    struct openai_request q = accepted(OPENAI_CHAT, "{\"model\":\"m\"," MESSAGES "}");

    (void)state;
    assert_true(str_is(q.model, "m"));
    assert_int_equal(q.message_count, 1);
    assert_true(str_is(q.messages[0].role, "user") && str_is(q.messages[0].content, "hi"));
    assert_false(q.stream || q.include_usage || q.return_token_ids || q.ignore_eos || q.echo);
    assert_true(q.skip_special_tokens && q.add_generation_prompt);
    assert_false(q.has_temperature || q.has_top_p || q.has_top_k || q.has_seed);
    assert_false(q.has_min_p || q.has_repetition_penalty || q.has_default_temperature);
    assert_int_equal(q.max_tokens, -1);
    assert_int_equal(q.logprobs, -1);
    assert_int_equal(q.stop_count + q.stop_id_count + q.bias_count, 0);
    assert_true(q.repetition_penalty > 0.999 && q.repetition_penalty < 1.001);
}

static void every_parameter_of_a_chat(void **state)
{
    struct openai_request q = accepted(
        OPENAI_CHAT,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],\"name\":\"n\"},{\"role\":"
        "\"assistant\","
        "\"content\":null,\"reasoning_content\":\"r\"}],\"stream\":true,\"stream_options\":"
        "{\"include_usage\":true},\"max_tokens\":5,\"max_completion_tokens\":7,\"min_tokens\":2,"
        "\"temperature\":0.5,\"default_temperature\":0.25,\"top_p\":0.9,\"top_k\":40,\"min_p\":0.1,"
        "\"presence_penalty\":-2,"
        "\"frequency_penalty\":2,\"repetition_penalty\":1.1,\"seed\":-3,\"logprobs\":true,"
        "\"top_logprobs\":20,\"stop\":[\"x\",\"yz\"],\"stop_token_ids\":[4,5],\"logit_bias\":"
        "{\"7\":-100},\"user\":\"u\",\"return_token_ids\":true,\"ignore_eos\":true,"
        "\"include_stop_str_in_output\":true,\"skip_special_tokens\":false,"
        "\"add_generation_prompt\":false,\"chat_template_kwargs\":{\"k\":1}}");

    (void)state;
    assert_true(str_is(q.messages[0].role, "system") && str_is(q.messages[0].content, "ab"));
    assert_true(str_is(q.messages[0].name, "n"));
    assert_false(q.messages[1].has_content);
    assert_true(str_is(q.messages[1].reasoning_content, "r"));
    assert_true(q.stream && q.include_usage && q.return_token_ids && q.ignore_eos);
    assert_true(q.include_stop && !q.skip_special_tokens && !q.add_generation_prompt);
    assert_int_equal(q.max_tokens, 7);
    assert_int_equal(q.min_tokens, 2);
    assert_true(q.has_temperature && q.has_top_p && q.has_top_k && q.has_seed);
    assert_true(q.has_min_p && q.has_repetition_penalty);
    assert_float_equal((float)q.temperature, 0.5F, 1e-6F);
    assert_true(q.has_default_temperature);
    assert_float_equal((float)q.default_temperature, 0.25F, 1e-6F);
    assert_float_equal((float)q.top_p, 0.9F, 1e-6F);
    assert_float_equal((float)q.min_p, 0.1F, 1e-6F);
    assert_float_equal((float)q.presence_penalty, -2.0F, 1e-6F);
    assert_float_equal((float)q.frequency_penalty, 2.0F, 1e-6F);
    assert_float_equal((float)q.repetition_penalty, 1.1F, 1e-6F);
    assert_int_equal(q.top_k, 40);
    assert_int_equal(q.seed, -3);
    assert_int_equal(q.logprobs, 20);
    assert_int_equal(q.stop_count, 2);
    assert_true(str_is(q.stops[1], "yz"));
    assert_int_equal(q.stop_id_count, 2);
    assert_int_equal(q.stop_ids[1], 5);
    assert_int_equal(q.bias_count, 1);
    assert_int_equal(q.bias[0].id, 7);
    assert_float_equal(q.bias[0].bias, -100.0F, 1e-6F);
    assert_true(str_is(q.user, "u"));
    assert_non_null(q.template_kwargs);
}

static void forms_of_a_prompt(void **state)
{
    struct openai_request q =
        accepted(OPENAI_COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"text\",\"logprobs\":0}");

    (void)state;
    assert_true(str_is(q.prompt, "text") && !q.prompt_is_ids);
    assert_int_equal(q.logprobs, 0);
    q = accepted(OPENAI_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"one\"]}");
    assert_true(str_is(q.prompt, "one"));
    q = accepted(OPENAI_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[[1,2,3]]}");
    assert_int_equal(q.prompt_id_count, 3);
    q = accepted(OPENAI_COMPLETIONS, "{\"model\":\"m\",\"prompt\":[0,2147483647]}");
    assert_true(q.prompt_is_ids);
    assert_int_equal(q.prompt_ids[1], 2147483647);
    q = accepted(OPENAI_COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"\",\"stop\":\"s\"}");
    assert_int_equal(q.stop_count, 1);
}

/* Nulls count as absent; what we do not know is ignored; what asks for nothing is accepted. */
static void harmless_members_are_accepted(void **state)
{
    static const char *const members[] = {
        "\"temperature\":null,\"stop\":null,\"seed\":null,\"n\":null,\"stream_options\":null",
        "\"no_such_parameter\":{\"a\":[1]}",
        "\"tools\":[],\"tool_choice\":\"none\",\"functions\":null,\"modalities\":null",
        "\"tool_choice\":\"auto\",\"parallel_tool_calls\":true",
        "\"n\":1,\"best_of\":1,\"response_format\":{\"type\":\"text\"}",
        "\"reasoning_effort\":\"high\",\"service_tier\":\"auto\",\"store\":true,\"metadata\":{}",
        "\"thinking\":{\"type\":\"enabled\"},\"include_reasoning\":true",
        "\"stop\":[],\"logit_bias\":{},\"stop_token_ids\":[],\"top_k\":-1",
        "\"top_logprobs\":0,\"echo\":false,\"prompt_cache_key\":\"k\",\"verbosity\":\"low\"",
    };
    char body[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        snprintf(body, sizeof(body), "{\"model\":\"m\"," MESSAGES ",%s}", members[i]);
        (void)accepted(OPENAI_CHAT, body);
    }
}

struct broken {
    const char *members; /* after the model */
    const char *param;
    enum openai_error_code code;
};

static void expect_refusal(enum openai_endpoint endpoint, const struct broken *b)
{
    struct openai_request untouched = {.max_tokens = 12345};
    struct openai_error error = {0};
    char body[1024];

    snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", b->members);
    if (read_body(&untouched, endpoint, body, &error) == 0)
        fail_msg("%s was accepted", body);
    if (error.code != b->code || strcmp(error.param, b->param) != 0)
        fail_msg("%s: code %d, param '%s': %s", body, (int)error.code, error.param, error.message);
    /* One line that names the parameter. */
    assert_non_null(strstr(error.message, b->param));
    assert_null(strchr(error.message, '\n'));
    assert_int_equal(untouched.max_tokens, 12345);
}

static void broken_chats_are_named(void **state)
{
    static const struct broken cases[] = {
        {"\"messages\":[]", "messages", OPENAI_BAD_REQUEST},
        {"\"messages\":\"hi\"", "messages", OPENAI_BAD_REQUEST},
        {"\"prompt\":\"hi\"", "messages", OPENAI_BAD_REQUEST},
        {"\"messages\":[1]", "messages[0]", OPENAI_BAD_REQUEST},
        {"\"messages\":[{\"role\":\"user\"}]", "messages[0]", OPENAI_BAD_REQUEST},
        {"\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]", "messages[0].role",
         OPENAI_BAD_REQUEST},
        {"\"messages\":[{\"content\":\"x\"}]", "messages[0].role", OPENAI_BAD_REQUEST},
        {"\"messages\":[{\"role\":\"user\",\"content\":5}]", "messages[0].content",
         OPENAI_BAD_REQUEST},
        {"\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]", "messages[0].role",
         OPENAI_UNSUPPORTED},
        {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
         "messages[0].content", OPENAI_UNSUPPORTED},
        {"\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "messages[0]",
         OPENAI_UNSUPPORTED},
        {"\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"prefix\":true}]", "messages[0]",
         OPENAI_UNSUPPORTED},
        {MESSAGES ",\"stream\":1", "stream", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stream_options\":[]", "stream_options", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stream_options\":{\"include_usage\":1}", "include_usage", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"max_tokens\":0", "max_tokens", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"max_tokens\":1.5", "max_tokens", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"max_completion_tokens\":-1", "max_completion_tokens", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"min_tokens\":9,\"max_tokens\":8", "min_tokens", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"temperature\":2.01", "temperature", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"temperature\":\"hot\"", "temperature", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"default_temperature\":3", "default_temperature", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"top_p\":0", "top_p", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"top_p\":1.1", "top_p", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"top_k\":-2", "top_k", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"min_p\":-0.1", "min_p", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"presence_penalty\":3", "presence_penalty", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"frequency_penalty\":-3", "frequency_penalty", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"repetition_penalty\":0", "repetition_penalty", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"seed\":\"1\"", "seed", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"logprobs\":2", "logprobs", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"top_logprobs\":2", "top_logprobs", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"logprobs\":true,\"top_logprobs\":21", "top_logprobs", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stop\":[1]", "stop", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stop\":\"\"", "stop", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stop\":{}", "stop", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stop_token_ids\":[-1]", "stop_token_ids", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"stop_token_ids\":3", "stop_token_ids", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"logit_bias\":{\"x\":1}", "logit_bias", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"logit_bias\":{\"1\":101}", "logit_bias", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"logit_bias\":{\"1\":null}", "logit_bias", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"user\":7", "user", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"n\":0", "n", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"chat_template_kwargs\":[]", "chat_template_kwargs", OPENAI_BAD_REQUEST},
        {MESSAGES ",\"chat_template_kwargs\":{\"k\":1,\"chat_template\":\"\"}",
         "chat_template_kwargs", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"n\":2", "n", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"tools\":[{}]", "tools", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"tool_choice\":\"required\"", "tool_choice", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"response_format\":{\"type\":\"json_object\"}", "response_format",
         OPENAI_UNSUPPORTED},
        {MESSAGES ",\"response_format\":{\"type\":\"json_schema\"}", "response_format",
         OPENAI_UNSUPPORTED},
        {MESSAGES ",\"response_format\":\"text\"", "response_format", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"guided_json\":{\"a\":1}", "guided_json", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"audio\":{\"voice\":\"x\"}", "audio", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"thinking\":{\"type\":\"disabled\"}", "thinking", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"include_reasoning\":false", "include_reasoning", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"bad_words\":[\"x\"]", "bad_words", OPENAI_UNSUPPORTED},
        {MESSAGES ",\"continue_final_message\":true", "continue_final_message", OPENAI_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        expect_refusal(OPENAI_CHAT, &cases[i]);
}

static void broken_completions_are_named(void **state)
{
    static const struct broken cases[] = {
        {"\"prompt\":null", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[]", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":{}", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[1,\"x\"]", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[-1]", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[2147483648]", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[[[1]]]", "prompt", OPENAI_BAD_REQUEST},
        {"\"prompt\":[\"a\",\"b\"]", "prompt", OPENAI_UNSUPPORTED},
        {"\"prompt\":\"x\",\"logprobs\":true", "logprobs", OPENAI_BAD_REQUEST},
        {"\"prompt\":\"x\",\"logprobs\":21", "logprobs", OPENAI_BAD_REQUEST},
        {"\"prompt\":\"x\",\"echo\":true", "echo", OPENAI_UNSUPPORTED},
        {"\"prompt\":\"x\",\"suffix\":\"y\"", "suffix", OPENAI_UNSUPPORTED},
        {"\"prompt\":\"x\",\"best_of\":3", "best_of", OPENAI_UNSUPPORTED},
        {"\"prompt\":\"x\",\"prompt_logprobs\":1", "prompt_logprobs", OPENAI_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        expect_refusal(OPENAI_COMPLETIONS, &cases[i]);
}

static void a_model_must_be_named(void **state)
{
    static const char *const bodies[] = {"{}", "{\"model\":1}", "{\"model\":null}"};
    struct openai_request request;
    struct openai_peek peek;
    struct openai_error error;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        json_auto_t *tree = NULL;

        assert_int_equal(read_body(&request, OPENAI_CHAT, bodies[i], &error), -1);
        assert_string_equal(error.param, "model");
        assert_int_equal(json_read(&tree, str_of(bodies[i]), &json_limits_default, "b", &err), 0);
        assert_int_equal(openai_peek(&peek, tree, &error), -1);
        assert_string_equal(error.param, "model");
    }
    assert_int_equal(read_body(&request, OPENAI_CHAT, "[]", &error), -1);
    assert_int_equal(error.code, OPENAI_BAD_JSON);
}

static void the_counts_of_lists_are_limited(void **state)
{
    struct openai_request request;
    struct openai_error error;
    struct buf body;

    (void)state;
    buf_init(&body, 1 << 20);
    buf_append_text(&body, "{\"model\":\"m\",\"messages\":[");
    for (int i = 0; i <= OPENAI_MESSAGES_MAX; i++)
        buf_printf(&body, "%s{\"role\":\"user\",\"content\":\"\"}", i > 0 ? "," : "");
    buf_append_text(&body, "]}");
    assert_int_equal(read_body(&request, OPENAI_CHAT, buf_cstr(&body), &error), -1);
    assert_string_equal(error.param, "messages");
    buf_clear(&body);
    buf_append_text(&body, "{\"model\":\"m\"," MESSAGES ",\"logit_bias\":{");
    for (int i = 0; i <= OPENAI_BIAS_MAX; i++)
        buf_printf(&body, "%s\"%d\":1", i > 0 ? "," : "", i);
    buf_append_text(&body, "}}");
    assert_int_equal(read_body(&request, OPENAI_CHAT, buf_cstr(&body), &error), -1);
    assert_string_equal(error.param, "logit_bias");
    buf_clear(&body);
    buf_append_text(&body, "{\"model\":\"m\"," MESSAGES ",\"stop\":\"");
    for (int i = 0; i <= OPENAI_STOP_BYTES_MAX; i++)
        buf_append_char(&body, 'x');
    buf_append_text(&body, "\"}");
    assert_int_equal(read_body(&request, OPENAI_CHAT, buf_cstr(&body), &error), -1);
    assert_string_equal(error.param, "stop");
    buf_fini(&body);
}

/* Whatever allocation fails, the request is refused as our fault, never as the client's. */
static void a_failing_allocation_is_our_fault(void **state)
{
    static const char body[] = "{\"model\":\"m\",\"user\":\"u\",\"stop\":[\"a\",\"b\"],"
                               "\"logit_bias\":{\"1\":1},\"messages\":[{\"role\":\"user\","
                               "\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}";
    json_auto_t *tree = NULL;
    struct err err;
    int failures = 0;
    bool done = false;

    (void)state;
    assert_int_equal(json_read(&tree, STR(body), &json_limits_default, "body", &err), 0);
    for (int n = 0; n < ALLOCATIONS_MAX && !done; n++) {
        struct openai_request request;
        struct openai_error error = {0};
        struct arena arena;
        int r;

        arena_init(&arena, ARENA_BYTES);
        mem_fail_after(n);
        r = openai_request_read(&request, OPENAI_CHAT, tree, &arena, &error);
        done = !mem_fail_seen();
        mem_fail_after(-1);
        arena_fini(&arena);
        if (done) {
            assert_int_equal(r, 0);
        } else {
            assert_int_equal(r, -1);
            assert_int_equal(error.code, OPENAI_SERVER);
            failures++;
        }
    }
    assert_true(done && failures > 0);
}

static int free_last(void **state)
{
    (void)state;
    return read_body(NULL, OPENAI_CHAT, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_a_chat),
        cmocka_unit_test(every_parameter_of_a_chat),
        cmocka_unit_test(forms_of_a_prompt),
        cmocka_unit_test(harmless_members_are_accepted),
        cmocka_unit_test(broken_chats_are_named),
        cmocka_unit_test(broken_completions_are_named),
        cmocka_unit_test(a_model_must_be_named),
        cmocka_unit_test(the_counts_of_lists_are_limited),
        cmocka_unit_test(a_failing_allocation_is_our_fault),
    };

    return cmocka_run_group_tests(tests, NULL, free_last);
}
