/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Price versions: each content of a PriceBook has a number, recorded in the book's status before it
 * is used, and posted to the ledger until that has it. Effective dates are part of a version: the
 * ledger picks the price that holds when a request is admitted.
 */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "base/hash.h"
#include "crd/tenant.h"
#include "operator/reconcile/must.h"

enum { PRICES_ARENA_BYTES = 4 << 20, PRICES_REST_MS = 10 * 1000 };

struct world_book *prices_book(const struct reconciler *r, struct str name)
{
    return map_get(&r->world.books, name);
}

void prices_set(struct reconciler *r, struct crd_object *object, bool deleted)
{
    struct world_book *book = prices_book(r, str_of(object->name));
    struct arena arena;

    if (deleted) {
        map_remove(&r->world.books, str_of(object->name));
        world_book_free(book);
        return;
    }
    if (book == NULL) {
        book = must(mem_alloc(sizeof(*book)));
        if (map_put(&r->world.books, str_of(object->name), book, NULL) < 0) {
            mem_free(book);
            return;
        }
    }
    crd_object_ref(object);
    crd_object_unref(book->object);
    book->object = object;
    book->put_ms = 0; /* seen: the next write may go out */
    book->put_ticket = 0;
    arena_init(&arena, PRICES_ARENA_BYTES);
    {
        struct crd_price_book_status status = {0};

        if (crd_price_book_status_read(&status, object, &arena, NULL) == 0)
            book->version = status.version;
        memset(book->digest, 0, sizeof(book->digest));
        if (status.digest.len == SHA256_HEX_LEN)
            memcpy(book->digest, status.digest.ptr, SHA256_HEX_LEN);
    }
    arena_fini(&arena);
}

uint64_t prices_version(const struct reconciler *r, struct str name)
{
    const struct world_book *book = name.len > 0 ? prices_book(r, name) : NULL;

    return book != NULL ? (uint64_t)book->version : 0;
}

static void spec_digest(const struct world_book *book, char out[SHA256_HEX_LEN + 1])
{
    char *text = must(json_dumps(book->object->spec, JSON_COMPACT | JSON_SORT_KEYS));

    sha256_hex(str_of(text), out);
    free(text); /* jansson's */
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

static void record_version(struct reconciler *r, const char *key, struct world_book *book,
                           const char *digest)
{
    struct crd_price_book_status status = {
        .observed_generation = book->object->generation,
        .version = fresh_version(r),
        .digest = str_of(digest),
    };
    json_t *tree = NULL;

    (void)must(crd_price_book_status_write(&status, &tree, NULL) == 0 ? tree : NULL);
    book->put_ms = now_of(r);
    book->put_ticket = reconciler_call(r, CALL_PRICES_PUT, key, STR_NONE);
    r->platform->ops->status_put(r->platform, book->put_ticket, book->object, tree);
    json_decref(tree);
}

static void post_version(struct reconciler *r, const char *key, struct world_book *book)
{
    struct json_writer w;
    struct buf text;

    buf_init(&text, PLATFORM_PRICES_MAX);
    json_writer_init(&w, &text);
    json_open(&w, '{');
    json_put_i64(&w, "version", book->version);
    json_put_text(&w, "price_book", book->object->name);
    json_key(&w, "spec");
    json_add_tree(&w, book->object->spec);
    json_close(&w, '}');
    (void)must(text.failed ? NULL : text.ptr);
    book->post_ticket = reconciler_call(r, CALL_PRICES_POST, key, STR_NONE);
    r->platform->ops->prices_post(r->platform, book->post_ticket, buf_str(&text));
    buf_fini(&text);
}

void pass_prices(struct reconciler *r, const char *key)
{
    struct str name = str_slice(str_of(key), strlen(PRICES_KEY_PREFIX), strlen(key));
    struct world_book *book = prices_book(r, name);
    char digest[SHA256_HEX_LEN + 1];

    if (book == NULL)
        return;
    if (book->put_ms > 0 && now_of(r) - book->put_ms < PRICES_REST_MS) {
        queue_add_at(&r->queue, str_of(key), book->put_ms + PRICES_REST_MS);
        return;
    }
    spec_digest(book, digest);
    if (book->version == 0 || strcmp(digest, book->digest) != 0) {
        record_version(r, key, book, digest);
        return;
    }
    if (book->posted_version != book->version && book->post_ticket == 0)
        post_version(r, key, book);
}
