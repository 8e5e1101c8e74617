/* SPDX-License-Identifier: Apache-2.0 */
/* The attempt and the status message of stream.h. The event lines are in stream_event.c. */
#include "wire/stream.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/field.h"

void stream_attempt_write(struct json_writer *w, const struct stream_attempt *a)
{
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, a->seed);
    json_open(w, '{');
    wire_put_id(w, "request_id", a->request_id);
    json_put_u64(w, "attempt", a->attempt);
    json_put_str(w, "tenant", a->tenant);
    json_put_str(w, "key_id", a->key_id);
    json_put_str(w, "model", a->model);
    json_put_str(w, "public_model", a->public_model);
    json_put_str(w, "completion_id", a->completion_id);
    json_put_i64(w, "created", a->created_s);
    json_put_text(w, "seed", seed); /* as text: JSON integers here are signed */
    json_put_u64(w, "price_version", a->price_version);
    json_put_i64(w, "admitted_ms", a->admitted_ms);
    json_put_u64(w, "cache_salt", a->cache_salt >> 1); /* 63 bits are enough, and fit */
    json_put_i64(w, "priority", a->priority);
    json_put_str(w, "digest", a->digest);
    json_put_i64(w, "cached_tokens", a->cached_tokens);
    json_key(w, "output");
    json_open(w, '[');
    for (int i = 0; i < a->output_count; i++)
        json_add_i64(w, a->output[i]);
    json_close(w, ']');
    json_close(w, '}');
}

static int read_output(struct stream_attempt *a, const json_t *object, struct arena *arena,
                       struct err *err)
{
    json_t *ids = NULL;
    int32_t *copy;
    size_t count;
    int r = json_get_array(object, "output", true, &ids, err);

    if (r < 0)
        return r;
    count = json_array_size(ids);
    if (count > STREAM_RESUME_IDS_MAX)
        return err_set(err, ERR_LIMIT, "'output' has %zu ids; the limit is %d", count,
                       STREAM_RESUME_IDS_MAX);
    copy = arena_array(arena, count, sizeof(*copy));
    if (copy == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        json_int_t value = json_integer_value(id);

        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return err_set(err, ERR_INVALID, "'output[%zu]' is not a token id", i);
        copy[i] = (int32_t)value;
    }
    a->output = copy;
    a->output_count = (int)count;
    return 0;
}

static int read_numbers(struct stream_attempt *a, const json_t *object, struct err *err)
{
    int64_t attempt = 0, price = 0, salt = 0, priority = 0;
    struct str seed;
    int r;

    if ((r = json_get_i64(object, "attempt", true, 1, UINT32_MAX, &attempt, err)) < 0 ||
        (r = json_get_i64(object, "created", true, 0, INT64_MAX, &a->created_s, err)) < 0 ||
        (r = json_get_i64(object, "price_version", true, 0, INT64_MAX, &price, err)) < 0 ||
        (r = json_get_i64(object, "admitted_ms", true, 0, INT64_MAX, &a->admitted_ms, err)) < 0 ||
        (r = json_get_i64(object, "cache_salt", true, 0, INT64_MAX, &salt, err)) < 0 ||
        (r = json_get_i64(object, "priority", true, INT32_MIN, INT32_MAX, &priority, err)) < 0 ||
        (r = json_get_i64(object, "cached_tokens", true, -1, INT32_MAX, &a->cached_tokens, err)) <
            0 ||
        (r = json_get_str(object, "seed", true, &seed, err)) < 0)
        return r;
    if (!str_to_u64(seed, &a->seed))
        return err_set(err, ERR_INVALID, "'seed' is not a decimal number in a string");
    a->attempt = (uint32_t)attempt;
    a->price_version = (uint64_t)price;
    a->cache_salt = (uint64_t)salt << 1;
    a->priority = (int)priority;
    return 0;
}

int stream_attempt_read(struct stream_attempt *out, const json_t *object, struct arena *arena,
                        struct err *err)
{
    struct stream_attempt a = {0};
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "'spate' must be an object, not %s",
                       json_type_name(object));
    if ((r = wire_get_id(object, "request_id", &a.request_id, err)) < 0 ||
        (r = wire_get_copy(object, "tenant", arena, &a.tenant, err)) < 0 ||
        (r = wire_get_copy(object, "key_id", arena, &a.key_id, err)) < 0 ||
        (r = wire_get_copy(object, "model", arena, &a.model, err)) < 0 ||
        (r = wire_get_copy(object, "public_model", arena, &a.public_model, err)) < 0 ||
        (r = wire_get_copy(object, "completion_id", arena, &a.completion_id, err)) < 0 ||
        (r = wire_get_copy(object, "digest", arena, &a.digest, err)) < 0 ||
        (r = read_numbers(&a, object, err)) < 0 || (r = read_output(&a, object, arena, err)) < 0)
        return r;
    if (a.tenant.len > USAGE_TENANT_MAX || a.key_id.len > USAGE_KEY_MAX ||
        a.model.len > USAGE_MODEL_MAX)
        return err_set(err, ERR_INVALID, "'tenant', 'key_id' or 'model' is too long");
    *out = a;
    return 0;
}

void stream_status_write(struct json_writer *w, const struct stream_status *s)
{
    json_open(w, '{');
    json_put_text(w, "state", s->state);
    json_put_text(w, "detail", s->detail);
    wire_put_id(w, "run_id", s->run_id);
    json_put_text(w, "digest", s->digest);
    json_put_u64(w, "bytes_done", s->bytes_done);
    json_put_u64(w, "bytes_total", s->bytes_total);
    json_put_u64(w, "slots", s->slots);
    json_put_u64(w, "context_max", s->context_max);
    json_put_u64(w, "running", s->running);
    json_put_u64(w, "waiting", s->waiting);
    json_put_u64(w, "unacknowledged", s->unacknowledged);
    json_put_i64(w, "started_ms", s->started_ms);
    json_put_i64(w, "ready_ms", s->ready_ms);
    json_close(w, '}');
}

int stream_status_read(struct stream_status *out, const json_t *object, struct err *err)
{
    struct stream_status s = {0};
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "an agent's status must be an object, not %s",
                       json_type_name(object));
    if ((r = wire_get_text(object, "state", s.state, sizeof(s.state), err)) < 0 ||
        (r = wire_get_text(object, "detail", s.detail, sizeof(s.detail), err)) < 0 ||
        (r = wire_get_id(object, "run_id", &s.run_id, err)) < 0 ||
        (r = wire_get_text(object, "digest", s.digest, sizeof(s.digest), err)) < 0 ||
        (r = wire_get_u64(object, "bytes_done", &s.bytes_done, err)) < 0 ||
        (r = wire_get_u64(object, "bytes_total", &s.bytes_total, err)) < 0 ||
        (r = wire_get_u64(object, "slots", &s.slots, err)) < 0 ||
        (r = wire_get_u64(object, "context_max", &s.context_max, err)) < 0 ||
        (r = wire_get_u64(object, "running", &s.running, err)) < 0 ||
        (r = wire_get_u64(object, "waiting", &s.waiting, err)) < 0 ||
        (r = wire_get_u64(object, "unacknowledged", &s.unacknowledged, err)) < 0 ||
        (r = json_get_i64(object, "started_ms", true, 0, INT64_MAX, &s.started_ms, err)) < 0 ||
        (r = json_get_i64(object, "ready_ms", true, 0, INT64_MAX, &s.ready_ms, err)) < 0)
        return r;
    *out = s;
    return 0;
}

void stream_name_format(char out[STREAM_NAME_MAX], struct id128 request_id, uint32_t attempt)
{
    char id[ID_TEXT_LEN + 1];

    id_format(request_id, id);
    snprintf(out, STREAM_NAME_MAX, "{\"request_id\":\"%s\",\"attempt\":%" PRIu32 "}", id, attempt);
}

int stream_name_read(const json_t *object, struct id128 *request_id, uint32_t *attempt,
                     struct err *err)
{
    struct str id;
    int64_t number = 0;
    int r;

    if ((r = json_get_str(object, "request_id", true, &id, err)) < 0 ||
        (r = json_get_i64(object, "attempt", true, 1, UINT32_MAX, &number, err)) < 0)
        return r;
    if (!id_parse(id, request_id))
        return err_set(err, ERR_INVALID, "'request_id' is not a 26-character id");
    *attempt = (uint32_t)number;
    return 0;
}
