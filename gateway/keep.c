/* SPDX-License-Identifier: Apache-2.0 */
/* See keep.h. */
#include "gateway/keep.h"

#include <assert.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEEP_TURN_MS = 100 };

static void complain(const struct keep *k, const struct err *err)
{
    log_warn("what came from the operator can't be kept", LOG_STR("file", k->path), LOG_ERR(err));
}

static void write_in_pool(void *object)
{
    struct keep *k = object;

    k->result = file_write_atomic(k->path, buf_str(&k->text), 0600, &k->err);
}

static void on_written(void *object);

/* The newest, unless a write is under way: then it comes after that. */
static void begin_write(struct keep *k)
{
    struct err err = {0};
    int r;

    if (k->writing || !k->waits)
        return;
    k->err = (struct err){0};
    k->text = k->next;
    buf_init(&k->next, KEEP_BYTES_MAX);
    r = loop_work(k->loop, write_in_pool, on_written, k);
    if (r == 0) {
        k->writing = true;
        k->waits = false;
        return;
    }
    k->next = k->text;
    buf_init(&k->text, KEEP_BYTES_MAX);
    (void)err_set(&err, (enum err_code) - r, "no thread of the pool takes it");
    complain(k, &err);
}

static void on_written(void *object)
{
    struct keep *k = object;

    k->writing = false;
    buf_fini(&k->text);
    if (k->result < 0)
        complain(k, &k->err);
    begin_write(k);
}

int keep_init(struct keep *k, struct loop *loop, const char *folder, const char *name,
              struct err *err)
{
    *k = (struct keep){.loop = loop, .path = path_join(folder, name)};
    buf_init(&k->next, KEEP_BYTES_MAX);
    buf_init(&k->text, KEEP_BYTES_MAX);
    return k->path == NULL ? err_no_memory(err) : 0;
}

int keep_read(const struct keep *k, struct buf *out, struct err *err)
{
    int r = file_exists(k->path) ? file_read(k->path, out, err) : 0;

    return r < 0 ? r : (int)(out->len > 0);
}

void keep_put(struct keep *k, struct str text)
{
    struct err err = {0};

    buf_clear(&k->next);
    (void)buf_append_str(&k->next, text);
    k->waits = buf_check(&k->next, k->path, &err) == 0;
    if (k->waits)
        begin_write(k);
    else
        complain(k, &err);
}

void keep_finish(struct keep *k)
{
    struct err err = {0};

    while (k->writing)
        loop_turn(k->loop, KEEP_TURN_MS);
    if (k->waits && file_write_atomic(k->path, buf_str(&k->next), 0600, &err) < 0)
        complain(k, &err);
    k->waits = false;
}

void keep_fini(struct keep *k)
{
    assert(!k->writing);
    buf_fini(&k->next);
    buf_fini(&k->text);
    mem_free(k->path);
}
