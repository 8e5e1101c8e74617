/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Price versions. What a PriceBook says at the moment is one version: it gets a number when it
 * comes into force, recorded in the book's status; then the ledger gets it; then, recorded as well,
 * gateways are told its number. A later effectiveFrom makes the next version at its time.
 */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "crd/tenant.h"
#include "operator/common/must.h"
#include "wire/prices.h"

enum { PRICES_ARENA_BYTES = 4 << 20, PRICES_REST_MS = 10 * 1000 };

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
    memset(book->digest, 0, sizeof(book->digest));
    if (status.digest.len == SHA256_HEX_LEN)
        memcpy(book->digest, status.digest.ptr, SHA256_HEX_LEN);
    arena_fini(&arena);
}

void prices_set(struct reconciler *r, struct crd_object *object, bool deleted)
{
    struct world_book *book = prices_book(r, str_of(object->name));

    if (deleted) {
        map_remove(&r->world.books, str_of(object->name));
        world_book_free(book);
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
    }
    crd_object_ref(object);
    crd_object_unref(book->object);
    book->object = object;
    book->put_ms = 0; /* seen: the next write may go out */
    book->put_ticket = 0;
    read_status(book);
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

/* --- the steps -------------------------------------------------------------------------------- */

static void put_status(struct reconciler *r, const char *key, struct world_book *book,
                       int64_t version, const char *digest, int64_t posted_version)
{
    struct crd_price_book_status status = {
        .observed_generation = book->object->generation,
        .version = version,
        .digest = str_of(digest),
        .posted_version = posted_version,
    };
    json_t *tree = NULL;

    (void)must(crd_price_book_status_write(&status, &tree, NULL) == 0 ? tree : NULL);
    book->put_ms = now_of(r);
    book->put_ticket = reconciler_call(r, CALL_PRICES_PUT, key, STR_NONE);
    r->platform->ops->status_put(r->platform, book->put_ticket, book->object, tree);
    json_decref(tree);
}

static void advance(struct reconciler *r, const char *key, struct world_book *book,
                    struct prices *prices)
{
    char digest[SHA256_HEX_LEN + 1];
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, PLATFORM_PRICES_MAX);
    write_json(prices, &text); /* without its number */
    sha256_hex(buf_str(&text), digest);
    if (book->version == 0 || strcmp(digest, book->digest) != 0) {
        put_status(r, key, book, fresh_version(r), digest, book->posted_version);
        return;
    }
    if (book->posted_version == book->version)
        return;
    if (book->accepted_version == book->version) {
        put_status(r, key, book, book->version, digest, book->version);
        return;
    }
    if (book->post_ticket != 0)
        return;
    prices->id = (uint64_t)book->version;
    buf_clear(&text);
    write_json(prices, &text);
    book->posting_version = book->version;
    book->post_ticket = reconciler_call(r, CALL_PRICES_POST, key, STR_NONE);
    r->platform->ops->prices_post(r->platform, book->post_ticket, buf_str(&text));
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
