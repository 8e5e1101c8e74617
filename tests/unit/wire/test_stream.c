/* SPDX-License-Identifier: Apache-2.0 */
/* Stream events and attempts: what is written reads back; what is malformed is refused. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "wire/stream.h"

static void read_back(const struct stream_event *event, struct stream_event *back)
{
    struct buf line;
    struct err err;
    struct str text;

    buf_init(&line, STREAM_LINE_MAX);
    stream_event_write(&line, event);
    text = buf_str(&line);
    assert_true(str_starts(text, STR("spate: ")));
    assert_true(str_ends(text, STR("\n")));
    assert_int_equal(stream_event_read(back, str_slice(text, 7, text.len - 1), &err), 0);
    buf_fini(&line);
}

static void events_make_the_round_trip(void **state)
{
    static struct stream_event event;
    static struct stream_event back;

    (void)state;
    event = (struct stream_event){.kind = STREAM_CHUNK,
                                  .position = 13,
                                  .ids = {271, 0},
                                  .id_count = 2,
                                  .counts = {9, 1, 13, 8, 2}};
    read_back(&event, &back);
    assert_int_equal(back.kind, STREAM_CHUNK);
    assert_int_equal(back.position, 13);
    assert_int_equal(back.id_count, 2);
    assert_int_equal(back.ids[0], 271);
    assert_int_equal(back.counts.recomputed, 2);

    event = (struct stream_event){.kind = STREAM_HEARTBEAT, .steps = 1207, .running = 3};
    read_back(&event, &back);
    assert_int_equal(back.steps, 1207);

    event = (struct stream_event){.kind = STREAM_START, .prompt_tokens = 9, .digest = "ab"};
    read_back(&event, &back);
    assert_string_equal(back.digest, "ab");

    event = (struct stream_event){.kind = STREAM_END,
                                  .ended_by = USAGE_END_MODEL,
                                  .finish = "stop",
                                  .charge_end = 13,
                                  .counts = {9, 0, 13, 8, 0}};
    read_back(&event, &back);
    assert_int_equal(back.ended_by, USAGE_END_MODEL);
    assert_string_equal(back.finish, "stop");
    assert_int_equal(back.counts.reasoning, 8);

    event = (struct stream_event){.kind = STREAM_USAGE};
    read_back(&event, &back);
    assert_int_equal(back.kind, STREAM_USAGE);
}

static void malformed_events_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"p\":",
        "{\"p\":1,\"ids\":[1],\"c\":[1,2,3]}",
        "{\"p\":1,\"ids\":[-1],\"c\":[1,2,3,0,5]}",
        "{\"p\":1,\"ids\":[1],\"c\":[1,2,3,4,5]}",
        "{\"p\":1,\"ids\":[1],\"c\":[1,2,3,0,5]} ",
        "{\"hb\":[1,2]}",
        "{\"end\":{}}",
        "{\"start\":{\"run\":\"x\",\"prompt\":1,\"digest\":\"\"}}",
        "{\"usage\":false}",
        "{\"p\":18446744073709551616,\"ids\":[],\"c\":[1,2,3,0,5]}",
    };
    static struct stream_event event;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct err err = {0};

        assert_true(stream_event_read(&event, str_of(bad[i]), &err) < 0);
        assert_true(err.message[0] != '\0');
    }
}

static void an_attempt_makes_the_round_trip(void **state)
{
    static const int32_t ids[] = {5, 6, 7};
    struct stream_attempt attempt = {.attempt = 2,
                                     .tenant = STR("acme"),
                                     .key_id = STR("k1"),
                                     .model = STR("default/brook"),
                                     .public_model = STR("brook"),
                                     .completion_id = STR("chatcmpl-1"),
                                     .created_s = 99,
                                     .seed = UINT64_MAX,
                                     .price_version = 4,
                                     .admitted_ms = 1000,
                                     .cache_salt = 12,
                                     .priority = -3,
                                     .digest = STR("00ff"),
                                     .cached_tokens = -1,
                                     .output = ids,
                                     .output_count = 3};
    struct stream_attempt back;
    struct json_writer w;
    struct arena arena;
    struct buf text;
    struct err err;
    json_auto_t *tree = NULL;

    (void)state;
    arena_init(&arena, 1 << 20);
    buf_init(&text, 1 << 20);
    json_writer_init(&w, &text);
    stream_attempt_write(&w, &attempt);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "attempt", &err), 0);
    assert_int_equal(stream_attempt_read(&back, tree, &arena, &err), 0);
    assert_true(back.seed == UINT64_MAX);
    assert_int_equal(back.priority, -3);
    assert_int_equal(back.cache_salt, 12);
    assert_int_equal(back.output_count, 3);
    assert_int_equal(back.output[2], 7);
    assert_true(str_is(back.public_model, "brook"));
    buf_fini(&text);
    arena_fini(&arena);
}

static int read_name(const char *text, struct id128 *request_id, uint32_t *attempt)
{
    json_auto_t *tree = NULL;
    struct err err;

    assert_int_equal(json_read(&tree, str_of(text), &json_limits_default, "name", &err), 0);
    return stream_name_read(tree, request_id, attempt, &err);
}

static void an_attempts_name_makes_the_round_trip(void **state)
{
    const struct id128 id = {.bytes = {1, 2, 3}};
    char text[STREAM_NAME_MAX];
    struct id128 back_id;
    uint32_t back = 0;

    (void)state;
    stream_name_format(text, id, UINT32_MAX);
    assert_int_equal(read_name(text, &back_id, &back), 0);
    assert_int_equal(id_compare(back_id, id), 0);
    assert_true(back == UINT32_MAX);
    assert_int_equal(read_name("{\"request_id\":\"x\",\"attempt\":1}", &back_id, &back),
                     -ERR_INVALID);
    assert_true(read_name("{\"attempt\":1}", &back_id, &back) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_make_the_round_trip),
        cmocka_unit_test(malformed_events_are_refused),
        cmocka_unit_test(an_attempt_makes_the_round_trip),
        cmocka_unit_test(an_attempts_name_makes_the_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
