/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records: see usage.h. The rule of charging is here, once, for the ledger and for the tests.
 */
#include "wire/usage.h"

#include <string.h>

#include "wire/field.h"

static const char *const end_names[USAGE_END_COUNT] = {
#define USAGE_END_NAME(name, text) [name] = text,
    USAGE_ENDS(USAGE_END_NAME)
#undef USAGE_END_NAME
};

const char *usage_end_name(enum usage_end end)
{
    return (unsigned)end < USAGE_END_COUNT ? end_names[end] : end_names[USAGE_END_OURS];
}

void usage_write(struct json_writer *w, const struct usage_record *r)
{
    json_open(w, '{');
    wire_put_id(w, "request_id", r->request_id);
    json_put_u64(w, "attempt", r->attempt);
    wire_put_id(w, "run_id", r->run_id);
    json_put_text(w, "tenant", r->tenant);
    json_put_text(w, "key_id", r->key_id);
    json_put_text(w, "model", r->model);
    json_put_text(w, "pod", r->pod);
    json_put_u64(w, "price_version", r->price_version);
    json_put_i64(w, "admitted_ms", r->admitted_ms);
    json_put_i64(w, "updated_ms", r->updated_ms);
    json_put_u64(w, "start_position", r->start_position);
    json_put_u64(w, "input_computed", r->counts.input_computed);
    json_put_u64(w, "input_cached", r->counts.input_cached);
    json_put_u64(w, "output", r->counts.output);
    json_put_u64(w, "reasoning", r->counts.reasoning);
    json_put_u64(w, "recomputed", r->counts.recomputed);
    json_put_u64(w, "charge_end", r->charge_end);
    json_put_u64(w, "delivered", r->delivered);
    json_put_bool(w, "counts_final", r->counts_final);
    json_put_bool(w, "delivered_final", r->delivered_final);
    json_put_bool(w, "request_final", r->request_final);
    json_put_bool(w, "recovered", r->recovered);
    json_put_text(w, "ended_by", usage_end_name(r->ended_by));
    json_close(w, '}');
}

/* Names go into reports, files and log lines: printable ASCII without quotes only. */
static int get_name(const json_t *object, const char *key, char *out, size_t max, struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    if (text.len > max)
        return err_set(err, ERR_INVALID, "'%s' is longer than %zu characters", key, max);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
            return err_set(err, ERR_INVALID, "'%s' has a character that names may not have", key);
    }
    memset(out, 0, max + 1);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    return 0;
}

static int get_count(const json_t *object, const char *key, uint64_t *out, struct err *err)
{
    enum { COUNT_MAX_BITS = 53 };
    int64_t value = 0;
    int r = json_get_i64(object, key, true, 0, (int64_t)1 << COUNT_MAX_BITS, &value, err);

    if (r == 0)
        *out = (uint64_t)value;
    return r;
}

static int get_end(const json_t *object, enum usage_end *out, struct err *err)
{
    struct str text;
    int r = json_get_str(object, "ended_by", true, &text, err);

    if (r < 0)
        return r;
    for (int i = 0; i < USAGE_END_COUNT; i++) {
        if (str_is(text, end_names[i])) {
            *out = (enum usage_end)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "'ended_by' must be none, model, client or ours");
}

static int read_identity(struct usage_record *r, const json_t *object, struct err *err)
{
    uint64_t attempt = 0;
    uint64_t when = 0;
    int result;

    if ((result = wire_get_id(object, "request_id", &r->request_id, err)) < 0 ||
        (result = get_count(object, "attempt", &attempt, err)) < 0 ||
        (result = wire_get_id(object, "run_id", &r->run_id, err)) < 0 ||
        (result = get_name(object, "tenant", r->tenant, USAGE_TENANT_MAX, err)) < 0 ||
        (result = get_name(object, "key_id", r->key_id, USAGE_KEY_MAX, err)) < 0 ||
        (result = get_name(object, "model", r->model, USAGE_MODEL_MAX, err)) < 0 ||
        (result = get_name(object, "pod", r->pod, USAGE_POD_MAX, err)) < 0 ||
        (result = get_count(object, "price_version", &r->price_version, err)) < 0 ||
        (result = get_count(object, "admitted_ms", &when, err)) < 0)
        return result;
    if (attempt < 1 || attempt > UINT32_MAX)
        return err_set(err, ERR_INVALID, "'attempt' must be from 1");
    r->attempt = (uint32_t)attempt;
    r->admitted_ms = (int64_t)when;
    return 0;
}

static int read_counts(struct usage_record *r, const json_t *object, struct err *err)
{
    uint64_t when = 0;
    int result;

    if ((result = get_count(object, "updated_ms", &when, err)) < 0 ||
        (result = get_count(object, "start_position", &r->start_position, err)) < 0 ||
        (result = get_count(object, "input_computed", &r->counts.input_computed, err)) < 0 ||
        (result = get_count(object, "input_cached", &r->counts.input_cached, err)) < 0 ||
        (result = get_count(object, "output", &r->counts.output, err)) < 0 ||
        (result = get_count(object, "reasoning", &r->counts.reasoning, err)) < 0 ||
        (result = get_count(object, "recomputed", &r->counts.recomputed, err)) < 0 ||
        (result = get_count(object, "charge_end", &r->charge_end, err)) < 0 ||
        (result = get_count(object, "delivered", &r->delivered, err)) < 0)
        return result;
    r->updated_ms = (int64_t)when;
    return 0;
}

static int read_flags(struct usage_record *r, const json_t *object, struct err *err)
{
    int result;

    if ((result = json_get_bool(object, "counts_final", true, &r->counts_final, err)) < 0 ||
        (result = json_get_bool(object, "delivered_final", true, &r->delivered_final, err)) < 0 ||
        (result = json_get_bool(object, "request_final", true, &r->request_final, err)) < 0 ||
        (result = json_get_bool(object, "recovered", true, &r->recovered, err)) < 0)
        return result;
    return get_end(object, &r->ended_by, err);
}

/*
 * What must hold within a record. `delivered` may run ahead of the agent's counts in one message
 * only if the message is wrong: ids travel with the counts that cover them.
 */
static int check_consistent(const struct usage_record *r, struct err *err)
{
    uint64_t computed_end = r->start_position + r->counts.output;

    if (r->counts.reasoning > r->counts.output)
        return err_set(err, ERR_INVALID, "'reasoning' is more than 'output'");
    if (r->charge_end != 0 && (r->charge_end < r->start_position || r->charge_end > computed_end))
        return err_set(err, ERR_INVALID, "'charge_end' is outside of the attempt's positions");
    if (r->delivered != 0 && (r->delivered < r->start_position || r->delivered > computed_end))
        return err_set(err, ERR_INVALID, "'delivered' is outside of the attempt's positions");
    return 0;
}

int usage_read(struct usage_record *out, const json_t *object, struct err *err)
{
    struct usage_record record = {0};
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "a usage record must be an object, not %s",
                       json_type_name(object));
    if ((r = read_identity(&record, object, err)) < 0 ||
        (r = read_counts(&record, object, err)) < 0 || (r = read_flags(&record, object, err)) < 0 ||
        (r = check_consistent(&record, err)) < 0)
        return r;
    *out = record;
    return 0;
}

static bool names_differ(const char *known, const char *snapshot)
{
    return known[0] != '\0' && snapshot[0] != '\0' && strcmp(known, snapshot) != 0;
}

/* A record recovered from a counter file knows counts only. */
static bool knows_admission(const struct usage_record *r)
{
    return r->admitted_ms != 0;
}

static int contradiction(const struct usage_record *known, const struct usage_record *s,
                         struct err *err)
{
    const char *what = NULL;

    if (id_compare(known->request_id, s->request_id) != 0 || known->attempt != s->attempt)
        what = "identity";
    else if (!id_is_zero(known->run_id) && !id_is_zero(s->run_id) &&
             id_compare(known->run_id, s->run_id) != 0)
        what = "run";
    else if (names_differ(known->tenant, s->tenant))
        what = "tenant";
    else if (names_differ(known->key_id, s->key_id))
        what = "key";
    else if (names_differ(known->model, s->model))
        what = "model";
    else if (knows_admission(known) && knows_admission(s) &&
             (known->price_version != s->price_version || known->admitted_ms != s->admitted_ms))
        what = "admission";
    else if (known->start_position != s->start_position)
        what = "start position";
    if (what == NULL)
        return 0;
    return err_set(err, ERR_INVALID, "the snapshot contradicts what is known of the attempt: %s",
                   what);
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct usage_counts higher_counts(const struct usage_counts *a, const struct usage_counts *b)
{
    return (struct usage_counts){
        .input_computed = higher(a->input_computed, b->input_computed),
        .input_cached = higher(a->input_cached, b->input_cached),
        .output = higher(a->output, b->output),
        .reasoning = higher(a->reasoning, b->reasoning),
        .recomputed = higher(a->recomputed, b->recomputed),
    };
}

static bool counts_equal(const struct usage_counts *a, const struct usage_counts *b)
{
    return a->input_computed == b->input_computed && a->input_cached == b->input_cached &&
           a->output == b->output && a->reasoning == b->reasoning && a->recomputed == b->recomputed;
}

static void take_name(char *known, const char *snapshot, size_t size)
{
    if (known[0] == '\0')
        memcpy(known, snapshot, size);
}

/* The gateway's word (delivered_final) beats the agent's; among equals the first stays. */
static enum usage_end merged_end(const struct usage_record *known, const struct usage_record *s)
{
    if (known->ended_by == USAGE_END_NONE)
        return s->ended_by;
    if (s->delivered_final && !known->delivered_final && s->ended_by != USAGE_END_NONE)
        return s->ended_by;
    return known->ended_by;
}

static bool records_equal(const struct usage_record *a, const struct usage_record *b)
{
    return counts_equal(&a->counts, &b->counts) && id_compare(a->run_id, b->run_id) == 0 &&
           a->charge_end == b->charge_end && a->delivered == b->delivered &&
           a->counts_final == b->counts_final && a->delivered_final == b->delivered_final &&
           a->request_final == b->request_final && a->recovered == b->recovered &&
           a->ended_by == b->ended_by && strcmp(a->pod, b->pod) == 0 &&
           a->admitted_ms == b->admitted_ms && strcmp(a->tenant, b->tenant) == 0 &&
           strcmp(a->key_id, b->key_id) == 0 && strcmp(a->model, b->model) == 0;
}

/* Whether final counts may stand beside the merged ones. A counter file knows no reasoning, so a
 * recovered record's share of it may grow within the output. */
static bool final_counts_hold(const struct usage_record *final, struct usage_counts merged)
{
    if (final->recovered)
        merged.reasoning = final->counts.reasoning;
    return !final->counts_final || counts_equal(&final->counts, &merged);
}

int usage_merge(struct usage_record *known, const struct usage_record *s, struct err *err)
{
    struct usage_record merged = *known;
    int r = contradiction(known, s, err);

    if (r < 0)
        return r;
    merged.counts = higher_counts(&known->counts, &s->counts);
    if (!final_counts_hold(known, merged.counts) || !final_counts_hold(s, merged.counts))
        return err_set(err, ERR_INVALID,
                       "the snapshot contradicts what is known of the attempt: final counts");
    if (id_is_zero(known->run_id))
        merged.run_id = s->run_id;
    if (!knows_admission(known)) {
        merged.admitted_ms = s->admitted_ms;
        merged.price_version = s->price_version;
    }
    take_name(merged.tenant, s->tenant, sizeof(merged.tenant));
    take_name(merged.key_id, s->key_id, sizeof(merged.key_id));
    take_name(merged.model, s->model, sizeof(merged.model));
    take_name(merged.pod, s->pod, sizeof(merged.pod));
    merged.charge_end = higher(known->charge_end, s->charge_end);
    merged.delivered = higher(known->delivered, s->delivered);
    merged.ended_by = merged_end(known, s);
    merged.counts_final = known->counts_final || s->counts_final;
    merged.delivered_final = known->delivered_final || s->delivered_final;
    merged.request_final = known->request_final || s->request_final;
    merged.recovered = known->recovered || s->recovered;
    if (records_equal(known, &merged))
        return 0;
    if (s->updated_ms > known->updated_ms)
        merged.updated_ms = s->updated_ms;
    *known = merged;
    return 1;
}

void usage_charge_attempt(struct usage_charge *out, struct usage_cursor *cursor,
                          const struct usage_record *r)
{
    uint64_t computed_end = r->start_position + r->counts.output;
    uint64_t reasoning_end = r->start_position + r->counts.reasoning;
    bool agents_end = r->delivered_final && r->counts_final &&
                      (r->ended_by == USAGE_END_MODEL || r->ended_by == USAGE_END_CLIENT);
    uint64_t to = agents_end && r->charge_end != 0 ? r->charge_end : r->delivered;
    uint64_t from = higher(cursor->position, r->start_position);
    uint64_t boundary;

    if (to > computed_end)
        to = computed_end;
    *out = (struct usage_charge){.from = from, .to = from};
    if (to <= from)
        return;
    out->to = to;
    boundary = reasoning_end < from ? from : reasoning_end > to ? to : reasoning_end;
    out->reasoning = boundary - from;
    out->visible = to - boundary;
    if (!cursor->input_charged) {
        out->input_computed = r->counts.input_computed;
        out->input_cached = r->counts.input_cached;
        cursor->input_charged = true;
    }
    cursor->position = to;
}
