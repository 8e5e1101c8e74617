/* SPDX-License-Identifier: Apache-2.0 */
/* The text stream: characters, stop strings, reasoning, and that a resumed stream goes on as it
 * would have. */
#include <string.h>

#include "cmocka_plain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/text/detok.h"
#include "tiny_tokenizer.h"

enum { IDS_MAX = 512, TEXT_MAX = 1 << 16 };

struct outcome {
    struct buf reasoning;
    struct buf content;
    int stop_position;
    int stop_index;
    int reasoning_tokens;
};

static void outcome_init(struct outcome *o)
{
    buf_init(&o->reasoning, TEXT_MAX);
    buf_init(&o->content, TEXT_MAX);
}

static void outcome_fini(struct outcome *o)
{
    buf_fini(&o->reasoning);
    buf_fini(&o->content);
}

static void keep(struct outcome *o, struct text_delta delta)
{
    buf_append_str(&o->reasoning, delta.reasoning);
    buf_append_str(&o->content, delta.content);
    /* Whole characters only. */
    assert_true(utf8_valid(delta.reasoning) && utf8_valid(delta.content));
}

/* Pushes all ids; from `cut` on in a second stream that replays those before it. */
static void stream(const struct tokenizer *t, const struct text_options *options,
                   const int32_t *ids, int count, int cut, struct outcome *o)
{
    CLEANUP(text_stream_freep) struct text_stream *first = NULL;
    CLEANUP(text_stream_freep) struct text_stream *second = NULL;
    struct err err;

    assert_int_equal(text_stream_new(&first, t, options, &err), 0);
    assert_int_equal(text_stream_new(&second, t, options, &err), 0);
    for (int i = 0; i < cut; i++) {
        keep(o, text_stream_push(first, ids[i]));
        (void)text_stream_push(second, ids[i]);
    }
    for (int i = cut; i < count; i++)
        keep(o, text_stream_push(second, ids[i]));
    keep(o, text_stream_finish(second));
    assert_int_equal(text_stream_count(second), count);
    o->stop_position = text_stream_stop_position(second);
    o->stop_index = text_stream_stop_index(second);
    o->reasoning_tokens = text_stream_reasoning_tokens(second);
}

struct stream_case {
    const char *text; /* encoded to ids, then `more` */
    int32_t more[4];
    const char *stops[3];
    bool keep_special;
    bool include_stop;
    bool split;
    bool starts;
    bool without_tags; /* the tokenizer has no think tokens */
    const char *reasoning;
    const char *content;
    int stop_position;
    int reasoning_tokens;
};

static const struct stream_case cases[] = {
    {.text = "hello hello", .content = "hello hello", .stop_position = -1},
    {.text = "\xe2\x82\xac!", .content = "\xe2\x82\xac!", .stop_position = -1},
    {.text = "a", .more = {0xe2, 0x82}, .content = "a\xef\xbf\xbd", .stop_position = -1},
    {.text = "a",
     .more = {0xff, 'b'},
     .content = "a\xef\xbf\xbd"
                "b",
     .stop_position = -1},
    {.text = "a",
     .more = {0xe2, 'b', 0xf0, 0x9f},
     .content = "a\xef\xbf\xbd"
                "b\xef\xbf\xbd",
     .stop_position = -1},
    {.text = "a</s>b", .content = "ab", .stop_position = -1},
    {.text = "a</s>b", .keep_special = true, .content = "a</s>b", .stop_position = -1},
    /* stop strings */
    {.text = "ab END cd", .stops = {"END"}, .content = "ab ", .stop_position = 5},
    {.text = "ab END cd",
     .stops = {"END"},
     .include_stop = true,
     .content = "ab END",
     .stop_position = 5},
    {.text = "ab EN", .stops = {"END"}, .content = "ab EN", .stop_position = -1},
    {.text = "ab E END", .stops = {"END"}, .content = "ab E ", .stop_position = 7},
    {.text = "hello", .stops = {"ell"}, .content = "h", .stop_position = 0},
    {.text = "xyz", .stops = {"yz", "xyz"}, .content = "", .stop_position = 2},
    {.text = "xyz", .stops = {"xyz", "y"}, .content = "x", .stop_position = 1},
    {.text = "aabaaac", .stops = {"aaac"}, .content = "aab", .stop_position = 4},
    {.text = "z",
     .more = {0xe2, 0x82, 0xac, 'q'},
     .stops = {"\xe2\x82\xac"},
     .content = "z",
     .stop_position = 3},
    {.text = "z",
     .more = {0xe2, 0x82},
     .stops = {"\xef\xbf\xbd"},
     .content = "z",
     .stop_position = 2},
    /* reasoning */
    {.text = "12\n</think>\n\n3",
     .split = true,
     .starts = true,
     .reasoning = "12\n",
     .content = "3",
     .stop_position = -1,
     .reasoning_tokens = 4},
    {.text = "\n12</think>3",
     .split = true,
     .starts = true,
     .reasoning = "12",
     .content = "3",
     .stop_position = -1,
     .reasoning_tokens = 4},
    {.text = "12",
     .split = true,
     .starts = true,
     .reasoning = "12",
     .content = "",
     .stop_position = -1,
     .reasoning_tokens = 2},
    {.text = "\n<think>\n1</think>2",
     .split = true,
     .reasoning = "1",
     .content = "2",
     .stop_position = -1,
     .reasoning_tokens = 5},
    {.text = "1</think>2", .split = true, .content = "1</think>2", .stop_position = -1},
    {.text = "1<think>2", .split = true, .content = "1<think>2", .stop_position = -1},
    {.text = "1</think>2</think>3",
     .split = true,
     .starts = true,
     .reasoning = "1",
     .content = "2</think>3",
     .stop_position = -1,
     .reasoning_tokens = 2},
    {.text = "1</think>2", .content = "1</think>2", .stop_position = -1},
    {.text = "1 END 2</think>",
     .stops = {"END"},
     .split = true,
     .starts = true,
     .reasoning = "1 ",
     .content = "",
     .stop_position = 4,
     .reasoning_tokens = 5},
    {.text = "1</think>2 END",
     .stops = {"END"},
     .split = true,
     .starts = true,
     .reasoning = "1",
     .content = "2 ",
     .stop_position = 6,
     .reasoning_tokens = 2},
    {.text = "1</think>2",
     .stops = {"</think>"},
     .split = true,
     .starts = true,
     .reasoning = "1",
     .content = "",
     .stop_position = 1,
     .reasoning_tokens = 2},
    {.text = "   ", .split = true, .content = "   ", .stop_position = -1},
    /* tags that are no tokens */
    {.text = "12\n</think>\n\n3",
     .split = true,
     .starts = true,
     .without_tags = true,
     .reasoning = "12\n",
     .content = "3",
     .stop_position = -1,
     .reasoning_tokens = 11},
    {.text = "<think>1</thi</think>2",
     .split = true,
     .without_tags = true,
     .reasoning = "1</thi",
     .content = "2",
     .stop_position = -1,
     .reasoning_tokens = 21},
    {.text = "<thinner>",
     .split = true,
     .without_tags = true,
     .content = "<thinner>",
     .stop_position = -1},
};

static void run_case(const struct stream_case *c, size_t index)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(!c->without_tags);
    CLEANUP(token_list_fini) struct token_list ids = {0};
    struct str stops[3];
    struct text_options options = {
        .keep_special = c->keep_special,
        .include_stop = c->include_stop,
        .split_reasoning = c->split,
        .starts_reasoning = c->starts,
        .stops = stops,
    };
    struct err err;

    token_list_init(&ids, IDS_MAX);
    assert_int_equal(tokenizer_encode(t, str_of(c->text), 0, &ids, &err), 0);
    for (size_t i = 0; i < ARRAY_COUNT(c->more) && c->more[i] != 0; i++)
        assert_int_equal(token_list_add(&ids, c->more[i]), 0);
    for (; options.stop_count < 3 && c->stops[options.stop_count] != NULL; options.stop_count++)
        stops[options.stop_count] = str_of(c->stops[options.stop_count]);
    for (int cut = 0; cut <= (int)ids.count; cut++) {
        CLEANUP(outcome_fini) struct outcome o = {0};

        outcome_init(&o);
        stream(t, &options, ids.ids, (int)ids.count, cut, &o);
        if (!str_is(buf_str(&o.reasoning), c->reasoning == NULL ? "" : c->reasoning) ||
            !str_is(buf_str(&o.content), c->content) || o.stop_position != c->stop_position ||
            o.reasoning_tokens != c->reasoning_tokens)
            fail_msg("case %zu '%s' cut %d: '%s' | '%s', stop %d, reasoning tokens %d", index,
                     c->text, cut, buf_cstr(&o.reasoning), buf_cstr(&o.content), o.stop_position,
                     o.reasoning_tokens);
    }
}

static void texts_come_out_right_and_resume_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        run_case(&cases[i], i);
}

/* The same by looking at the whole text at once: slow, plain, and written differently. */
static void expected_text(const struct tokenizer *t, const int32_t *ids, int count,
                          const struct str *stops, int stop_count, struct buf *out)
{
    CLEANUP(buf_fini) struct buf bytes = {0};
    struct str rest;
    size_t best_end = SIZE_MAX;
    size_t best_start = SIZE_MAX;

    buf_init(&bytes, TEXT_MAX);
    for (int i = 0; i < count; i++) {
        if (!tokenizer_is_special(t, ids[i]))
            buf_append_str(&bytes, tokenizer_piece(t, ids[i]));
    }
    for (rest = buf_str(&bytes); rest.len > 0;) {
        int length = utf8_length(rest);
        size_t bad = rest.len < 3 ? rest.len : 3;

        while (bad > 1 && utf8_length(str_slice(rest, 0, bad)) != -1)
            bad--;
        if (length > 0)
            buf_append(out, rest.ptr, (size_t)length);
        else
            buf_append_text(out, "\xef\xbf\xbd");
        rest = str_slice(rest, length > 0 ? (size_t)length : bad, rest.len);
    }
    for (int i = 0; i < stop_count; i++) {
        int64_t at = str_find(buf_str(out), stops[i]);
        size_t end = at < 0 ? SIZE_MAX : (size_t)at + stops[i].len;

        if (end < best_end || (end == best_end && at >= 0 && (size_t)at < best_start)) {
            best_end = end;
            best_start = (size_t)at;
        }
    }
    if (best_end != SIZE_MAX)
        out->len = best_start;
}

static void random_ids_agree_with_the_plain_way(void **state)
{
    static const struct str stops[] = {{"aab", 3}, {"\xe2\x82\xac", 3}, {"ba", 2}};
    static const int32_t pool[] = {'a',  'b',  TINY_AA, TINY_AAAA, TINY_EURO_HEAD, 0xac, 0xe2,
                                   0x82, 0xf0, 0x9f,    TINY_EOS,  TINY_HELLO,     0xff};
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    struct rng_seeded seeded;

    (void)state;
    rng_seeded_init(&seeded, 17);
    for (int round = 0; round < 4000; round++) {
        CLEANUP(outcome_fini) struct outcome o = {0};
        CLEANUP(buf_fini) struct buf expected = {0};
        struct text_options options = {.stops = stops,
                                       .stop_count = (int)rng_below(&seeded.rng, 4)};
        int32_t ids[32];
        int count = (int)rng_below(&seeded.rng, 32);
        int cut = (int)rng_below(&seeded.rng, (uint64_t)count + 1);

        for (int i = 0; i < count; i++)
            ids[i] = pool[rng_below(&seeded.rng, ARRAY_COUNT(pool))];
        outcome_init(&o);
        buf_init(&expected, TEXT_MAX);
        expected_text(t, ids, count, stops, options.stop_count, &expected);
        stream(t, &options, ids, count, cut, &o);
        if (!str_eq(buf_str(&expected), buf_str(&o.content)))
            fail_msg("round %d: '%s', not '%s'", round, buf_cstr(&o.content), buf_cstr(&expected));
    }
}

static void stop_ids_are_counted_and_not_shown(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    CLEANUP(text_stream_freep) struct text_stream *s = NULL;
    struct text_options options = {.split_reasoning = true, .starts_reasoning = true};
    struct text_delta delta;
    struct err err;

    (void)state;
    assert_int_equal(text_stream_new(&s, t, &options, &err), 0);
    (void)text_stream_push(s, 'x');
    delta = text_stream_push_stop_id(s, 10);
    assert_int_equal(delta.reasoning.len + delta.content.len, 0);
    delta = text_stream_finish(s);
    assert_int_equal(delta.reasoning.len + delta.content.len, 0);
    assert_int_equal(text_stream_count(s), 2);
    assert_int_equal(text_stream_reasoning_tokens(s), 2);
    assert_true(text_stream_in_reasoning(s));
}

/* Held back or not, and whatever the bytes: what counts is the text that they will be. */
static void characters_are_counted(void **state)
{
    static const struct {
        int32_t id;
        uint64_t characters; /* afterwards */
    } steps[] = {
        {'a', 1},  {TINY_EURO_HEAD, 1},
        {0xac, 2},           /* the euro sign, in two ids */
        {'E', 3},  {'N', 4}, /* held back: it may become the stop string */
        {0xf0, 4}, {0x9f, 4},
        {'b', 6}, /* ill-formed: one U+FFFD */
        {'c', 7},
    };
    const struct str stop = STR("END");
    const struct text_options options = {.stops = &stop, .stop_count = 1};
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    CLEANUP(text_stream_freep) struct text_stream *s = NULL;
    struct err err;

    (void)state;
    assert_int_equal(text_stream_new(&s, t, &options, &err), 0);
    assert_int_equal(text_stream_characters(s), 0);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        (void)text_stream_push(s, steps[i].id);
        assert_int_equal(text_stream_characters(s), steps[i].characters);
    }
}

static void bad_stop_strings_are_refused(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    static char large[TEXT_STOP_BYTES_MAX + 1];
    struct str many[TEXT_STOPS_MAX + 1];
    struct str empty = STR("");
    struct str long_one = {large, sizeof(large)};
    struct text_stream *s = NULL;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(many); i++)
        many[i] = STR("x");
    assert_int_equal(
        text_stream_new(&s, t, &(struct text_options){.stops = &empty, .stop_count = 1}, &err),
        -ERR_INVALID);
    assert_int_equal(
        text_stream_new(&s, t, &(struct text_options){.stops = &long_one, .stop_count = 1}, &err),
        -ERR_INVALID);
    assert_int_equal(
        text_stream_new(
            &s, t, &(struct text_options){.stops = many, .stop_count = ARRAY_COUNT(many)}, &err),
        -ERR_LIMIT);
    assert_null(s);
}

static void prompts_that_open_reasoning_are_known(void **state)
{
    (void)state;
    assert_true(text_prompt_opens_reasoning(STR("x<think>\n")));
    assert_true(text_prompt_opens_reasoning(STR("<think>")));
    assert_false(text_prompt_opens_reasoning(STR("<think> ")));
    assert_false(text_prompt_opens_reasoning(STR("<think>\n\n</think>\n")));
    assert_false(text_prompt_opens_reasoning(STR("")));
}

static void every_failing_allocation_is_survived(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    struct str stop = STR("END");

    (void)state;
    for (int64_t n = 0;; n++) {
        CLEANUP(text_stream_freep) struct text_stream *s = NULL;
        struct err err;
        int r;

        mem_fail_after(n);
        r = text_stream_new(&s, t, &(struct text_options){.stops = &stop, .stop_count = 1}, &err);
        mem_fail_after(-1);
        assert_true(r == 0 || r == -ERR_NO_MEMORY);
        if (r == 0) {
            assert_true(n > 3);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_out_right_and_resume_anywhere),
        cmocka_unit_test(random_ids_agree_with_the_plain_way),
        cmocka_unit_test(stop_ids_are_counted_and_not_shown),
        cmocka_unit_test(characters_are_counted),
        cmocka_unit_test(bad_stop_strings_are_refused),
        cmocka_unit_test(prompts_that_open_reasoning_are_known),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
