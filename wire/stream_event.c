/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `spate:` lines of a stream: see stream.h. CHUNK and HEARTBEAT come once a token and once a
 * second on thousands of streams, so they are read by hand, in the one spelling that the writer
 * produces; the rare kinds go through the JSON reader.
 */
#include <string.h>

#include "base/json.h"
#include "wire/field.h"
#include "wire/stream.h"

static void put_counts(struct json_writer *w, const struct usage_counts *c)
{
    json_key(w, "c");
    json_open(w, '[');
    json_add_u64(w, c->input_computed);
    json_add_u64(w, c->input_cached);
    json_add_u64(w, c->output);
    json_add_u64(w, c->reasoning);
    json_add_u64(w, c->recomputed);
    json_close(w, ']');
}

static void put_chunk(struct json_writer *w, const struct stream_event *e)
{
    json_put_u64(w, "p", e->position);
    json_key(w, "ids");
    json_open(w, '[');
    for (int i = 0; i < e->id_count; i++)
        json_add_i64(w, e->ids[i]);
    json_close(w, ']');
    put_counts(w, &e->counts);
}

static void put_start(struct json_writer *w, const struct stream_event *e)
{
    json_key(w, "start");
    json_open(w, '{');
    wire_put_id(w, "run", e->run_id);
    json_put_u64(w, "prompt", e->prompt_tokens);
    json_put_text(w, "digest", e->digest);
    json_close(w, '}');
}

static void put_heartbeat(struct json_writer *w, const struct stream_event *e)
{
    json_key(w, "hb");
    json_open(w, '[');
    json_add_u64(w, e->steps);
    json_add_u64(w, e->running);
    json_add_u64(w, e->waiting);
    json_close(w, ']');
}

static void put_end(struct json_writer *w, const struct stream_event *e)
{
    json_key(w, "end");
    json_open(w, '{');
    json_put_text(w, "by", usage_end_name(e->ended_by));
    json_put_text(w, "finish", e->finish);
    json_put_u64(w, "charge_end", e->charge_end);
    put_counts(w, &e->counts);
    json_close(w, '}');
}

void stream_event_write(struct buf *out, const struct stream_event *e)
{
    struct json_writer w;

    buf_append_text(out, "spate: ");
    json_writer_init(&w, out);
    json_open(&w, '{');
    switch (e->kind) {
    case STREAM_START:
        put_start(&w, e);
        break;
    case STREAM_CHUNK:
        put_chunk(&w, e);
        break;
    case STREAM_HEARTBEAT:
        put_heartbeat(&w, e);
        break;
    case STREAM_USAGE:
        json_put_bool(&w, "usage", true);
        break;
    case STREAM_END:
        put_end(&w, e);
        break;
    }
    json_close(&w, '}');
    buf_append_char(out, '\n');
}

/* A cursor over the text; every step returns false where the text is not as expected. */
static bool take(struct str *s, const char *text)
{
    struct str prefix = str_of(text);

    if (!str_starts(*s, prefix))
        return false;
    *s = (struct str){s->ptr + prefix.len, s->len - prefix.len};
    return true;
}

static bool take_u64(struct str *s, uint64_t *out)
{
    size_t digits = 0;

    while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9')
        digits++;
    if (!str_to_u64(str_slice(*s, 0, digits), out))
        return false;
    *s = (struct str){s->ptr + digits, s->len - digits};
    return true;
}

static bool take_ids(struct str *s, struct stream_event *e)
{
    if (!take(s, "["))
        return false;
    if (take(s, "]"))
        return true;
    do {
        uint64_t id;

        if (e->id_count == STREAM_IDS_MAX || !take_u64(s, &id) || id > INT32_MAX)
            return false;
        e->ids[e->id_count++] = (int32_t)id;
    } while (take(s, ","));
    return take(s, "]");
}

static bool take_counts(struct str *s, struct usage_counts *c)
{
    return take(s, "[") && take_u64(s, &c->input_computed) && take(s, ",") &&
           take_u64(s, &c->input_cached) && take(s, ",") && take_u64(s, &c->output) &&
           take(s, ",") && take_u64(s, &c->reasoning) && take(s, ",") &&
           take_u64(s, &c->recomputed) && take(s, "]") && c->reasoning <= c->output;
}

static bool read_chunk(struct stream_event *e, struct str s)
{
    e->kind = STREAM_CHUNK;
    return take(&s, "{\"p\":") && take_u64(&s, &e->position) && take(&s, ",\"ids\":") &&
           take_ids(&s, e) && take(&s, ",\"c\":") && take_counts(&s, &e->counts) && take(&s, "}") &&
           s.len == 0;
}

static bool read_heartbeat(struct stream_event *e, struct str s)
{
    e->kind = STREAM_HEARTBEAT;
    return take(&s, "{\"hb\":[") && take_u64(&s, &e->steps) && take(&s, ",") &&
           take_u64(&s, &e->running) && take(&s, ",") && take_u64(&s, &e->waiting) &&
           take(&s, "]}") && s.len == 0;
}

static int copy_text(const json_t *object, const char *key, char *out, size_t size, struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    if (text.len >= size)
        return err_set(err, ERR_PROTOCOL, "'%s' is longer than %zu bytes", key, size - 1);
    memset(out, 0, size);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    return 0;
}

static int read_start(struct stream_event *e, const json_t *start, struct err *err)
{
    struct str run;
    int64_t prompt = 0;
    int r;

    e->kind = STREAM_START;
    if ((r = json_get_str(start, "run", true, &run, err)) < 0 ||
        (r = json_get_i64(start, "prompt", true, 0, INT32_MAX, &prompt, err)) < 0 ||
        (r = copy_text(start, "digest", e->digest, sizeof(e->digest), err)) < 0)
        return r;
    if (!id_parse(run, &e->run_id))
        return err_set(err, ERR_PROTOCOL, "'run' is not a 26-character id");
    e->prompt_tokens = (uint64_t)prompt;
    return 0;
}

static int counts_from_json(struct usage_counts *out, const json_t *array, struct err *err)
{
    uint64_t *const fields[] = {&out->input_computed, &out->input_cached, &out->output,
                                &out->reasoning, &out->recomputed};

    if (json_array_size(array) != 5)
        return err_set(err, ERR_PROTOCOL, "'c' must have five counts");
    for (size_t i = 0; i < 5; i++) {
        const json_t *value = json_array_get(array, i);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return err_set(err, ERR_PROTOCOL, "'c[%zu]' is not a count", i);
        *fields[i] = (uint64_t)json_integer_value(value);
    }
    if (out->reasoning > out->output)
        return err_set(err, ERR_PROTOCOL, "'c' has more reasoning than output");
    return 0;
}

static int read_end(struct stream_event *e, const json_t *end, struct err *err)
{
    json_t *counts = NULL;
    struct str by;
    int64_t charge_end = 0;
    int r;

    e->kind = STREAM_END;
    if ((r = json_get_str(end, "by", true, &by, err)) < 0 ||
        (r = copy_text(end, "finish", e->finish, sizeof(e->finish), err)) < 0 ||
        (r = json_get_i64(end, "charge_end", true, 0, INT64_MAX, &charge_end, err)) < 0 ||
        (r = json_get_array(end, "c", true, &counts, err)) < 0 ||
        (r = counts_from_json(&e->counts, counts, err)) < 0)
        return r;
    e->charge_end = (uint64_t)charge_end;
    for (int i = 0; i < USAGE_END_COUNT; i++) {
        if (str_is(by, usage_end_name((enum usage_end)i))) {
            e->ended_by = (enum usage_end)i;
            return 0;
        }
    }
    return err_set(err, ERR_PROTOCOL, "'by' must be none, model, client or ours");
}

static int read_rare(struct stream_event *e, struct str json, struct err *err)
{
    static const struct json_limits limits = {.max_bytes = 4096, .max_depth = 4};
    json_auto_t *tree = NULL;
    json_t *object = NULL;
    bool usage = false;
    int r = json_read(&tree, json, &limits, "stream event", err);

    if (r < 0)
        return r;
    if (json_get_object(tree, "start", false, &object, NULL) == 0)
        return read_start(e, object, err);
    if (json_get_object(tree, "end", false, &object, NULL) == 0)
        return read_end(e, object, err);
    if (json_get_bool(tree, "usage", false, &usage, NULL) == 0 && usage) {
        e->kind = STREAM_USAGE;
        return 0;
    }
    return err_set(err, ERR_PROTOCOL, "stream event of an unknown kind");
}

int stream_event_read(struct stream_event *out, struct str json, struct err *err)
{
    out->id_count = 0;
    if (str_starts(json, STR("{\"p\":"))) {
        if (!read_chunk(out, json))
            return err_set(err, ERR_PROTOCOL, "stream chunk is malformed");
        return 0;
    }
    if (str_starts(json, STR("{\"hb\":"))) {
        if (!read_heartbeat(out, json))
            return err_set(err, ERR_PROTOCOL, "stream heartbeat is malformed");
        return 0;
    }
    return read_rare(out, json, err);
}
