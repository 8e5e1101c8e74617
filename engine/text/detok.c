/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text stream: see detok.h. Offsets count the bytes of the whole decoded text; `text` holds the
 * part that is not released yet:
 *
 *     already released   | held back         |
 *     0 ................ base ............ base + length
 *
 * Stop strings are followed byte by byte, each by its own Knuth-Morris-Pratt state: the state is
 * also the number of bytes that must be held back for it. The two tags are remembered as ranges of
 * offsets, so that deciding what a byte is (when decoded) and handing it out (when released) can
 * lie apart.
 */
#include "engine/text/detok.h"

#include <string.h>

#include "base/mem.h"
#include "engine/text/tokenizer.h"

enum {
    PARTIAL_MAX = 4,     /* bytes of one character */
    REPLACEMENT_LEN = 3, /* U+FFFD */
    LEAD_SPACE_MAX = 64, /* white space before `<think>` at the beginning of an answer */
    TAG_MAX = 8,
};

static const struct str open_tag = {"<think>", 7};
static const struct str close_tag = {"</think>", 8};

static const uint64_t nowhere = UINT64_MAX;

enum phase { PHASE_START, PHASE_REASONING, PHASE_ANSWER };

/* Knuth-Morris-Pratt: `state` bytes of the text match at the end of what was seen. */
struct follower {
    char *text;
    uint16_t *fail; /* fail[i]: the state to fall back to when i + 1 bytes matched */
    int length;
    int state;
};

struct range {
    uint64_t start;
    uint64_t end;
};

struct text_stream {
    const struct tokenizer *tokenizer;
    bool keep_special;
    bool include_stop;
    bool split;
    int32_t open_id; /* -1: the tag is no token, look at the characters */
    int32_t close_id;

    struct follower stops[TEXT_STOPS_MAX];
    int stop_count;
    struct follower closing; /* close_tag, where it is no token */

    char partial[PARTIAL_MAX]; /* an incomplete character */
    size_t partial_len;

    char *text;
    size_t length;
    uint64_t base;
    char *reasoning_out;
    char *content_out;

    enum phase phase; /* where the decoded text stands */
    size_t lead_spaces;
    size_t open_matched;
    struct range open; /* of the tags; nowhere: not seen */
    struct range close;
    bool skip_breaks; /* the released text stands right after a tag */

    uint64_t characters;
    int count;
    int undecided; /* ids pushed in PHASE_START */
    int reasoning_tokens;
    int stop_position;
    int stop_index;
    struct range stop;
};

static int follower_init(struct follower *f, struct str text)
{
    f->text = mem_strndup(text.ptr, text.len);
    f->fail = mem_array(text.len, sizeof(*f->fail));
    f->length = (int)text.len;
    if (f->text == NULL || f->fail == NULL)
        return -ERR_NO_MEMORY;
    for (int i = 1, state = 0; i < f->length; i++) {
        while (state > 0 && f->text[state] != f->text[i])
            state = f->fail[state - 1];
        if (f->text[state] == f->text[i])
            state++;
        f->fail[i] = (uint16_t)state;
    }
    return 0;
}

static void follower_fini(struct follower *f)
{
    mem_free(f->text);
    mem_free(f->fail);
}

/* True if the text is complete with this byte. */
static bool follower_step(struct follower *f, char c)
{
    if (f->state == f->length)
        f->state = f->fail[f->length - 1];
    while (f->state > 0 && f->text[f->state] != c)
        f->state = f->fail[f->state - 1];
    if (f->text[f->state] == c)
        f->state++;
    return f->state == f->length;
}

void text_stream_free(struct text_stream *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < s->stop_count; i++)
        follower_fini(&s->stops[i]);
    follower_fini(&s->closing);
    mem_free(s->text);
    mem_free(s->reasoning_out);
    mem_free(s->content_out);
    mem_free(s);
}

void text_stream_freep(struct text_stream **s)
{
    text_stream_free(*s);
}

static int add_stops(struct text_stream *s, const struct text_options *options, struct err *err)
{
    if (options->stop_count < 0 || options->stop_count > TEXT_STOPS_MAX)
        return err_set(err, ERR_LIMIT, "there are %d stop strings; the limit is %d",
                       options->stop_count, TEXT_STOPS_MAX);
    for (int i = 0; i < options->stop_count; i++) {
        struct str stop = options->stops[i];

        if (stop.len == 0 || stop.len > TEXT_STOP_BYTES_MAX)
            return err_set(err, ERR_INVALID, "stop string %d has %zu bytes; it must have 1 to %d",
                           i, stop.len, TEXT_STOP_BYTES_MAX);
        s->stop_count++;
        if (follower_init(&s->stops[i], stop) < 0)
            return err_no_memory(err);
    }
    return 0;
}

/* The most that can be unreleased: what is held back, and what one id adds. */
static int add_buffers(struct text_stream *s, struct err *err)
{
    size_t size = LEAD_SPACE_MAX + TAG_MAX + TEXT_STOP_BYTES_MAX +
                  REPLACEMENT_LEN * (tokenizer_piece_max(s->tokenizer) + 2 * PARTIAL_MAX);

    s->text = mem_alloc(size);
    s->reasoning_out = mem_alloc(size);
    s->content_out = mem_alloc(size);
    if (s->text == NULL || s->reasoning_out == NULL || s->content_out == NULL)
        return err_no_memory(err);
    return 0;
}

int text_stream_new(struct text_stream **out, const struct tokenizer *t,
                    const struct text_options *options, struct err *err)
{
    CLEANUP(text_stream_freep) struct text_stream *s = mem_alloc(sizeof(*s));
    int r;

    if (s == NULL)
        return err_no_memory(err);
    s->tokenizer = t;
    s->keep_special = options->keep_special;
    s->include_stop = options->include_stop;
    s->split = options->split_reasoning;
    s->open_id = s->split ? tokenizer_added_id(t, open_tag) : -1;
    s->close_id = s->split ? tokenizer_added_id(t, close_tag) : -1;
    s->open = s->close = s->stop = (struct range){nowhere, nowhere};
    s->stop_position = s->stop_index = -1;
    s->phase = PHASE_ANSWER;
    if (s->split)
        s->phase = options->starts_reasoning ? PHASE_REASONING : PHASE_START;
    s->skip_breaks = s->phase == PHASE_REASONING;
    r = add_stops(s, options, err);
    if (r >= 0 && follower_init(&s->closing, close_tag) < 0)
        r = err_no_memory(err);
    if (r >= 0)
        r = add_buffers(s, err);
    if (r < 0)
        return r;
    *out = STEAL(s);
    return 0;
}

static uint64_t text_end(const struct text_stream *s)
{
    return s->base + s->length;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The beginning of an answer: does it open with the tag? */
static void step_start(struct text_stream *s, char c)
{
    if (s->open_matched == 0 && is_blank(c) && s->lead_spaces < LEAD_SPACE_MAX) {
        s->lead_spaces++;
        return;
    }
    if (s->open_id >= 0 || c != open_tag.ptr[s->open_matched]) {
        s->phase = PHASE_ANSWER;
        return;
    }
    if (++s->open_matched == open_tag.len) {
        s->open = (struct range){text_end(s) - open_tag.len, text_end(s)};
        s->phase = PHASE_REASONING;
    }
}

static void step_reasoning(struct text_stream *s, char c)
{
    if (s->close_id >= 0 || !follower_step(&s->closing, c))
        return;
    s->close = (struct range){text_end(s) - close_tag.len, text_end(s)};
    s->phase = PHASE_ANSWER;
}

static void step_stops(struct text_stream *s, char c)
{
    for (int i = 0; i < s->stop_count; i++) {
        struct follower *f = &s->stops[i];
        uint64_t start;

        if (!follower_step(f, c))
            continue;
        start = text_end(s) - (uint64_t)f->length;
        if (s->stop_index >= 0 && start >= s->stop.start)
            continue;
        s->stop = (struct range){start, text_end(s)};
        s->stop_index = i;
        s->stop_position = s->count;
    }
}

/* One decoded byte. `tag`: it belongs to a tag that is known already. */
static void append_byte(struct text_stream *s, char c, bool tag)
{
    if (s->stop_index >= 0)
        return;
    s->text[s->length++] = c;
    if (((unsigned char)c & 0xc0) != 0x80) /* the first byte of a character */
        s->characters++;
    step_stops(s, c);
    if (tag)
        return;
    if (s->phase == PHASE_START)
        step_start(s, c);
    else if (s->phase == PHASE_REASONING)
        step_reasoning(s, c);
}

static void append_text(struct text_stream *s, const char *text, size_t length, bool tag)
{
    for (size_t i = 0; i < length; i++)
        append_byte(s, text[i], tag);
}

static void flush_partial(struct text_stream *s)
{
    if (s->partial_len > 0)
        append_text(s, "\xef\xbf\xbd", REPLACEMENT_LEN, false);
    s->partial_len = 0;
}

/* Bytes become characters here. */
static void decode_byte(struct text_stream *s, char c)
{
    int length;

    if (s->partial_len == 0 && (unsigned char)c < 0x80) {
        append_byte(s, c, false);
        return;
    }
    s->partial[s->partial_len++] = c;
    length = utf8_length((struct str){s->partial, s->partial_len});
    if (length > 0) {
        append_text(s, s->partial, s->partial_len, false);
        s->partial_len = 0;
    } else if (length == 0 && s->partial_len == 1) {
        flush_partial(s);
    } else if (length == 0) {
        /* What came before was the beginning of a character that this byte does not continue. */
        s->partial_len--;
        flush_partial(s);
        decode_byte(s, c);
    }
}

/* A tag that is a token. Where special tokens are not shown it takes no room in the text. */
static void decode_tag(struct text_stream *s, int32_t id, struct range *range, enum phase next)
{
    struct str piece = tokenizer_piece(s->tokenizer, id);

    flush_partial(s);
    if (s->stop_index >= 0)
        return;
    range->start = text_end(s);
    if (s->keep_special || !tokenizer_is_special(s->tokenizer, id))
        append_text(s, piece.ptr, piece.len, true);
    range->end = text_end(s);
    s->phase = next;
}

static void decode_id(struct text_stream *s, int32_t id)
{
    struct str piece = tokenizer_piece(s->tokenizer, id);

    if (id == s->open_id && s->phase == PHASE_START) {
        decode_tag(s, id, &s->open, PHASE_REASONING);
        return;
    }
    if (id == s->close_id && s->phase == PHASE_REASONING) {
        decode_tag(s, id, &s->close, PHASE_ANSWER);
        return;
    }
    if (!s->keep_special && tokenizer_is_special(s->tokenizer, id))
        return;
    for (size_t i = 0; i < piece.len; i++)
        decode_byte(s, piece.ptr[i]);
}

static bool in_range(uint64_t offset, struct range r)
{
    return offset >= r.start && offset < r.end;
}

/* Hands out one byte, or drops it where it is a tag or a line break right after one. */
static void release_byte(struct text_stream *s, uint64_t offset, char c, struct text_delta *delta)
{
    bool opened = s->open.start != nowhere;

    if ((opened && offset == s->open.end) || offset == s->close.end)
        s->skip_breaks = true;
    if ((opened && offset < s->open.end) || in_range(offset, s->close))
        return; /* a tag; or the little that comes before the first */
    if (s->skip_breaks && (c == '\n' || c == '\r'))
        return;
    s->skip_breaks = false;
    if (s->split && offset < s->close.start &&
        (opened || s->phase == PHASE_REASONING || s->close.start != nowhere))
        s->reasoning_out[delta->reasoning.len++] = c;
    else
        s->content_out[delta->content.len++] = c;
}

static void release_until(struct text_stream *s, uint64_t end, struct text_delta *delta)
{
    size_t count = (size_t)(end - s->base);

    for (size_t i = 0; i < count; i++)
        release_byte(s, s->base + i, s->text[i], delta);
    memmove(s->text, s->text + count, s->length - count);
    s->length -= count;
    s->base = end;
}

static size_t held_bytes(const struct text_stream *s)
{
    size_t held = 0;

    if (s->phase == PHASE_START)
        return s->length;
    if (s->phase == PHASE_REASONING && s->close_id < 0)
        held = (size_t)s->closing.state;
    for (int i = 0; i < s->stop_count; i++) {
        if ((size_t)s->stops[i].state > held)
            held = (size_t)s->stops[i].state;
    }
    return held < s->length ? held : s->length;
}

static struct text_delta release(struct text_stream *s, bool all)
{
    struct text_delta delta = {{s->reasoning_out, 0}, {s->content_out, 0}};
    uint64_t end = text_end(s);

    if (s->stop_index >= 0)
        end = s->include_stop ? s->stop.end : s->stop.start;
    else if (!all)
        end -= held_bytes(s);
    if (end > s->base)
        release_until(s, end, &delta);
    if (s->stop_index >= 0)
        s->length = 0;
    return delta;
}

/* Counts the id that was just decoded; `before` is the phase it met. */
static void count_id(struct text_stream *s, enum phase before, bool stopped_before)
{
    s->count++;
    if (stopped_before)
        return;
    if (before == PHASE_REASONING)
        s->reasoning_tokens++;
    if (before != PHASE_START)
        return;
    s->undecided++;
    if (s->phase != PHASE_START && s->open.start != nowhere)
        s->reasoning_tokens += s->undecided;
}

static struct text_delta push(struct text_stream *s, int32_t id, bool silent)
{
    enum phase before = s->phase;
    bool stopped_before = s->stop_index >= 0;

    if (!silent)
        decode_id(s, id);
    count_id(s, before, stopped_before);
    return release(s, false);
}

struct text_delta text_stream_push(struct text_stream *s, int32_t id)
{
    return push(s, id, false);
}

struct text_delta text_stream_push_stop_id(struct text_stream *s, int32_t id)
{
    return push(s, id, !(s->keep_special && s->include_stop));
}

struct text_delta text_stream_finish(struct text_stream *s)
{
    s->count--; /* what is still incomplete belongs to the last id */
    flush_partial(s);
    s->count++;
    if (s->phase == PHASE_START)
        s->phase = PHASE_ANSWER;
    return release(s, true);
}

int text_stream_count(const struct text_stream *s)
{
    return s->count;
}

uint64_t text_stream_characters(const struct text_stream *s)
{
    return s->characters;
}

int text_stream_stop_position(const struct text_stream *s)
{
    return s->stop_position;
}

int text_stream_stop_index(const struct text_stream *s)
{
    return s->stop_index;
}

int text_stream_reasoning_tokens(const struct text_stream *s)
{
    return s->reasoning_tokens;
}

bool text_stream_in_reasoning(const struct text_stream *s)
{
    return s->phase == PHASE_REASONING;
}

bool text_prompt_opens_reasoning(struct str prompt)
{
    while (prompt.len > 0 &&
           (prompt.ptr[prompt.len - 1] == '\n' || prompt.ptr[prompt.len - 1] == '\r'))
        prompt.len--;
    return str_ends(prompt, open_tag);
}
