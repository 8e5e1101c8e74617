/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PriceBooks and their versions. What a PriceBook says at the moment is one version: it gets a
 * number when it comes into force, recorded in the book's status; then the ledger gets it; then,
 * recorded as well, gateways are told its number. A later effectiveFrom makes the next version at
 * its time.
 */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "crd/tenant.h"
#include "operator/common/must.h"
#include "wire/prices.h"

enum {
    PRICES_ARENA_BYTES = 4 << 20,
    PRICES_REST_MS = 10 * 1000,
    PRICES_LOST_MS = 60 * 1000, /* before words are written again of which nothing was kept */
    UNTIL_MAX = 128,
};

struct world_book *prices_book(const struct reconciler *r, struct str name)
{
    return map_get(&r->world.books, name);
}

static void read_status(struct world_book *book)
{
    struct crd_price_book_status status = {0};
    struct arena arena;

    arena_init(&arena, PRICES_ARENA_BYTES);
    if (crd_price_book_status_read(&status, book->object, &arena, NULL) == 0) {
        book->version = status.version;
        book->posted_version = status.posted_version;
    }
    ready_read(&book->ready, status.observed_generation, status.conditions, status.condition_count);
    memset(book->digest, 0, sizeof(book->digest));
    if (status.digest.len == SHA256_HEX_LEN)
        memcpy(book->digest, status.digest.ptr, SHA256_HEX_LEN);
    arena_fini(&arena);
}

void prices_set(struct reconciler *r, struct crd_object *object, bool deleted)
{
    struct world_book *book = prices_book(r, str_of(object->name));
    bool was_in_force;

    if (deleted) {
        map_remove(&r->world.books, str_of(object->name));
        world_book_free(book);
        tenants_of_book_add(r, str_of(object->name));
        return;
    }
    if (book == NULL) {
        book = must(mem_alloc(sizeof(*book)));
        if (map_put(&r->world.books, str_of(object->name), book, NULL) < 0) {
            mem_free(book);
            log_error("too many price books: this one has no effect",
                      LOG_STR("price_book", object->name));
            return;
        }
        tenants_of_book_add(r, str_of(object->name));
    }
    was_in_force = book->posted_version > 0;
    crd_object_ref(object);
    crd_object_unref(book->object);
    book->object = object;
    book->put_ms = 0; /* seen: the next write may go out */
    book->put_ticket = 0;
    read_status(book);
    if (was_in_force != (book->posted_version > 0))
        tenants_of_book_add(r, str_of(object->name));
}

uint64_t prices_version(const struct reconciler *r, struct str name)
{
    const struct world_book *book = name.len > 0 ? prices_book(r, name) : NULL;

    return book != NULL ? (uint64_t)book->posted_version : 0;
}

/* --- what is in force ------------------------------------------------------------------------- */

/* A whole name fits closer than a namespace, that closer than everything: the first line counts. */
static int closeness(struct str model)
{
    if (str_is(model, "*"))
        return 2;
    return str_ends(model, STR("/*")) ? 1 : 0;
}

static int by_closeness(const void *a, const void *b)
{
    struct str left = str_of(((const struct price_line *)a)->model);
    struct str right = str_of(((const struct price_line *)b)->model);
    int difference = closeness(left) - closeness(right);

    return difference != 0 ? difference : str_compare(left, right);
}

/* The latest row for its model that holds at `now_ms`. */
static bool is_latest(const struct crd_price_book_spec *spec, int index, int64_t now_ms)
{
    const struct crd_price *price = &spec->prices[index];

    if (price->effective_from_ms > now_ms)
        return false;
    for (int i = 0; i < spec->price_count; i++) {
        const struct crd_price *other = &spec->prices[i];

        if (str_eq(other->model, price->model) && other->effective_from_ms <= now_ms &&
            other->effective_from_ms > price->effective_from_ms)
            return false;
    }
    return true;
}

/* Fills *out (the caller ends it) and says when the next change is due; INT64_MAX: never. */
static int64_t in_force(const struct crd_price_book_spec *spec, int64_t now_ms, struct prices *out)
{
    int64_t next_ms = INT64_MAX;

    out->lines = must(mem_array((size_t)spec->price_count + 1, sizeof(*out->lines)));
    for (int i = 0; i < spec->price_count; i++) {
        const struct crd_price *price = &spec->prices[i];
        struct price_line *line = &out->lines[out->line_count];

        if (price->effective_from_ms > now_ms && price->effective_from_ms < next_ms)
            next_ms = price->effective_from_ms;
        if (!is_latest(spec, i, now_ms))
            continue;
        out->line_count++;
        snprintf(line->model, sizeof(line->model), "%.*s", STR_ARG(price->model));
        line->nano_usd[PRICE_INPUT] = price->input_nano_usd;
        line->nano_usd[PRICE_CACHED] = price->cached_input_nano_usd;
        line->nano_usd[PRICE_VISIBLE] = price->output_nano_usd;
        line->nano_usd[PRICE_REASONING] = price->reasoning_nano_usd;
        if (price->effective_from_ms > out->effective_ms)
            out->effective_ms = price->effective_from_ms;
    }
    qsort(out->lines, (size_t)out->line_count, sizeof(*out->lines), by_closeness);
    return next_ms;
}

static void write_json(const struct prices *prices, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    prices_write(&w, prices);
    (void)must(out->failed ? NULL : out->ptr);
}

/* Numbers follow the time, so that none comes twice although books may be deleted. */
static int64_t fresh_version(const struct reconciler *r)
{
    int64_t version = clock_wall_ms(r->platform->clock) / 1000;
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.books, &at)) != NULL;) {
        const struct world_book *book = entry->value;

        if (book->version >= version)
            version = book->version + 1;
    }
    return version;
}

/* --- what is said of it ----------------------------------------------------------------------- */

/* What holds in the place of a version that is not in force. */
static void say_until(char out[UNTIL_MAX], int64_t posted_version)
{
    if (posted_version > 0)
        snprintf(out, UNTIL_MAX, "the prices of version %lld hold", (long long)posted_version);
    else
        snprintf(out, UNTIL_MAX, "tokens are unpriced");
}

static void say(struct ready_next *next, const struct world_book *book, int64_t version,
                int64_t posted_version)
{
    char until[UNTIL_MAX];

    say_until(until, posted_version);
    if (posted_version == version)
        ready_say(next, CRD_TRUE, "Ready", "the ledger has version %lld, which is in force",
                  (long long)version);
    else if (book->refusal == NULL)
        ready_say(next, CRD_UNKNOWN, "Posting", "version %lld goes to the ledger; until then %s",
                  (long long)version, until);
    else if (book->refused)
        ready_say(next, CRD_FALSE, "LedgerRefused",
                  "the ledger refuses version %lld: %s. Correct spec.prices; until then %s",
                  (long long)version, book->refusal, until);
    else
        ready_say(next, CRD_FALSE, "LedgerNotReached",
                  "version %lld can't be given to the ledger: %s. It is tried again; until then %s",
                  (long long)version, book->refusal, until);
}

/* --- the steps -------------------------------------------------------------------------------- */

static void put_status(struct reconciler *r, const char *key, struct world_book *book,
                       int64_t version, const char *digest, int64_t posted_version)
{
    struct ready_next next;
    struct crd_price_book_status status = {
        .observed_generation = book->object->generation,
        .version = version,
        .digest = str_of(digest),
        .posted_version = posted_version,
        .conditions = &next.condition,
        .condition_count = 1,
    };
    json_t *tree = NULL;

    say(&next, book, version, posted_version);
    ready_stamp(&next, &book->ready, status.observed_generation, clock_wall_ms(r->platform->clock));
    (void)must(crd_price_book_status_write(&status, &tree, NULL) == 0 ? tree : NULL);
    book->put_ms = now_of(r);
    book->put_ticket = reconciler_call(r, CALL_PRICES_PUT, key, STR_NONE);
    r->platform->ops->status_put(r->platform, book->put_ticket, book->object, tree);
    json_decref(tree);
}

/* False: the status says all this already, or is of a definition that has no room for it. */
static bool has_news(struct reconciler *r, const char *key, const struct world_book *book,
                     int64_t posted_version)
{
    struct ready_next next;

    if (posted_version != book->posted_version)
        return true;
    say(&next, book, book->version, posted_version);
    if (ready_is_seen(&next, &book->ready, book->object->generation))
        return false;
    if (book->lost_ms == 0 || now_of(r) - book->lost_ms >= PRICES_LOST_MS)
        return true;
    queue_add_at(&r->queue, str_of(key), book->lost_ms + PRICES_LOST_MS);
    return false;
}

static void post(struct reconciler *r, const char *key, struct world_book *book,
                 struct prices *prices)
{
    CLEANUP(buf_fini) struct buf text = {0};

    if (book->post_ticket != 0)
        return;
    buf_init(&text, PLATFORM_PRICES_MAX);
    prices->id = (uint64_t)book->version;
    write_json(prices, &text);
    book->posting_version = book->version;
    book->post_ticket = reconciler_call(r, CALL_PRICES_POST, key, STR_NONE);
    r->platform->ops->prices_post(r->platform, book->post_ticket, buf_str(&text));
}

static void advance(struct reconciler *r, const char *key, struct world_book *book,
                    struct prices *prices)
{
    char digest[SHA256_HEX_LEN + 1];
    CLEANUP(buf_fini) struct buf text = {0};
    int64_t posted;

    buf_init(&text, PLATFORM_PRICES_MAX);
    write_json(prices, &text); /* without its number */
    sha256_hex(buf_str(&text), digest);
    if (book->version == 0 || strcmp(digest, book->digest) != 0) {
        world_text_set(&book->refusal, STR_NONE);
        put_status(r, key, book, fresh_version(r), digest, book->posted_version);
        return;
    }
    posted = book->accepted_version == book->version ? book->version : book->posted_version;
    if (has_news(r, key, book, posted))
        put_status(r, key, book, book->version, digest, posted);
    else if (posted != book->version)
        post(r, key, book, prices);
}

void pass_prices(struct reconciler *r, const char *key)
{
    struct str name = str_slice(str_of(key), strlen(PRICES_KEY_PREFIX), strlen(key));
    struct world_book *book = prices_book(r, name);
    int64_t wall_ms = clock_wall_ms(r->platform->clock);
    struct crd_price_book_spec spec = {0};
    struct prices prices = {0};
    struct err err = {0};
    struct arena arena;
    int64_t next_ms;

    if (book == NULL) {
        queue_forget(&r->queue, str_of(key)); /* it is gone, and so are its failures */
        return;
    }
    if (book->put_ms > 0 && now_of(r) - book->put_ms < PRICES_REST_MS) {
        queue_add_at(&r->queue, str_of(key), book->put_ms + PRICES_REST_MS);
        return;
    }
    arena_init(&arena, PRICES_ARENA_BYTES);
    if (crd_price_book_spec_read(&spec, book->object, &arena, &err) < 0) {
        log_error("stored price book can't be used; apply it again",
                  LOG_STR("price_book", book->object->name), LOG_ERR(&err));
    } else {
        snprintf(prices.name, sizeof(prices.name), "%s", book->object->name);
        next_ms = in_force(&spec, wall_ms, &prices);
        if (next_ms != INT64_MAX)
            queue_add_at(&r->queue, str_of(key), now_of(r) + (next_ms - wall_ms));
        advance(r, key, book, &prices);
        prices_fini(&prices);
    }
    arena_fini(&arena);
}

/* --- results ---------------------------------------------------------------------------------- */

static void put_ended(struct reconciler *r, struct world_book *book,
                      const struct platform_result *result)
{
    book->put_ticket = 0;
    book->lost_ms = 0;
    if (result->code < 0)
        book->put_ms = 0;
    else if (str_is(result->resource_version, book->object->resource_version))
        book->lost_ms = now_of(r);
}

static void post_ended(struct world_book *book, const struct platform_result *result)
{
    book->post_ticket = 0;
    world_text_set(&book->refusal, result->code < 0 ? result->message : STR_NONE);
    book->refused = result->code == -ERR_INVALID;
    if (result->code == 0)
        book->accepted_version = book->posting_version;
}

void prices_result(struct reconciler *r, const struct call *call,
                   const struct platform_result *result)
{
    struct world_book *book =
        prices_book(r, str_slice(str_of(call->key), strlen(PRICES_KEY_PREFIX), strlen(call->key)));

    if (book == NULL)
        return;
    if (call->kind == CALL_PRICES_PUT && book->put_ticket == call->ticket)
        put_ended(r, book, result);
    else if (call->kind == CALL_PRICES_POST && book->post_ticket == call->ticket)
        post_ended(book, result);
    if (result->code < 0)
        return;
    if (book->refusal == NULL) /* else a status that says so would end its back-off */
        queue_forget(&r->queue, str_of(call->key));
    queue_add(&r->queue, str_of(call->key));
}
